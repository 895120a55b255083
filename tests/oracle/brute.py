# SPDX-License-Identifier: Apache-2.0
"""The C++ brute force, asked with the plain values of a question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import _oracle

import topoalloc as ta

if TYPE_CHECKING:
    from tests.oracle.problem import Holding, State


def listed(pus: Iterable[int]) -> str:
    """Write a cpuset."""
    return ",".join(map(str, sorted(pus)))


def solve(
    machine: ta.Machine,
    state: State,
    request: ta.Request,
    *,
    spread: bool = False,
    keep_from: Holding | None = None,
) -> dict[str, Any] | None:
    """Return the best Placement by enumeration, or None where there is none."""
    found: dict[str, Any] | None = _oracle.solve(
        machine._spec,
        {
            "reserved": listed(state.reserved),
            "cordoned_pus": listed(state.cordoned_pus),
            "cordoned_devices": [*state.cordoned_devices],
            "holdings": [_plain(holding) for holding in state.holdings],
        },
        request.fields(),
        spread,
        None if keep_from is None else _plain(keep_from),
    )
    return found


def _plain(holding: Holding) -> dict[str, Any]:
    return {
        "pus": listed(holding.pus),
        "memory": [(node, size, n) for (node, size), n in holding.memory.items()],
        "devices": holding.devices,
    }
