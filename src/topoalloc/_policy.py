# SPDX-License-Identifier: Apache-2.0
"""Policy and Cost: the order in which Placements are compared, and by what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from topoalloc import _core
from topoalloc._constraints import check_text
from topoalloc._errors import InvalidRequestError
from topoalloc._quantity import shown

__all__ = ["Cost", "Policy"]

_Row = tuple[str, int, str, tuple[str, ...]]

_BUILT_IN = ("pack", "spread")
_VERSIONS = range(1, 2**32)


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """How Placements are compared: an order of the cost terms and a packing.

    Preferences are compared first, then the groups of terms in order, then indices. No
    Policy changes what a term means. ``"pack"`` and ``"spread"`` are built in and have
    the default order; a Policy with another name may have any order. Another order than
    the default one is answered exactly too, but more slowly, and for one Request at a
    time: `Allocator.allocate_many` and `Allocator.check_joint` refuse it.

    Parameters
    ----------
    name : str, default "pack"
        Built in, or one of your own: 1 to 31 of a-z, 0-9, ``-``, ``_`` and ``.``.
    version : int, default 1
        A record made under one version is replayed under that version. Yours to choose,
        from 1 on, for a name of your own.
    packing : str, optional
        ``"pack"`` opens as few new domains as it can, ``"spread"`` as many: the terms
        `Cost.opened_packages` and after it change their sign, and nothing else changes.
        By default that of the name, if it is built in.
    order : iterable of str, optional
        Each of these once, by default as they stand here: ``"packages"``,
        ``"localities"`` (with distance), ``"pair_levels"``, ``"missing_link"``,
        ``"remote_devices"``, ``"l3s"``, ``"split_cores"``, ``"opened"`` (Packages,
        localities, switches, devices, L3s).

    Raises
    ------
    InvalidRequestError
        There is no such policy.

    Examples
    --------
    >>> Policy("spread")
    Policy(name='spread', version=1)

    Few L3s matter more than few NUMANodes:

    >>> order = ["l3s", *(group for group in Policy().order if group != "l3s")]
    >>> cache_first = Policy("cache-first", packing="pack", order=order)
    >>> cache_first.terms[2:5]
    ('l3s', 'packages', 'localities')
    """

    name: str
    version: int
    packing: str
    order: tuple[str, ...]

    def __init__(
        self,
        name: str = "pack",
        version: int = 1,
        *,
        packing: str | None = None,
        order: Iterable[str] | None = None,
    ) -> None:
        if name != "":
            check_text("policy.name", name)
        if packing is None:
            if name not in _BUILT_IN:
                raise InvalidRequestError(
                    f"policy.packing: not given for {shown(name)}, want pack or spread "
                    "with a name of your own, or one of the two as the name"
                )
            packing = name
        groups = _core.TERM_GROUPS if order is None else _groups(order)
        if name in _BUILT_IN and groups != _core.TERM_GROUPS:
            raise InvalidRequestError(
                f"policy.order: not that of {name}, want a name of your own with it: "
                f"Policy('mine', packing={name!r}, order=...)"
            )
        if packing not in _BUILT_IN:
            raise InvalidRequestError(
                f"policy.packing: {shown(packing)}, want pack or spread"
            )
        if isinstance(version, bool) or not isinstance(version, int):
            raise InvalidRequestError(
                f"policy.version: {type(version).__name__}, want int"
            )
        if version not in _VERSIONS:
            raise InvalidRequestError(
                f"policy.version: {shown(version)}, want {_VERSIONS.start} to "
                f"{_VERSIONS.stop - 1}"
            )
        _core.policy_terms((name, version, packing, groups))
        # Frozen for all others.
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "packing", packing)
        object.__setattr__(self, "order", groups)

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms of `Cost`, the one compared first in front."""
        return tuple(_core.policy_terms(self._row))

    def key(self, cost: Cost) -> tuple[int, ...]:
        """Return the terms of a Cost in the order of this Policy.

        Parameters
        ----------
        cost : Cost
            Of a Placement or a Verdict.

        Returns
        -------
        tuple of int
            The smaller one is better; equal ones are told apart by indices.

        Examples
        --------
        >>> Policy("pack").key(Cost(packages=1)) < Policy("pack").key(Cost(packages=2))
        True
        """
        if not isinstance(cost, Cost):
            raise InvalidRequestError(f"cost: {type(cost).__name__}, want a Cost")
        return tuple(getattr(cost, term) for term in self.terms)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values.
        """
        return {
            "name": self.name,
            "version": self.version,
            "packing": self.packing,
            "order": [*self.order],
        }

    @classmethod
    def of(cls, policy: str | Policy) -> Policy:
        """Return the Policy itself, or the one built in of that name.

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
        if policy not in _BUILT_IN:
            raise InvalidRequestError(
                f"policy: {shown(policy)}, want pack or spread, or a Policy"
            )
        return cls(policy)

    @classmethod
    def _of_row(cls, row: _Row) -> Policy:
        name, version, packing, order = row
        return cls(name, version, packing=packing, order=order)

    @property
    def _row(self) -> _Row:
        return self.name, self.version, self.packing, self.order

    def __repr__(self) -> str:
        """Show what is not built in."""
        own = (
            ""
            if self.name in _BUILT_IN
            else f", packing={self.packing!r}, order={self.order!r}"
        )
        return f"Policy(name={self.name!r}, version={self.version!r}{own})"


def _groups(order: object) -> tuple[str, ...]:
    groups = (order,) if isinstance(order, str) else order
    groups = tuple(groups) if isinstance(groups, Iterable) else (groups,)
    if not all(isinstance(group, str) for group in groups) or sorted(groups) != sorted(
        _core.TERM_GROUPS
    ):
        raise InvalidRequestError(
            f"policy.order: {shown(order)}, want each of "
            f"{', '.join(_core.TERM_GROUPS)} once"
        )
    return groups


class Cost(NamedTuple):
    """What a Placement was chosen by: terms in order, smaller is better.

    A tuple, so that Costs compare as the solver compares them in the default order;
    `Policy.key` serves another one. ``docs/objective.md`` defines each term.

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

        Raises
        ------
        InvalidRequestError
            There are more or fewer.
        """
        _check_terms(terms, len(cls._fields))
        return cls._make(terms)


def _check_terms(terms: object, count: int) -> None:
    if not isinstance(terms, tuple | list) or len(terms) != count:
        raise InvalidRequestError(f"terms: {shown(terms)}, want {count} integers")
