# SPDX-License-Identifier: Apache-2.0
"""What the commands about Clusters print: summaries, plans, reasons."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topoalloc import Cluster, GangCost, GangPlan, PodPlace, _core
from topoalloc._gang import Gang, Rails
from topoalloc._gang_explanation import GangExplanation
from topoalloc._machine import Machine
from topoalloc._node_names import ranges_of
from topoalloc._quantity import counted
from topoalloc._rails import RailLists
from topoalloc._request import API_VERSION
from topoalloc.cli._output import memory_text, print_table

__all__ = ["Summary", "print_explanation", "print_plan", "section"]


@dataclass
class _Amount:
    """Of one class: PUs, GPUs, ..."""

    total: int = 0
    held: int = 0
    out: int = 0
    """Cordoned or reserved, and not held; all that is not held of a cordoned node."""

    def to_dict(self) -> dict[str, int]:
        free = self.total - self.held - self.out
        return {"total": self.total, "held": self.held, "out": self.out, "free": free}


@dataclass
class Summary:
    """How much there is in a Cluster, and how much of it is free."""

    cluster: Cluster
    classes: dict[str, _Amount] = field(default_factory=dict)
    machines: dict[str, tuple[Machine, int]] = field(default_factory=dict)
    """Of each different Machine, by digest: one, and its nodes."""
    domains: dict[str, set[tuple[str | None, ...]]] = field(default_factory=dict)
    """By level."""
    without: Counter[str] = field(default_factory=Counter)
    """Nodes that have no Domain, by level."""
    cordoned: int = 0
    full_free: int = 0
    """Nodes on which nothing is held."""

    @classmethod
    def of(cls, cluster: Cluster) -> Summary:
        """Count."""
        summary = cls(cluster, domains={level: set() for level in cluster.levels})
        parts: dict[int, dict[str, list[str]]] = {}
        for name in cluster.nodes:
            summary._add(name, parts)
        return summary

    def _add(self, name: str, parts: dict[int, dict[str, list[str]]]) -> None:
        node = self.cluster.describe(name)
        machine = node.machine
        if id(machine) not in parts:
            parts[id(machine)] = _devices_by_class(machine)
        known, number = self.machines.get(machine.digest, (machine, 0))
        self.machines[machine.digest] = (known, number + 1)
        for levels in self.cluster.trees.values():
            path = tuple(node.domains.get(level) for level in levels)
            for i, level in enumerate(levels):
                if path[i] is None:
                    self.without[level] += 1
                else:
                    self.domains[level].add(path[: i + 1])
        self.cordoned += node.is_cordoned
        self._add_amounts(name, parts[id(machine)], node.is_cordoned)

    def _add_amounts(
        self, name: str, devices: Mapping[str, list[str]], is_cordoned: bool
    ) -> None:
        allocator = self.cluster.node(name)
        state = allocator.state_dict()
        pus: set[int] = set()
        held: set[str] = set()
        for _, _, _, placement in state["owners"]:
            pus.update(placement.pus)
            held.update(device.partition("/")[0] for device in placement.devices)
        self.full_free += not state["owners"]
        out = {*_core.cpuset_members(state["reserved_pus"])}
        out.update(_core.cpuset_members(state["cordoned_pus"]))
        total = len(allocator.machine.pus)
        self._count("pu", total, len(pus), len(out - pus), is_cordoned)
        bad = {*state["cordoned_devices"]} - held
        for device_class, names in devices.items():
            self._count(
                device_class,
                len(names),
                sum(device in held for device in names),
                sum(device in bad for device in names),
                is_cordoned,
            )

    def _count(self, name: str, total: int, held: int, out: int, all_out: bool) -> None:
        amount = self.classes.setdefault(name, _Amount())
        amount.total += total
        amount.held += held
        amount.out += total - held if all_out else out

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "apiVersion": API_VERSION,
            "kind": "ClusterSummary",
            "nodes": len(self.cluster),
            "nodes_cordoned": self.cordoned,
            "nodes_empty": self.full_free,
            "states": self.cluster.state_count,
            "policy": self.cluster.policy.name,
            "machines": [
                {"name": machine.name, "digest": digest, "nodes": number}
                for digest, (machine, number) in self.machines.items()
            ],
            "levels": [
                {
                    "tree": tree,
                    "level": level,
                    "domains": len(self.domains[level]),
                    "nodes_without": self.without[level],
                }
                for tree, levels in self.cluster.trees.items()
                for level in levels
            ],
            "classes": {
                name: amount.to_dict() for name, amount in sorted(self.classes.items())
            },
            "gangs": [
                {
                    "name": name,
                    "pods": len(running.pods),
                    "nodes": len({pod.node for pod in running.pods}),
                    "priority": running.gang.priority,
                    "queue": running.gang.queue,
                }
                for name, running in self.cluster.gangs.items()
            ],
        }

    def print(self) -> None:
        """Write tables to standard output."""
        document = self.to_dict()
        facts = [
            counted(document["nodes"], "node"),
            f"{document['nodes_empty']} empty",
            f"{document['nodes_cordoned']} cordoned",
            f"{document['states']} distinct",
            f"policy {document['policy']}",
        ]
        sys.stdout.write(f"Cluster: {', '.join(facts)}\n\n")
        print_table(
            ("tree", "level", "domains", "nodes without"),
            [[*map(str, level.values())] for level in document["levels"]],
        )
        sys.stdout.write("\n")
        print_table(
            ("Machine", "nodes", "digest"),
            [
                (one["name"] or "-", str(one["nodes"]), one["digest"][:12])
                for one in document["machines"]
            ],
        )
        sys.stdout.write("\n")
        print_table(
            ("class", "total", "held", "out", "free"),
            [
                (name, *map(str, amount.values()))
                for name, amount in document["classes"].items()
            ],
        )
        if document["gangs"]:
            sys.stdout.write("\n")
            print_table(
                ("Gang", "pods", "nodes", "priority", "queue"),
                [
                    (*(str(value) for value in gang.values() if value != ""),)
                    if gang["queue"]
                    else (*map(str, [*gang.values()][:-1]), "-")
                    for gang in document["gangs"]
                ],
            )


def _devices_by_class(machine: Machine) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for device in machine.devices:
        if device.parent is None:
            found.setdefault(device.device_class, []).append(device.name)
    return found


# --- plans ---


def print_plan(cluster: Cluster, plan: GangPlan, *, is_full: bool) -> None:
    """Write the pods of a plan in rank order, Domain by Domain or one by one."""
    levels = _levels_shown(cluster, plan.gang)
    if is_full:
        _print_pods(cluster, plan.pods, levels)
    else:
        _print_domains(cluster, plan.pods, levels)
    pods, nodes = counted(len(plan.pods), "pod"), counted(len(plan.nodes), "node")
    is_best = plan.status is _core.Status.OPTIMAL
    proof = "the best there is" if is_best else "not proved to be the best"
    sys.stdout.write(
        f"\n{plan.status.name}: {pods} on {nodes}, {proof}; "
        f"{counted(plan.steps, 'step')}\n"
    )
    sys.stdout.write("".join(f"{line}\n" for line in rail_lines(plan.rails)))
    if plan.cost is not None:
        sys.stdout.write(f"cost: {gang_cost_text(plan.cost)}\n")


def rail_lines(rails: RailLists) -> Iterator[str]:
    """Say what pods with `Rails` hold: ``"rails of worker: nic 0+1, 2+3"``."""
    for podset, lists in rails.items():
        for name, sets in lists.items():
            texts = ("+".join(map(str, entry)) for entry in sets)
            yield f"rails of {podset}: {name} {', '.join(texts)}"


def _levels_shown(cluster: Cluster, gang: Gang) -> tuple[str, ...]:
    """Return the levels of the tree that the Gang speaks of, or else of the first."""
    declared = {
        entry.level
        for podset in gang.podsets
        for entry in (*podset.slices, *podset.require, *podset.prefer)
        if not isinstance(entry, Rails)
    } | {
        entry.level
        for group in gang.groups
        for entry in (*group.require, *group.prefer)
    }
    trees = [*cluster.trees.values()]
    return next((tree for tree in trees if declared & {*tree}), trees[0])


def _domain_text(cluster: Cluster, node: str, levels: Sequence[str]) -> str:
    domains = cluster.describe(node).domains
    return "/".join(domains.get(level, "-") for level in levels)


def _print_domains(
    cluster: Cluster, pods: Sequence[PodPlace], levels: Sequence[str]
) -> None:
    rows = []

    def place(pod: PodPlace) -> tuple[str, str]:
        return pod.podset, _domain_text(cluster, pod.node, levels)

    for (podset, domain), run in itertools.groupby(pods, place):
        part = [*run]
        on_nodes = Counter(pod.node for pod in part)
        each = {*on_nodes.values()}
        first, last = part[0].index, part[-1].index
        rows.append(
            (
                podset,
                str(first) if first == last else f"{first}-{last}",
                domain,
                ",".join(ranges_of(on_nodes)),
                "-".join(map(str, sorted({min(each), max(each)}))),
            )
        )
    print_table(("podset", "ranks", "/".join(levels), "nodes", "pods a node"), rows)


def _print_pods(
    cluster: Cluster, pods: Sequence[PodPlace], levels: Sequence[str]
) -> None:
    print_table(
        ("podset", "rank", "/".join(levels), "node", "PUs", "memory", "devices"),
        [
            (
                pod.podset,
                str(pod.index),
                _domain_text(cluster, pod.node, levels),
                pod.node,
                pod.placement.cpuset or "-",
                memory_text(pod.placement),
                ",".join(pod.placement.devices) or "-",
            )
            for pod in pods
        ],
    )


def gang_cost_text(cost: GangCost) -> str:
    """Say the terms that are not 0: ``"domains rack 2, nodes 16"``."""

    def terms() -> Iterator[str]:
        for name, value in cost.to_dict().items():
            parts = value if isinstance(value, dict) else {"": value}
            inner = [f"{key} {n}".strip() for key, n in parts.items() if n]
            if inner:
                yield f"{name} {' '.join(inner)}"

    return ", ".join(terms()) or "0 in every term"


# --- reasons ---


def section(title: str) -> None:
    """Begin a part of the output."""
    sys.stdout.write(f"\n{title}\n")


def print_explanation(explanation: GangExplanation) -> None:
    """Write why not: the conflict, counts by Domain, and what would fit."""
    if explanation.conflict:
        section("Conflict: without any one of these it fits")
        print_table(
            ("what", "asks for"), [(c.path, c.text) for c in explanation.conflict]
        )
    if explanation.counts:
        section("What there is")
        print_table(
            ("podset", "needed", "nodes left after each filter", "pods they hold"),
            [
                (
                    line.podset,
                    str(line.needed),
                    ", ".join(f"{step.filter} {step.left}" for step in line.nodes),
                    str(line.copies),
                )
                for line in explanation.counts
            ],
        )
    if explanation.domains:
        section("The Domains that come nearest")
        print_table(
            ("what", "who", "level", "domain", "wanted", "fit", "but for"),
            [
                (
                    fit.path,
                    fit.who,
                    fit.level,
                    "/".join(fit.domain),
                    str(fit.wanted),
                    str(fit.fits),
                    "; ".join(miss.text for miss in fit.near_misses) or "-",
                )
                for fit in explanation.domains
            ],
        )
    if explanation.relaxations:
        section("It fits with one of these")
        print_table(
            ("what", "change", "says"),
            [(r.path, r.change, r.text) for r in explanation.relaxations],
        )
    if not explanation.complete:
        section("The step limit came before all of this was computed.")
