# SPDX-License-Identifier: Apache-2.0
"""Read Pods of v1: what a pod asks of a node, and which nodes it may have.

What no Gang can say is refused by its path, unless its name is in `ignored`. Soft
wishes (preferred affinity, ScheduleAnyway) decide nothing and are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from topoalloc._gang import Toleration
from topoalloc.kubernetes._objects import NodeOperator, NodeRequirement
from topoalloc.kubernetes._objects_slice import node_terms
from topoalloc.kubernetes._objects_values import (
    ObjectError,
    below,
    chosen,
    dns_subdomain,
    fail,
    label_key,
    label_value,
    listed,
    mapping,
    named,
    quantity,
    required,
    shown,
    text,
)

__all__ = [
    "CPU_NAME",
    "Pod",
    "PodShape",
    "pod_shape",
    "read_pod",
    "resource_amounts",
    "unsaid",
]

CPU_NAME = "cpu"
"""The one resource that is counted in thousandths."""

_NANOS, _MILLI_NANOS = 10**9, 10**6
_MAX_ITEMS = 10_000
_POD_LEVEL = ("cpu", "memory")
_NAMESPACE = "default"


class _Operator(Enum):
    EQUAL = "Equal"
    EXISTS = "Exists"


class _Effect(Enum):
    ANY = ""
    NO_SCHEDULE = "NoSchedule"
    PREFER = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@dataclass(frozen=True, slots=True)
class PodShape:
    """What makes pods alike: amounts by resource, and the nodes that serve.

    A node serves when it meets every requirement of one of the terms.
    """

    amounts: tuple[tuple[str, int], ...]
    terms: tuple[tuple[NodeRequirement, ...], ...]
    tolerations: tuple[Toleration, ...]


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod; `group` and `node` are empty where it names none."""

    namespace: str
    name: str
    group: str
    node: str
    is_over: bool
    path: str
    shape: PodShape


def read_pod(document: Mapping[str, Any], path: str, ignored: Collection[str]) -> Pod:
    """Read a Pod.

    Raises
    ------
    ObjectError
        It breaks a rule of its API, or asks for what cannot be said.
    """
    metadata = mapping(required(document, "metadata", path), below(path, "metadata"))
    at = below(path, "metadata")
    name = text(required(metadata, "name", at), f"{at}.name", dns_subdomain)
    namespace = text(
        metadata.get("namespace", _NAMESPACE), f"{at}.namespace", dns_subdomain
    )
    where = below(path, "spec")
    spec = mapping(required(document, "spec", path), where)
    joined = mapping(spec.get("schedulingGroup", {}), f"{where}.schedulingGroup")
    group = ""
    if "podGroupName" in joined:
        at = f"{where}.schedulingGroup.podGroupName"
        group = text(joined["podGroupName"], at, dns_subdomain)
    node = text(spec.get("nodeName", ""), f"{where}.nodeName")
    status = mapping(document.get("status", {}), below(path, "status"))
    is_over = status.get("phase") in ("Succeeded", "Failed")
    # A pod that is bound asks no more where it may run.
    shape = pod_shape(spec, where, ignored, is_bound=bool(node))
    return Pod(namespace, name, group, node, is_over, path, shape)


def pod_shape(
    spec: Mapping[str, Any], path: str, ignored: Collection[str], *, is_bound: bool
) -> PodShape:
    """Read what the `spec` of a Pod asks for."""
    amounts = tuple(sorted(_amounts(spec, path).items()))
    if is_bound:
        return PodShape(amounts, (), ())
    _refuse_unsaid(spec, path, ignored)
    return PodShape(amounts, _terms(spec, path), _tolerations(spec, path))


# --- amounts ---


