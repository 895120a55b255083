# SPDX-License-Identifier: Apache-2.0
"""What each version of Kubernetes knows of DRA, and which of it is an option there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from topoalloc._errors import InvalidRequestError

__all__ = ["FEATURES", "features_of", "published_features_of"]

FeatureTable: TypeAlias = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]

_OLD: Final = ("1.34", "1.35")

# By feature: the versions that have it as an option, and those that always do. The
# table of docs/claim-objective.md, section 6.
_FEATURES: Final[FeatureTable] = {
    "taints": (_OLD, ("1.36", "1.37")),
    "counters": (_OLD, ("1.36", "1.37")),
    "consumable_capacity": (_OLD, ("1.36", "1.37")),
    "binding_conditions": (_OLD, ("1.36", "1.37")),
    "lists": (("1.36", "1.37"), ()),
    "compatibility_groups": (("1.37",), ()),
}

# What only publishing knows of. 1.36 has it in a form that 1.37 took back.
_PUBLISHED: Final[FeatureTable] = {
    **_FEATURES,
    "node_allocatable": (("1.37",), ()),
}

# By feature: versions that have it as an option, but not the fields as they are now.
# 1.34 wants counter sets in the slice of the devices that draw on them.
_OTHER_FIELDS: Final = {"counters": ("1.34",)}

FEATURES: Final = tuple(_FEATURES)
"""Names of features that a version may have, or have as an option."""


def published_features_of(kubernetes: str, options: Collection[str]) -> dict[str, bool]:
    """Return which features a slice for a version can make use of.

    Raises
    ------
    InvalidRequestError
        An option is none of the version.
    """
    found = features_of(kubernetes, options, _PUBLISHED)
    return {
        name: is_on and kubernetes not in _OTHER_FIELDS.get(name, ())
        for name, is_on in found.items()
    }


def features_of(
    semantics: str, options: Collection[str], table: FeatureTable = _FEATURES
) -> dict[str, bool]:
    """Return which features of a table are on.

    Raises
    ------
    InvalidRequestError
        An option is none of the version.
    """
    for option in options:
        optional, always = table.get(option, ((), ()))
        if semantics not in optional + always:
            own = [
                name for name, (versions, _) in table.items() if semantics in versions
            ]
            message = (
                f"features: {option!r:.80} is no option of {semantics}, want some of "
                f"{', '.join(own)}"
            )
            raise InvalidRequestError(message)
    return {
        name: semantics in always or name in options
        for name, (_, always) in table.items()
    }
