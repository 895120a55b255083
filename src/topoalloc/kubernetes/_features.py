# SPDX-License-Identifier: Apache-2.0
"""What each version of Kubernetes knows of DRA, and which of it is an option there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from topoalloc._errors import InvalidRequestError

__all__ = ["FEATURES", "features_of"]

_OLD: Final = ("1.34", "1.35")

# By feature: the versions that have it as an option, and those that always do. The
# table of docs/claim-objective.md, section 6.
_FEATURES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "taints": (_OLD, ("1.36", "1.37")),
    "counters": (_OLD, ("1.36", "1.37")),
    "consumable_capacity": (_OLD, ("1.36", "1.37")),
    "binding_conditions": (_OLD, ("1.36", "1.37")),
    "lists": (("1.35", "1.36", "1.37"), ()),
    "compatibility_groups": (("1.37",), ()),
}

FEATURES: Final = tuple(_FEATURES)
"""Names of features that a version may have, or have as an option."""


def features_of(semantics: str, options: Collection[str]) -> dict[str, bool]:
    """Return which features are on.

    Raises
    ------
    InvalidRequestError
        An option is none of the version.
    """
    for option in options:
        optional, always = _FEATURES.get(option, ((), ()))
        if semantics not in optional + always:
            own = [
                name
                for name, (versions, _) in _FEATURES.items()
                if semantics in versions
            ]
            message = (
                f"features: {option!r:.80} is no option of {semantics}, want some of "
                f"{', '.join(own)}"
            )
            raise InvalidRequestError(message)
    return {
        name: semantics in always or name in options
        for name, (_, always) in _FEATURES.items()
    }
