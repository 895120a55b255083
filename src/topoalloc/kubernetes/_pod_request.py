# SPDX-License-Identifier: Apache-2.0
"""From what a Pod asks for to a Request, and to what labels of a node must be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from topoalloc._constraints import OneOf
from topoalloc._errors import InvalidRequestError
from topoalloc._gang import LabelCondition
from topoalloc._request import Request
from topoalloc.kubernetes._node_target import is_met
from topoalloc.kubernetes._objects import ClusterNode, NodeOperator, NodeRequirement
from topoalloc.kubernetes._objects_pod import CPU_NAME, PodShape
from topoalloc.kubernetes._objects_values import fail, shown

__all__ = ["NAME_LABEL", "ResourceRules", "labels_of", "request_of"]

NAME_LABEL = "metadata.name"
"""The label that `cluster` gives each node: its name."""

_MILLI = 1000
_HUGE = "hugepages-"


@dataclass(frozen=True, slots=True)
class ResourceRules:
    """How resources are read.

    `devices` maps extended resources to classes of devices, `ignored` are resources and
    fields to pass over, and `rounds_cpu` says that part of a CPU counts as a whole PU.
    """

    devices: Mapping[str, str]
    ignored: frozenset[str]
    rounds_cpu: bool

    @classmethod
    def of(cls, devices: object, ignore: object, *, round_cpu: bool) -> ResourceRules:
        """Check the arguments that `gang` and `cluster` share."""
        if not isinstance(devices, Mapping) or not all(
            isinstance(text, str) for pair in devices.items() for text in pair
        ):
            message = "devices: want a mapping of resources to classes of devices"
            raise InvalidRequestError(message)
        if isinstance(ignore, str) or not (
            isinstance(ignore, Collection)
            and all(isinstance(name, str) for name in ignore)
        ):
            raise InvalidRequestError("ignore: want a list of names")
        if not isinstance(round_cpu, bool):
            raise InvalidRequestError(f"round_cpu: {shown(round_cpu)}, want a bool")
        return cls(dict(devices), frozenset(ignore), round_cpu)


def request_of(
    amounts: Mapping[str, int], path: str, rules: ResourceRules
) -> Request | None:
    """Return the Request for amounts; None where they ask for nothing.

    Raises
    ------
    ObjectError
        A resource is of no class, or CPU is no whole number of PUs.
    """
    pus = memory = 0
    hugepages: dict[str | int, str | int] = {}
    devices: dict[str, int] = {}
    for name, amount in amounts.items():
        if name in rules.ignored:
            continue
        if name == CPU_NAME:
            pus = -(-amount // _MILLI)
            if amount % _MILLI and not rules.rounds_cpu:
                want = "want whole CPUs, or round_cpu=True"
                raise fail(path, f"{amount}m of cpu, {want}")
        elif name == "memory":
            memory = amount
        elif name.startswith(_HUGE):
            hugepages[name.removeprefix(_HUGE)] = amount
        elif name in rules.devices:
            device = rules.devices[name]
            devices[device] = devices.get(device, 0) + amount
        else:
            want = "want it in devices=, as of a class of devices, or in ignore="
            raise fail(path, f"{amount} of {shown(name)}, {want}")
    if not (pus or memory or hugepages or devices):
        return None
    try:
        return Request(pus=pus, memory=memory, hugepages=hugepages, devices=devices)
    except InvalidRequestError as error:
        raise fail(path, str(error)) from None


def labels_of(
    shape: PodShape, path: str, nodes: Sequence[ClusterNode] | None
) -> dict[str, LabelCondition]:
    """Return what labels of a node must be.

    What `where` cannot say (NotIn, Exists, several terms) becomes a list of the names
    of the nodes that serve.

    Raises
    ------
    ObjectError
        It needs the nodes, and they are not given; or no node serves.
    """
    found = _plain_terms(shape.terms)
    if found is not None:
        return found
    at = f"{path}.affinity.nodeAffinity"
    if nodes is None:
        want = "want In of one term alone, or nodes="
        raise fail(at, f"more than labels of a Gang can say, {want}")
    serving = [
        node.name
        for node in nodes
        if any(all(is_met(need, node) for need in term) for term in shape.terms)
    ]
    if not serving:
        raise fail(at, f"met by none of {len(nodes)} nodes, want one that serves")
    return {NAME_LABEL: OneOf(*serving)}


def _plain_terms(
    terms: Sequence[Sequence[NodeRequirement]],
) -> dict[str, LabelCondition] | None:
    if not terms:
        return {}
    if len(terms) > 1:
        return None
    allowed: dict[str, list[str]] = {}
    for need in terms[0]:
        if need.operator is not NodeOperator.IN:
            return None
        key = NAME_LABEL if need.is_field else need.key
        values = [*dict.fromkeys(need.values)]
        if key in allowed:
            values = [value for value in allowed[key] if value in values]
        if not values:
            return None
        allowed[key] = values
    return {
        key: values[0] if len(values) == 1 else OneOf(*values)
        for key, values in allowed.items()
    }
