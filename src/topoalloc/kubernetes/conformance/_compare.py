# SPDX-License-Identifier: Apache-2.0
"""Hold an answer against what a case expects."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from topoalloc.kubernetes._objects_values import ObjectError, quantity
from topoalloc.kubernetes.conformance._cases import Case

__all__ = ["disagreement"]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHARE = "a share"
# What may follow a path: the text, or more of the path.
_PATH_ENDS = (": ", ".", "[")


def disagreement(
    case: Case, answer: Mapping[str, Any], *, error_paths: bool = True
) -> str:
    """Say in what an answer is not the one expected.

    Ids of shares may be any UUIDs that are different, quantities may be spelled in any
    way, configuration for all requests may name them or not, and `allocationTimestamp`
    is not looked at.

    Parameters
    ----------
    case : Case
        Says what is expected.
    answer : mapping
        ``{"allocations": [...]}``, each a `status.allocation`, in the order of claims;
        ``{"infeasible": true}``; or ``{"error": "path: text"}``.
    error_paths : bool, default True
        Whether an error must be about the path that is expected, or be there alone.

    Returns
    -------
    str
        What was got and what is wanted; empty where they agree.
    """
    expected = case.expected
    if "error" in expected:
        got, wanted = answer.get("error"), expected["error"]
        agrees = isinstance(got, str) and (
            not error_paths
            or got == wanted
            or got.startswith(tuple(wanted + end for end in _PATH_ENDS))
        )
        return "" if agrees else f"{_written(answer)}, want an error at {wanted}"
    if "infeasible" in expected:
        agrees = answer.get("infeasible") is True
        return "" if agrees else f"{_written(answer)}, want no allocation"
    allocations = answer.get("allocations")
    if not isinstance(allocations, list):
        return f"{_written(answer)}, want an allocation"
    try:
        return _difference(expected, allocations)
    except (AttributeError, KeyError, TypeError, ObjectError) as error:
        what = f"{type(error).__name__} {error}"
        return f"{_written(answer)}: {what}, want each a status.allocation"


def _difference(expected: Mapping[str, Any], allocations: Sequence[Any]) -> str:
    results = [_results(allocation) for allocation in allocations]
    shares = [
        result["shareID"] for row in results for result in row if "shareID" in result
    ]
    if len(set(shares)) != len(shares) or not all(map(_UUID.fullmatch, shares)):
        return f"share ids {_written(shares)}, want UUIDs in small letters, each once"
    if "results" in expected:
        got: Any = [[_short(result) for result in row] for row in results]
        wanted: Any = expected["results"]
    else:
        got = [_plain(allocation) for allocation in allocations]
        wanted = [_plain(allocation) for allocation in expected["allocations"]]
    return "" if got == wanted else f"{_written(got)}, want {_written(wanted)}"


def _results(allocation: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = allocation.get("devices", {}).get("results", [])
    return found


def _short(result: Mapping[str, Any]) -> str:
    """Write a result as cases do where only the device is of interest."""
    place = "/".join(result[key] for key in ("driver", "pool", "device"))
    return f"{result['request']} {place}"


def _plain(allocation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an allocation without what may differ."""
    found = {key: item for key, item in allocation.items() if item}
    found.pop("allocationTimestamp", None)
    devices = {key: item for key, item in found.get("devices", {}).items() if item}
    results = [dict(result) for result in _results(allocation)]
    for result in results:
        if "shareID" in result:
            result["shareID"] = _SHARE
        if "consumedCapacity" in result:
            result["consumedCapacity"] = {
                name: quantity(amount, name)
                for name, amount in result["consumedCapacity"].items()
            }
    if results:
        devices["results"] = results
    names = [{result["request"], result["request"].split("/")[0]} for result in results]
    if "config" in devices:
        devices["config"] = [_for_all(config, names) for config in devices["config"]]
    return found | {"devices": devices}


def _for_all(
    config: Mapping[str, Any], names: Sequence[Collection[str]]
) -> dict[str, Any]:
    """Leave requests out where they are all: that none means all is said either way."""
    requests = config.get("requests") or []
    is_for_all = all(not own.isdisjoint(requests) for own in map(set, names))
    return {
        key: item
        for key, item in config.items()
        if key != "requests" or not (is_for_all or not requests)
    }


def _written(value: object) -> str:
    return json.dumps(value, sort_keys=True)
