# SPDX-License-Identifier: Apache-2.0
"""Read PodGroups, CompositePodGroups, Workloads, PriorityClasses.

The groups of scheduling.k8s.io have one shape in v1beta1 and v1alpha3. Of the limits of
the API these are held: 8 templates, 4 levels, one topology key, 4 resource claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from topoalloc.kubernetes._objects_values import (
    below,
    boolean,
    dns_label,
    dns_subdomain,
    fail,
    fields,
    integer,
    label_key,
    listed,
    mapping,
    once,
    required,
    shown,
    text,
)

__all__ = [
    "MAX_DEPTH",
    "GroupSpec",
    "PodGroup",
    "PriorityClass",
    "Workload",
    "read_group",
    "read_priority_class",
    "read_workload",
]

MAX_DEPTH = 4
"""Levels of a hierarchy of groups or templates, PodGroups among them."""

_MAX_TEMPLATES, _MAX_CLAIMS, _MAX_KEYS = 8, 4, 1
_MAX_COUNT = 2**31 - 1
_SHARED = {
    "schedulingPolicy",
    "schedulingConstraints",
    "disruptionMode",
    "priorityClassName",
    "priority",
    "preemptionPolicy",
}
_OF_GROUP = _SHARED | {"parentCompositePodGroupName", "workloadRef"}
_CHILDREN = {"podGroupTemplates", "compositePodGroupTemplates"}


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """What a group and its template share; `least` is None with the policy basic."""

    least: int | None
    key: str | None
    is_all: bool
    has_claims: bool
    priority: int | None
    priority_class: str
    path: str


@dataclass(frozen=True, slots=True)
class PodGroup:
    """A PodGroup or CompositePodGroup; `parent` is empty for a root."""

    namespace: str
    name: str
    is_composite: bool
    parent: str
    workload: str
    template: str
    spec: GroupSpec
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A template of a Workload and its children."""

    name: str
    is_composite: bool
    spec: GroupSpec
    children: tuple[Template, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A Workload."""

    namespace: str
    name: str
    templates: tuple[Template, ...]
    path: str

    def every(self) -> list[Template]:
        """Return its templates, those below others too."""
        found, open_ = [], [*self.templates]
        while open_:
            template = open_.pop(0)
            found.append(template)
            open_ = [*template.children, *open_]
        return found


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A PriorityClass."""

    name: str
    value: int
    is_default: bool


def names_of(document: Mapping[str, Any], path: str) -> tuple[str, str]:
    """Return namespace and name."""
    at = below(path, "metadata")
    metadata = mapping(required(document, "metadata", path), at)
    return (
        text(metadata.get("namespace", "default"), f"{at}.namespace", dns_subdomain),
        text(required(metadata, "name", at), f"{at}.name", dns_subdomain),
    )


def read_group(
    document: Mapping[str, Any], path: str, *, is_composite: bool
) -> PodGroup:
    """Read a PodGroup or a CompositePodGroup.

    Raises
    ------
    ObjectError
        It breaks a rule of its API.
    """
    namespace, name = names_of(document, path)
    where = below(path, "spec")
    known = _OF_GROUP if is_composite else _OF_GROUP | {"resourceClaims"}
    spec = fields(required(document, "spec", path), where, known)
    parent = ""
    if "parentCompositePodGroupName" in spec:
        at = f"{where}.parentCompositePodGroupName"
        parent = text(spec["parentCompositePodGroupName"], at, dns_subdomain)
    workload = template = ""
    if is_composite:
        required(spec, "workloadRef", where)
    if "workloadRef" in spec:
        at = f"{where}.workloadRef"
        of = fields(spec["workloadRef"], at, {"workloadName", "templateName"})
        workload = text(
            required(of, "workloadName", at), f"{at}.workloadName", dns_subdomain
        )
        template = text(
            required(of, "templateName", at), f"{at}.templateName", dns_label
        )
    return PodGroup(
        namespace,
        name,
        is_composite,
        parent,
        workload,
        template,
        _spec(spec, where, is_composite=is_composite),
        document,
    )


def _spec(spec: Mapping[str, Any], path: str, *, is_composite: bool) -> GroupSpec:
    claims = listed(spec.get("resourceClaims"), f"{path}.resourceClaims", _MAX_CLAIMS)
    for item, where in claims:
        _claim(item, where)
    once([item["name"] for item, _ in claims], f"{path}.resourceClaims", ".name")
    priority = None
    if "priority" in spec:
        priority = integer(spec["priority"], f"{path}.priority")
        if not -(2**31) <= priority < 2**31:
            raise fail(f"{path}.priority", f"{priority}, want 32 bits")
    policies = ("Never", "PreemptLowerPriority")
    if spec.get("preemptionPolicy", policies[0]) not in policies:
        at = f"{path}.preemptionPolicy"
        raise fail(
            at, f"{shown(spec['preemptionPolicy'])}, want {' or '.join(policies)}"
        )
    return GroupSpec(
        _policy(
            required(spec, "schedulingPolicy", path),
            f"{path}.schedulingPolicy",
            "minGroupCount" if is_composite else "minCount",
        ),
        _key(spec.get("schedulingConstraints"), f"{path}.schedulingConstraints"),
        _union(spec.get("disruptionMode", {"single": {}}), f"{path}.disruptionMode")
        == "all",
        bool(claims),
        priority,
        text(spec.get("priorityClassName", ""), f"{path}.priorityClassName"),
        path,
    )


def _policy(value: object, path: str, least: str) -> int | None:
    found = fields(value, path, {"basic", "gang"})
    if len(found) != 1:
        raise fail(path, f"{len(found)} policies, want basic or gang")
    if "basic" in found:
        fields(found["basic"], f"{path}.basic", ())
        return None
    gang = fields(found["gang"], f"{path}.gang", {least})
    at = f"{path}.gang.{least}"
    number = integer(required(gang, least, f"{path}.gang"), at, 1)
    if number > _MAX_COUNT:
        raise fail(at, f"{shown(number)}, want at most {_MAX_COUNT}")
    return number


def _union(value: object, path: str) -> str:
    found = fields(value, path, {"single", "all"})
    if len(found) != 1:
        raise fail(path, f"{len(found)} modes, want single or all")
    ((mode, inner),) = found.items()
    fields(inner, f"{path}.{mode}", ())
    return mode


def _key(value: object, path: str) -> str | None:
    found = fields({} if value is None else value, path, {"topology"})
    path += ".topology"
    for item, where in listed(found.get("topology"), path, _MAX_KEYS):
        entry = fields(item, where, {"key"})
        return text(required(entry, "key", where), f"{where}.key", label_key)
    return None


def _claim(value: object, path: str) -> None:
    sources = ("resourceClaimName", "resourceClaimTemplateName")
    found = fields(value, path, {"name", *sources})
    text(required(found, "name", path), f"{path}.name", dns_label)
    given = [name for name in sources if name in found]
    if len(given) != 1:
        raise fail(path, f"{len(given)} sources, want {' or '.join(sources)}")
    text(found[given[0]], f"{path}.{given[0]}", dns_subdomain)


def read_workload(document: Mapping[str, Any], path: str) -> Workload:
    """Read a Workload.

    Raises
    ------
    ObjectError
        It breaks a rule of its API.
    """
    namespace, name = names_of(document, path)
    where = below(path, "spec")
    spec = fields(
        required(document, "spec", path), where, _CHILDREN | {"controllerRef"}
    )
    if len(_CHILDREN & {*spec}) != 1:
        wants = " or ".join(sorted(_CHILDREN))
        raise fail(where, f"{len(_CHILDREN & {*spec})} lists, want {wants}")
    workload = Workload(namespace, name, _templates(spec, where, 1), path)
    seen: dict[str, str] = {}
    for template in workload.every():
        if template.name in seen:
            raise fail(
                f"{template.spec.path}.name",
                f"{shown(template.name)} is given twice, first at "
                f"{seen[template.name]}",
            )
        seen[template.name] = template.spec.path
    return workload


def _templates(of: Mapping[str, Any], path: str, depth: int) -> tuple[Template, ...]:
    found: list[Template] = []
    for field in ("podGroupTemplates", "compositePodGroupTemplates"):
        at = f"{path}.{field}"
        for item, where in listed(of.get(field), at, _MAX_TEMPLATES):
            is_composite = field == "compositePodGroupTemplates"
            lowest = depth + is_composite
            if lowest > MAX_DEPTH:
                raise fail(where, f"{lowest} levels, want at most {MAX_DEPTH}")
            found.append(_template(item, where, depth, is_composite=is_composite))
    if not found:
        raise fail(path, f"no template, want one in {' or '.join(sorted(_CHILDREN))}")
    return tuple(found)


def _template(value: object, path: str, depth: int, *, is_composite: bool) -> Template:
    known = _SHARED | (_CHILDREN if is_composite else {"resourceClaims"}) | {"name"}
    found = fields(value, path, known)
    name = text(required(found, "name", path), f"{path}.name", dns_label)
    return Template(
        name,
        is_composite,
        _spec(found, path, is_composite=is_composite),
        _templates(found, path, depth + 1) if is_composite else (),
    )


def read_priority_class(document: Mapping[str, Any], path: str) -> PriorityClass:
    """Read a PriorityClass, which has no `spec`.

    Raises
    ------
    ObjectError
        It breaks a rule of its API.
    """
    _, name = names_of(document, path)
    value = integer(required(document, "value", path), below(path, "value"))
    if not -(2**31) <= value < 2**31:
        raise fail(below(path, "value"), f"{shown(value)}, want 32 bits")
    is_default = boolean(
        document.get("globalDefault", False), below(path, "globalDefault")
    )
    return PriorityClass(name, value, is_default)
