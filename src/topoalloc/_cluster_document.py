# SPDX-License-Identifier: Apache-2.0
"""The JSON form of a Cluster, written: `topoalloc._cluster_file` reads it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from topoalloc._canonical import canonical
from topoalloc._machine import Machine
from topoalloc._node_names import is_plain, ranges_of
from topoalloc._policy import Policy
from topoalloc._rails import rail_document
from topoalloc._records import state_document
from topoalloc._request import API_VERSION

if TYPE_CHECKING:
    from topoalloc._cluster import Cluster, NodeDescription

__all__ = ["encode", "text_of"]


def encode(cluster: Cluster) -> dict[str, Any]:
    """Return the JSON form of a Cluster."""
    now = cluster.fork()  # Others may change it meanwhile.
    nodes = [now.describe(name) for name in now.nodes]
    machines = _machine_names(nodes)
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "trees": [
            {"name": name, "levels": [*levels]} for name, levels in now.trees.items()
        ],
        "policy": _policy_document(now.policy),
        "machines": {
            name: {"machine": machine.to_dict()} for machine, name in machines.items()
        },
        "nodes": [*_node_entries(nodes, machines)],
    }
    gangs, owners = _gang_entries(now)
    states = _state_entries(now, nodes, owners)
    if states:
        document["states"] = states
    if gangs:
        document["gangs"] = gangs
    return document


def text_of(document: Mapping[str, Any]) -> str:
    """Return a document as text with a line for each entry of its lists.

    Examples
    --------
    >>> print(text_of({"kind": "Cluster", "nodes": [{"name": "n0"}]}), end="")
    {
      "kind": "Cluster",
      "nodes": [
        {"name": "n0"}
      ]
    }
    """

    def written(value: object) -> str:
        if isinstance(value, dict) and value:
            rows = [
                f"{json.dumps(key)}: {json.dumps(one)}" for key, one in value.items()
            ]
            return "{\n    " + ",\n    ".join(rows) + "\n  }"
        if isinstance(value, list) and value:
            return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
        return json.dumps(value)

    rows = [f"  {json.dumps(key)}: {written(one)}" for key, one in document.items()]
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _policy_document(policy: Policy) -> str | dict[str, Any]:
    is_built_in = policy.name in ("pack", "spread") and policy == Policy.of(policy.name)
    return policy.name if is_built_in else policy.to_dict()


def _machine_names(nodes: Iterable[NodeDescription]) -> dict[Machine, str]:
    """Give each different Machine a name of its own."""
    by_identity = {id(node.machine): node.machine for node in nodes}
    named: dict[Machine, str] = {}
    taken: set[str] = set()
    for machine in by_identity.values():
        if machine in named:
            continue
        stem = machine.name or "machine"
        numbers = itertools.count(2)
        name = stem
        while name in taken:
            name = f"{stem}-{next(numbers)}"
        taken.add(name)
        named[machine] = name
    return named


def _node_entries(
    nodes: Iterable[NodeDescription], machines: Mapping[Machine, str]
) -> Iterator[dict[str, Any]]:
    # Hashing a Machine walks through it; there are few, and many nodes.
    names = {id(node.machine): machines[node.machine] for node in _one_a_machine(nodes)}

    def body(node: NodeDescription) -> dict[str, Any]:
        optional = {
            "domains": dict(node.domains),
            "labels": dict(node.labels),
            "taints": [
                {"key": taint.key, "value": taint.value, "effect": taint.effect}
                for taint in node.taints
            ],
            "reserved_pus": node.reserved_pus,
            "cordoned": node.is_cordoned,
        }
        return {"machine": names[id(node.machine)]} | {
            key: value for key, value in optional.items() if value
        }

    # Only neighbours share an entry, so that the order of the nodes stays.
    for entry, run in itertools.groupby(nodes, body):
        for has_ranges, part in itertools.groupby(
            (node.name for node in run),
            is_plain,
        ):
            found = [*part]
            if has_ranges and len(found) > 1:
                yield {"names": _compact(ranges_of(found)), **entry}
            else:
                yield from ({"name": name, **entry} for name in found)


def _one_a_machine(nodes: Iterable[NodeDescription]) -> Iterable[NodeDescription]:
    return {id(node.machine): node for node in nodes}.values()


def _compact(ranges: list[str]) -> str | list[str]:
    return ranges[0] if len(ranges) == 1 else ranges


def _gang_entries(cluster: Cluster) -> tuple[list[dict[str, Any]], dict[str, set[str]]]:
    """Return the Gangs that run, and by node the owners that are pods of theirs."""
    entries: list[dict[str, Any]] = []
    owners: dict[str, set[str]] = {}
    held = {name: cluster.node(name).placements for name in cluster.nodes}
    for name, running in cluster.gangs.items():
        pods = []
        for pod in running.pods:
            owner = f"{name}/{pod.podset}/{pod.index}"
            placement = held.get(pod.node, {}).get(owner)
            if placement is None:
                # It lost its place: Cluster.grow finds it another one after reading.
                continue
            owners.setdefault(pod.node, set()).add(owner)
            pods.append(
                {
                    "podset": pod.podset,
                    "index": pod.index,
                    "node": pod.node,
                    "placement": placement.to_dict(),
                }
            )
        if pods:
            entry = {"gang": running.gang.to_dict(), "pods": pods}
            if running.rails:
                entry["rails"] = rail_document(running.rails)
            entries.append(entry)
    return entries, owners


def _state_entries(
    cluster: Cluster,
    nodes: Iterable[NodeDescription],
    owners: Mapping[str, set[str]],
) -> list[dict[str, Any]]:
    """Return what nodes hold besides pods of Gangs, equal states once."""
    found: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for node in nodes:
        rows = state_document(cluster.node(node.name).state_dict())
        pods = owners.get(node.name, set())
        state = {
            "placements": [
                row for row in rows["placements"] if row["owner"] not in pods
            ],
            "cordoned_pus": rows["cordoned_pus"],
            "cordoned_devices": rows["cordoned_devices"],
        }
        state = {key: value for key, value in state.items() if value}
        if state:
            found.setdefault(canonical(state), ([], state))[0].append(node.name)
    entries: list[dict[str, Any]] = []
    for names, state in found.values():
        plain = [name for name in names if is_plain(name)]
        if plain:
            entries.append({"nodes": _compact(ranges_of(plain)), **state})
        entries += [{"node": name, **state} for name in names if not is_plain(name)]
    return entries