def resource_amounts(value: object, path: str) -> dict[str, int]:
    """Read a map of resources: thousandths of CPU, whole units of the rest."""
    found = {}
    for name, inner, where in named(value, path, _MAX_ITEMS):
        text(name, where, label_key)
        nanos = quantity(inner, where)
        if nanos < 0:
            raise fail(where, f"{shown(inner)}, want at least 0")
        unit = _MILLI_NANOS if name == CPU_NAME else _NANOS
        # Kubernetes rounds up.
        found[name] = -(-nanos // unit)
    return found


def _requests(value: object, path: str) -> dict[str, int]:
    """Read `resources`: what is limited and not requested is requested in full."""
    found = mapping({} if value is None else value, path)
    limits = resource_amounts(found.get("limits"), f"{path}.limits")
    requests = resource_amounts(found.get("requests"), f"{path}.requests")
    for name, amount in requests.items():
        if name in limits and amount > limits[name]:
            raise fail(
                f"{path}.requests[{name}]",
                f"{amount}, want at most its limit, {limits[name]}",
            )
    return limits | requests


def _amounts(spec: Mapping[str, Any], path: str) -> dict[str, int]:
    """Return what a node must have for the pod, as the scheduler counts it."""
    running = _sum(
        _requests(_field(item, where, "resources"), f"{where}.resources")
        for item, where in _containers(spec, path, "containers")
    )
    # Sidecars run on beside all that starts after them.
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for item, where in _containers(spec, path, "initContainers"):
        own = _requests(_field(item, where, "resources"), f"{where}.resources")
        needed = _sum((sidecars, own))
        if _field(item, where, "restartPolicy") == "Always":
            sidecars = needed
        peak = _most(peak, needed)
    found = _most(_sum((running, sidecars)), peak)
    whole = mapping(spec.get("resources", {}), f"{path}.resources")
    for name, amount in _requests(whole, f"{path}.resources").items():
        if name not in _POD_LEVEL and not name.startswith("hugepages-"):
            want = "cpu, memory or hugepages of a pod as a whole"
            raise fail(f"{path}.resources", f"{shown(name)}, want {want}")
        # A limit alone is a request only where no container has one.
        if name in (whole.get("requests") or {}) or name not in found:
            found[name] = amount
    found = _sum((found, resource_amounts(spec.get("overhead"), f"{path}.overhead")))
    return {name: amount for name, amount in found.items() if amount}


def _containers(
    spec: Mapping[str, Any], path: str, name: str
) -> list[tuple[dict[str, Any], str]]:
    return [
        (mapping(item, where), where)
        for item, where in listed(spec.get(name), f"{path}.{name}", _MAX_ITEMS)
    ]


def _field(container: Mapping[str, Any], path: str, name: str) -> object:
    value = container.get(name)
    if name == "restartPolicy" and value is not None:
        return text(value, f"{path}.{name}")
    return value


def _sum(parts: Any) -> dict[str, int]:  # noqa: ANN401 - an iterable of dicts.
    found: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            found[name] = found.get(name, 0) + amount
    return found


def _most(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {
        name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}
    }


# --- nodes ---


def _terms(
    spec: Mapping[str, Any], path: str
) -> tuple[tuple[NodeRequirement, ...], ...]:
    """Return the terms of which one is to be met as a whole; none where any node is."""
    chosen_by = []
    for key, value, where in named(
        spec.get("nodeSelector"), f"{path}.nodeSelector", _MAX_ITEMS
    ):
        text(key, where, label_key)
        wanted = (text(value, where, label_value),)
        chosen_by.append(NodeRequirement(key, NodeOperator.IN, wanted))
    affinity = mapping(spec.get("affinity", {}), f"{path}.affinity")
    at = f"{path}.affinity.nodeAffinity"
    of_nodes = mapping(affinity.get("nodeAffinity", {}), at)
    field = "requiredDuringSchedulingIgnoredDuringExecution"
    if field not in of_nodes:
        return (tuple(chosen_by),) if chosen_by else ()
    terms = node_terms(of_nodes[field], f"{at}.{field}")
    if not terms:
        raise fail(f"{at}.{field}.nodeSelectorTerms", "0 items, want at least one")
    # A term without requirements selects nothing.
    met = tuple((*chosen_by, *term) for term in terms if term)
    if not met:
        raise fail(f"{at}.{field}.nodeSelectorTerms", "empty, want a requirement")
    return met


def _tolerations(spec: Mapping[str, Any], path: str) -> tuple[Toleration, ...]:
    found = []
    for item, where in listed(
        spec.get("tolerations"), f"{path}.tolerations", _MAX_ITEMS
    ):
        entry = mapping(item, where)
        key = text(entry.get("key", ""), f"{where}.key")
        value = text(entry.get("value", ""), f"{where}.value")
        operator = chosen(
            entry.get("operator", "Equal"), f"{where}.operator", _Operator
        )
        effect = chosen(entry.get("effect", ""), f"{where}.effect", _Effect)
        if not key and operator is not _Operator.EXISTS:
            raise fail(f"{where}.operator", "'Equal' without a key, want Exists")
        if operator is _Operator.EXISTS and value:
            raise fail(f"{where}.value", f"{shown(value)} with Exists, want none")
        if effect is _Effect.PREFER:
            continue
        found.append(
            Toleration(
                key or None,
                None if operator is _Operator.EXISTS else value,
                effect.value or None,
            )
        )
    return tuple(found)


# --- what cannot be said ---


def _refuse_unsaid(
    spec: Mapping[str, Any], path: str, ignored: Collection[str]
) -> None:
    for name in ("schedulingGates", "resourceClaims"):
        if name not in ignored and listed(spec.get(name), f"{path}.{name}", _MAX_ITEMS):
            raise unsaid(f"{path}.{name}", name)
    affinity = mapping(spec.get("affinity", {}), f"{path}.affinity")
    for name in ("podAffinity", "podAntiAffinity"):
        at = f"{path}.affinity.{name}"
        field = "requiredDuringSchedulingIgnoredDuringExecution"
        if name not in ignored and mapping(affinity.get(name, {}), at).get(field):
            raise unsaid(f"{at}.{field}", name)
    for item, where in listed(
        spec.get("topologySpreadConstraints"),
        f"{path}.topologySpreadConstraints",
        _MAX_ITEMS,
    ):
        soft = mapping(item, where).get("whenUnsatisfiable") == "ScheduleAnyway"
        if not soft and "topologySpreadConstraints" not in ignored:
            raise unsaid(where, "topologySpreadConstraints")
    for item, where in listed(spec.get("volumes"), f"{path}.volumes", _MAX_ITEMS):
        for name in ("persistentVolumeClaim", "ephemeral"):
            if name in mapping(item, where) and name not in ignored:
                raise unsaid(f"{where}.{name}", name)
    for item, where in _containers(spec, path, "containers"):
        for port, at in listed(item.get("ports"), f"{where}.ports", _MAX_ITEMS):
            if mapping(port, at).get("hostPort") and "hostPort" not in ignored:
                raise unsaid(f"{at}.hostPort", "hostPort")


def unsaid(path: str, name: str) -> ObjectError:
    """Return the error of what a Gang has no words for."""
    return fail(
        path, f"given, want none: a Gang cannot say it (ignore={name!r} passes it over)"
    )
