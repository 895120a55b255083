# SPDX-License-Identifier: Apache-2.0
"""Policy and Cost: the order in which Placements are compared, and by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from topoalloc._errors import InvalidRequestError

__all__ = ["Cost", "Policy"]

_NAMES = ("pack", "spread")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """The order of the cost terms, by name and version.

    Parameters
    ----------
    name : str, default "pack"
        ``"pack"`` opens as few new domains as it can, ``"spread"`` as many: the terms
        `Cost.opened_packages` and after it change their sign, and nothing else changes.
    version : int, default 1
        A record made under one version is replayed under that version.

    Raises
    ------
    InvalidRequestError
        There is no such policy.

    Examples
    --------
    >>> Policy("spread")
    Policy(name='spread', version=1)
    """

    name: str = "pack"
    version: int = _VERSION

    def __post_init__(self) -> None:
        """Check that the policy exists."""
        if self.name not in _NAMES:
            raise InvalidRequestError(f"policy: {self.name!r}, want pack or spread")
        if self.version != _VERSION:
            raise InvalidRequestError(
                f"policy: {self.name} version {self.version!r}, want version {_VERSION}"
            )

    @classmethod
    def of(cls, policy: str | Policy) -> Policy:
        """Return the Policy itself, or the one of that name.

        Parameters
        ----------
        policy : str or Policy
            What an Allocator was given.

        Returns
        -------
        Policy

        Raises
        ------
        InvalidRequestError
            There is no such policy.

        Examples
        --------
        >>> Policy.of("pack")
        Policy(name='pack', version=1)
        """
        if isinstance(policy, Policy):
            return policy
        return cls(policy)


class Cost(NamedTuple):
    """What a Placement was chosen by: terms in order, smaller is better.

    A tuple, so that Costs compare as the solver compares them. ``docs/objective.md``
    defines each term.

    Examples
    --------
    >>> Cost(packages=1, localities=2) < Cost(packages=2, localities=1)
    True
    """

    unmet_count: int = 0
    unmet_vector: int = 0
    packages: int = 0
    localities: int = 0
    distance: int = 0
    pair_levels: int = 0
    missing_link: int = 0
    remote_devices: int = 0
    l3s: int = 0
    split_cores: int = 0
    opened_packages: int = 0
    opened_localities: int = 0
    opened_switches: int = 0
    opened_devices: int = 0
    opened_l3s: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the terms by name, in order.

        Returns
        -------
        dict
            Every term, zeros too.
        """
        return self._asdict()

    @classmethod
    def from_terms(cls, terms: tuple[int, ...]) -> Self:
        """Make a Cost of all terms in order.

        Parameters
        ----------
        terms : tuple of int
            As many as there are terms.

        Returns
        -------
        Cost
        """
        return cls._make(terms)
