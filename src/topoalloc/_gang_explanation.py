# SPDX-License-Identifier: Apache-2.0
"""GangExplanation: why a Gang has the answer that it has, as immutable data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from topoalloc._core import Status
from topoalloc._records import Conflict, CountStep
from topoalloc._request import API_VERSION

__all__ = [
    "DomainFit",
    "GangExplanation",
    "GangRelaxation",
    "NearMiss",
    "PodSetCounts",
    "gang_explanation",
]


@dataclass(frozen=True, slots=True)
class PodSetCounts:
    """Nodes for a PodSet, as each filter leaves them."""

    podset: str
    needed: int
    """Its ``min_count``."""
    nodes: tuple[CountStep, ...]
    copies: int
    """That those nodes hold, each alone; at most."""


@dataclass(frozen=True, slots=True)
class NearMiss:
    """Nodes that would hold more pods but for what the Request requires."""

    text: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DomainFit:
    """The Domain that holds most of what a required `Within` wants in one Domain."""

    path: str
    """Of the `Within`: ``"podsets[0].require[0]"``."""
    who: str
    """PodSet or Group."""
    level: str
    domain: tuple[str, ...]
    """Values of the levels of its tree down to it; of a node its name."""
    wanted: int
    """Pods: the ``min_count`` of all members."""
    fits: int
    """So many of them at most, with all rules kept."""
    near_misses: tuple[NearMiss, ...]


@dataclass(frozen=True, slots=True)
class GangRelaxation:
    """The smallest change of one kind that makes it feasible; solved, not guessed."""

    path: str
    """Of what changes; ``"node:n3"`` and ``"gang:train-3"`` of the Cluster; of one of
    several Gangs ``"gang:train-3/podsets[0].count"``."""
    change: str
    """``"count=15"``, ``"level=block"``, ``"drop"``, ``"uncordon"``, ..."""
    text: str


@dataclass(frozen=True, slots=True)
class GangExplanation:
    """Why an answer is what it is: data; ``str()`` gives prose made of the data.

    Examples
    --------
    >>> import topoalloc as ta
    >>> cluster = ta.Cluster(levels=["rack"])
    >>> machine = ta.Machine.preset("dgx-h100")
    >>> cluster.add_nodes(["n0", "n1"], machine, domains={"rack": ["r0", "r1"]})
    >>> pods = ta.PodSet("worker", ta.Request(devices={"gpu": 8}), 2,
    ...                  require=[ta.Within("rack")])
    >>> why = cluster.check(ta.Gang("train-3", [pods])).explanation
    >>> [item.path for item in why.conflict]
    ['podsets[0].require[0]', 'podsets[0].count']
    >>> [change.text for change in why.relaxations]
    ['fits without worker: all pods in one rack',
     'fits with 1 pod of worker instead of 2']
    """

    status: Status
    reason: str
    podset: str | None
    """Name of the PodSet that the reason speaks of, if it speaks of one."""
    gangs: tuple[str, ...]
    """Of a change that was refused: Gangs that have no place together, though any of
    them less would; one: it has none by itself."""
    given: tuple[str, ...]
    """Of a change: what holds before the conflict: ``"15 pods of train-3 stay"``."""
    cost: Mapping[str, int]
    """Of a plan, term by term; empty where there is none."""
    conflict: tuple[Conflict, ...]
    """Minimal: drop any one and the Gang is feasible. Empty unless INFEASIBLE."""
    counts: tuple[PodSetCounts, ...]
    domains: tuple[DomainFit, ...]
    relaxations: tuple[GangRelaxation, ...]
    complete: bool
    """False where its own step limit came first."""
    steps: int
    prose: str

    def __str__(self) -> str:
        """Return the prose."""
        return self.prose

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form.

        Returns
        -------
        dict
            Plain values.
        """
        return {
            "apiVersion": API_VERSION,
            "kind": "GangExplanation",
            "status": self.status.name,
            "reason": self.reason,
            "podset": self.podset,
            "gangs": [*self.gangs],
            "given": [*self.given],
            "cost": dict(self.cost),
            "conflict": [asdict(item) for item in self.conflict],
            "counts": [
                {**asdict(line), "nodes": [asdict(step) for step in line.nodes]}
                for line in self.counts
            ],
            "domains": [
                {
                    **asdict(fit),
                    "domain": [*fit.domain],
                    "near_misses": [
                        {"text": miss.text, "nodes": [*miss.nodes]}
                        for miss in fit.near_misses
                    ],
                }
                for fit in self.domains
            ],
            "relaxations": [asdict(change) for change in self.relaxations],
            "complete": self.complete,
            "steps": self.steps,
            "prose": self.prose,
        }


def gang_explanation(rows: dict[str, Any]) -> GangExplanation:
    """Make the frozen objects of the core's rows."""
    return GangExplanation(
        status=rows["status"],
        reason=rows["reason"],
        podset=rows["podset"],
        gangs=rows["gangs"],
        given=rows["given"],
        cost=dict(rows["cost"]),
        conflict=tuple(Conflict(*row) for row in rows["conflict"]),
        counts=tuple(
            PodSetCounts(
                podset, needed, tuple(CountStep(*step) for step in steps), copies
            )
            for podset, needed, steps, copies in rows["counts"]
        ),
        domains=tuple(
            DomainFit(
                path,
                who,
                level,
                domain,
                wanted,
                fits,
                tuple(NearMiss(*miss) for miss in misses),
            )
            for path, who, level, domain, wanted, fits, misses in rows["domains"]
        ),
        relaxations=tuple(GangRelaxation(*row) for row in rows["relaxations"]),
        complete=rows["complete"],
        steps=rows["steps"],
        prose=rows["prose"],
    )
