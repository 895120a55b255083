# SPDX-License-Identifier: Apache-2.0
"""What a pod wants, as a Request: resources of its containers, and where it may run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from topoalloc._constraints import Not, OneOf
from topoalloc._errors import InvalidRequestError
from topoalloc._gang import LabelCondition, Toleration
from topoalloc._request import Request
from topoalloc.kubernetes._cel_types import parse_quantity, quantity_nanos
from topoalloc.kubernetes._objects_values import (
    fail,
    label_key,
    listed,
    mapping,
    shown,
    text,
)
from topoalloc.kubernetes._pod_unsaid import refuse_unsaid

__all__ = ["NANO", "Amounts", "PodShape", "pod_amounts", "read_pod", "request_of"]

NANO = 10**9
"""Billionths in one: amounts are counted in them."""
_MAX = 10_000  # no limit of the API, which bounds the size of an object
_HUGE: Final = "hugepages-"
# Of a node, and not of a machine: nothing to place.
_IGNORED = {"ephemeral-storage", "pods"}
# No value of a label: whatever a node has there is another one.
_NO_VALUE = "!"

Amounts = dict[str, int]  # billionths


@dataclass(frozen=True)
class PodShape:
    """What pods of one kind want.

    Attributes
    ----------
    request : Request
        Of each pod.
    where : tuple of (str, str, Not or OneOf)
        Conditions on labels of nodes.
    tolerations : tuple of Toleration
        Taints that do not keep it away.
    """

    request: Request
    where: tuple[tuple[str, LabelCondition], ...]
    tolerations: tuple[Toleration, ...]


def read_pod(
    pod: Mapping[str, Any],
    path: str,
    resources: Mapping[str, str],
    ignore: Collection[str],
) -> PodShape:
    """Read what a pod wants that has no node yet.

    Raises
    ------
    ObjectError
        It breaks a rule, or wants what a Request or a PodSet can not say.
    """
    spec = mapping(pod.get("spec", {}), f"{path}.spec")
    refuse_unsaid(spec, f"{path}.spec", ignore)
    request = request_of(pod_amounts(spec, f"{path}.spec"), f"{path}.spec", resources)
    if request is None:
        raise fail(f"{path}.spec.containers", "no requests, want some")
    return PodShape(
        request,
        tuple(sorted(_where(spec, f"{path}.spec").items())),
        tuple(
            _toleration(mapping(item, where), where)
            for item, where in listed(
                spec.get("tolerations"), f"{path}.spec.tolerations", _MAX
            )
            # Such a taint keeps nothing away.
            if mapping(item, where).get("effect") != "PreferNoSchedule"
        ),
    )


def pod_amounts(spec: Mapping[str, Any], path: str) -> Amounts:
    """Return what a pod requests: the rule of Kubernetes' PodRequests.

    Containers add up; a container of before them counts while it runs, together with
    those of before them that stay. What the pod as a whole requests of CPU, memory and
    huge pages stands in place of that; the overhead comes on top.
    """
    total = _of_containers(spec, path)
    given = mapping(spec.get("resources") or {}, f"{path}.resources")
    requests = mapping(given.get("requests") or {}, f"{path}.resources.requests")
    for name, amount in _requests(given, f"{path}.resources").items():
        if name not in {"cpu", "memory"} and not name.startswith(_HUGE):
            want = "want cpu, memory and hugepages of a pod as a whole"
            raise fail(f"{path}.resources", f"{shown(name)}, {want}")
        # A limit alone is a request only where no container has one.
        if name in requests or name not in total:
            total[name] = amount
    return _sum(total, _quantities(spec.get("overhead"), f"{path}.overhead"))


def _of_containers(spec: Mapping[str, Any], path: str) -> Amounts:
    total: Amounts = {}
    for item, where in listed(spec.get("containers"), f"{path}.containers", _MAX):
        total = _sum(total, _of_container(item, where))
    stay: Amounts = {}
    most: Amounts = {}
    name = "initContainers"
    for item, where in listed(spec.get(name), f"{path}.{name}", _MAX):
        own = _of_container(item, where)
        if mapping(item, where).get("restartPolicy") == "Always":
            stay = _sum(stay, own)
            most = _largest(most, stay)
        else:
            most = _largest(most, _sum(stay, own))
    return _largest(_sum(total, stay), most)


def _of_container(item: object, path: str) -> Amounts:
    resources = mapping(mapping(item, path).get("resources") or {}, f"{path}.resources")
    return _requests(resources, f"{path}.resources")


def _requests(resources: Mapping[str, Any], path: str) -> Amounts:
    # A limit without a request is one.
    limits = _quantities(resources.get("limits"), f"{path}.limits")
    return limits | _quantities(resources.get("requests"), f"{path}.requests")


def _quantities(value: object, path: str) -> Amounts:
    found = {}
    for name, amount in mapping(value or {}, path).items():
        where = f"{path}[{name}]"
        try:
            nanos = quantity_nanos(parse_quantity(str(amount)))
        except ValueError:
            message = f"{shown(amount)}, want a quantity such as 80Gi or 100m"
            raise fail(where, message) from None
        if nanos < 0:
            raise fail(where, f"{shown(amount)}, want 0 or more")
        found[name] = nanos
    return found


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one | other}


def _largest(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in one | other}


def request_of(
    amounts: Amounts, path: str, resources: Mapping[str, str]
) -> Request | None:
    """Return the Request for amounts; None where they ask for nothing."""
    # Parts of a PU or a byte are none: the pod gets the whole.
    whole = {name: -(-amount // NANO) for name, amount in amounts.items() if amount}
    devices: dict[str, int] = {}
    hugepages: dict[int | str, int | str] = {}
    for name, amount in whole.items():
        if name in resources:
            kind = resources[name]
            devices[kind] = devices.get(kind, 0) + amount
        elif name.startswith(_HUGE):
            hugepages[name.removeprefix(_HUGE)] = amount
        elif name not in {"cpu", "memory", *_IGNORED}:
            known = ", ".join(sorted(resources)) or "none"
            message = f"{amount}, want it among resources, which has {known}"
            raise fail(f"{path}.containers: {name}", message)
    if not (whole.keys() - _IGNORED):
        return None
    try:
        return Request(
            pus=whole.get("cpu", 0),
            memory=whole.get("memory", 0),
            hugepages=hugepages,
            devices=devices,
        )
    except InvalidRequestError as error:
        raise fail(path, str(error)) from None


def _where(spec: Mapping[str, Any], path: str) -> dict[str, LabelCondition]:
    found: dict[str, LabelCondition] = {}
    for key, value in mapping(spec.get("nodeSelector") or {}, path).items():
        found[key] = text(value, f"{path}.nodeSelector[{key}]")
    affinity = mapping(spec.get("affinity") or {}, f"{path}.affinity")
    path += ".affinity.nodeAffinity"
    own = mapping(affinity.get("nodeAffinity") or {}, path)
    path += ".requiredDuringSchedulingIgnoredDuringExecution"
    required = mapping(own.get(path.rpartition(".")[2]) or {}, path)
    path += ".nodeSelectorTerms"
    terms = listed(required.get("nodeSelectorTerms"), path, _MAX)
    if len(terms) > 1:
        raise fail(path, f"{len(terms)} items, want one: a PodSet has no alternatives")
    for item, where in terms:
        term = mapping(item, where)
        if term.get("matchFields"):
            raise fail(f"{where}.matchFields", "there, want labels alone")
        expressions = f"{where}.matchExpressions"
        for entry, at in listed(term.get("matchExpressions"), expressions, _MAX):
            key, condition = _expression(mapping(entry, at), at)
            if found.get(key, condition) != condition:
                raise fail(at, f"two conditions on {key}, want one")
            found[key] = condition
    return found


def _expression(entry: Mapping[str, Any], path: str) -> tuple[str, LabelCondition]:
    key = text(entry.get("key"), f"{path}.key", label_key)
    operator = text(entry.get("operator"), f"{path}.operator")
    values = [
        text(value, where)
        for value, where in listed(entry.get("values"), f"{path}.values", _MAX)
    ]
    if operator == "In" and values:
        return key, values[0] if len(values) == 1 else OneOf(*values)
    if operator == "Exists":
        return key, Not(_NO_VALUE)
    message = f"{shown(operator)}, want In with values, or Exists"
    raise fail(f"{path}.operator", message)


def _toleration(found: Mapping[str, Any], path: str) -> Toleration:
    operator = found.get("operator") or "Equal"
    if operator not in ("Equal", "Exists"):
        raise fail(f"{path}.operator", f"{shown(operator)}, want Equal or Exists")
    value = text(found.get("value", ""), f"{path}.value")
    key = text(found.get("key", ""), f"{path}.key")
    if not key and operator != "Exists":
        raise fail(f"{path}.operator", "'Equal' without a key, want Exists")
    effect = text(found.get("effect", ""), f"{path}.effect")
    if effect not in {"", "NoSchedule", "NoExecute"}:
        want = "want NoSchedule, PreferNoSchedule or NoExecute"
        raise fail(f"{path}.effect", f"{shown(effect)}, {want}")
    return Toleration(
        key or None, None if operator == "Exists" else value, effect or None
    )
