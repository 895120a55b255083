# SPDX-License-Identifier: Apache-2.0
"""Read PodGroups, CompositePodGroups and Workloads of scheduling.k8s.io.

Versions v1beta1 and v1alpha3; the limits are those of their types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from topoalloc.kubernetes._objects_read import plain
from topoalloc.kubernetes._objects_values import (
    ObjectError,
    dns_subdomain,
    fail,
    integer,
    label_key,
    listed,
    mapping,
    required,
    shown,
    text,
)

__all__ = ["PodGroupSpec", "PodGroups", "document_of", "read_groups"]

_GROUP = "scheduling.k8s.io/"
_VERSIONS = tuple(_GROUP + version for version in ("v1beta1", "v1alpha3"))
_KINDS = ("PodGroup", "CompositePodGroup", "Workload")
_MAX_TEMPLATES, _MAX_DEPTH, _MAX_KEYS, _MAX_CLAIMS = 8, 4, 1, 4
_LEAST_PRIORITY = -(2**31)


@dataclass(frozen=True)
class PodGroupSpec:
    """A PodGroup, or a CompositePodGroup.

    Attributes
    ----------
    key : (str, str, str)
        Kind, namespace, name.
    path : str
        Of the object.
    minimum : int or None
        Pods, or groups, that start together; None without a gang.
    topology : str or None
        The key of the label that all its nodes have one value of.
    parent : str or None
        Name of the CompositePodGroup that it belongs to.
    priority : int or None
        Given, or of its class.
    has_claims : bool
        It has claims that its pods share.
    """

    key: tuple[str, str, str]
    path: str
    minimum: int | None
    topology: str | None
    parent: str | None
    priority: int | None
    has_claims: bool


@dataclass
class PodGroups:
    """What was read: groups, and the pods of each."""

    groups: dict[tuple[str, str, str], PodGroupSpec] = field(default_factory=dict)
    pods: dict[tuple[str, str], list[tuple[Mapping[str, Any], str]]] = field(
        default_factory=dict
    )

    def children(self, of: PodGroupSpec) -> list[PodGroupSpec]:
        """Return the groups of a CompositePodGroup, in the order that they came in."""
        kind, namespace, name = of.key
        if kind != "CompositePodGroup":
            return []
        return [
            group
            for group in self.groups.values()
            if group.key[1] == namespace and group.parent == name
        ]

    def root(self, name: str | None) -> PodGroupSpec:
        """Return the group that no other one has: that of a name, or the only one.

        Raises
        ------
        ObjectError
            There is none, or more than one.
        """
        roots = [group for group in self.groups.values() if group.parent is None]
        if name is not None:
            roots = [group for group in roots if "/".join(group.key[1:]) == name]
        if len(roots) != 1:
            names = ", ".join("/".join(group.key[1:]) for group in roots[:4]) or "none"
            raise fail("objects", f"{names} at the root, want one PodGroup")
        return roots[0]


def read_groups(objects: Iterable[object]) -> PodGroups:
    """Read PodGroups, CompositePodGroups, Workloads, PriorityClasses and Pods.

    Raises
    ------
    ObjectError
        One of them breaks a rule of its API.
    """
    documents = [
        (document_of(item, f"objects[{number}]"), f"objects[{number}]")
        for number, item in enumerate(objects)
    ]
    priorities = {
        _names(document, path)[1]: integer(
            required(document, "value", path), f"{path}.value", _LEAST_PRIORITY
        )
        for document, path in documents
        if document.get("kind") == "PriorityClass"
    }
    found = PodGroups()
    for document, path in documents:
        kind = document.get("kind")
        if kind == "Pod":
            _add_pod(document, path, found)
        elif kind in _KINDS:
            version = document.get("apiVersion")
            if version not in _VERSIONS:
                wants = ", ".join(_VERSIONS)
                raise fail(f"{path}.apiVersion", f"{shown(version)}, want {wants}")
            if kind == "Workload":
                spec = mapping(required(document, "spec", path), f"{path}.spec")
                _check_templates(spec, f"{path}.spec", 1)
            else:
                group = _group(document, path, priorities)
                if group.key in found.groups:
                    raise fail(f"{path}.metadata.name", "given twice, want it once")
                found.groups[group.key] = group
        elif kind != "PriorityClass":
            wants = ", ".join((*_KINDS, "Pod", "PriorityClass"))
            raise fail(f"{path}.kind", f"{shown(kind)}, want one of {wants}")
    _check_parents(found)
    return found


def document_of(item: object, path: str) -> dict[str, Any]:
    """Return the object as the API has it; errors begin with its path."""
    try:
        document = plain(item)
    except ObjectError as error:
        message = f"{path}: {str(error).removeprefix('object: ')}"
        raise ObjectError(message) from None
    return mapping(document, path)


def _names(document: Mapping[str, Any], path: str) -> tuple[str, str]:
    metadata = mapping(required(document, "metadata", path), f"{path}.metadata")
    where = f"{path}.metadata"
    name = text(required(metadata, "name", where), f"{where}.name", dns_subdomain)
    return text(metadata.get("namespace", "default"), f"{where}.namespace"), name


def _add_pod(document: Mapping[str, Any], path: str, found: PodGroups) -> None:
    namespace, _ = _names(document, path)
    spec = mapping(required(document, "spec", path), f"{path}.spec")
    where = f"{path}.spec.schedulingGroup"
    group = mapping(spec.get("schedulingGroup") or {}, where)
    if "podGroupName" not in group:
        raise fail(where, "no podGroupName, want pods of a PodGroup")
    name = text(group["podGroupName"], f"{where}.podGroupName", dns_subdomain)
    found.pods.setdefault((namespace, name), []).append((document, path))


def _group(
    document: Mapping[str, Any], path: str, priorities: Mapping[str, int]
) -> PodGroupSpec:
    kind = document["kind"]
    spec = mapping(required(document, "spec", path), f"{path}.spec")
    where = f"{path}.spec"
    minimum = _policy(spec, where, is_composite=kind != "PodGroup")
    claims = listed(spec.get("resourceClaims"), f"{where}.resourceClaims", _MAX_CLAIMS)
    priority = spec.get("priority")
    name = text(spec.get("priorityClassName") or "", f"{where}.priorityClassName")
    if priority is not None:
        priority = integer(priority, f"{where}.priority", _LEAST_PRIORITY)
    elif name:
        if name not in priorities:
            message = f"{shown(name)}, want a PriorityClass that is given, too"
            raise fail(f"{where}.priorityClassName", message)
        priority = priorities[name]
    parent = spec.get("parentCompositePodGroupName")
    return PodGroupSpec(
        (kind, *_names(document, path)),
        path,
        minimum,
        _topology(spec, where),
        None
        if parent is None
        else text(parent, f"{where}.parentCompositePodGroupName"),
        priority,
        bool(claims),
    )


def _policy(spec: Mapping[str, Any], path: str, *, is_composite: bool) -> int | None:
    path += ".schedulingPolicy"
    policy = mapping(required(spec, "schedulingPolicy", path.rpartition(".")[0]), path)
    given = [name for name in ("basic", "gang") if name in policy]
    if len(given) != 1:
        raise fail(path, f"{len(given)} of basic and gang, want one")
    if given == ["basic"]:
        return None
    field_name = "minGroupCount" if is_composite else "minCount"
    gang = mapping(policy["gang"], f"{path}.gang")
    value = required(gang, field_name, f"{path}.gang")
    return integer(value, f"{path}.gang.{field_name}", 1)


def _topology(spec: Mapping[str, Any], path: str) -> str | None:
    path += ".schedulingConstraints"
    constraints = mapping(spec.get("schedulingConstraints") or {}, path)
    keys = listed(constraints.get("topology"), f"{path}.topology", _MAX_KEYS)
    for item, where in keys:
        key = required(mapping(item, where), "key", where)
        return text(key, f"{where}.key", label_key)
    return None


def _check_templates(spec: Mapping[str, Any], path: str, depth: int) -> None:
    name = "compositePodGroupTemplates"
    groups = listed(
        spec.get("podGroupTemplates"), f"{path}.podGroupTemplates", _MAX_TEMPLATES
    )
    composites = listed(spec.get(name), f"{path}.{name}", _MAX_TEMPLATES)
    if len(groups) + len(composites) > _MAX_TEMPLATES:
        count = len(groups) + len(composites)
        raise fail(path, f"{count} templates, want at most {_MAX_TEMPLATES}")
    for item, where in groups:
        template = mapping(item, where)
        text(required(template, "name", where), f"{where}.name", dns_subdomain)
        _policy(template, where, is_composite=False)
        _topology(template, where)
    for item, where in composites:
        if depth >= _MAX_DEPTH:
            raise fail(where, f"too deep, want at most {_MAX_DEPTH} levels")
        template = mapping(item, where)
        _policy(template, where, is_composite=True)
        _topology(template, where)
        _check_templates(template, where, depth + 1)


def _check_parents(found: PodGroups) -> None:
    for group in found.groups.values():
        depth, at = 1, group
        while at.parent is not None:
            path = f"{group.path}.spec.parentCompositePodGroupName"
            above = found.groups.get(("CompositePodGroup", at.key[1], at.parent))
            if above is None:
                message = f"{shown(at.parent)}, want a CompositePodGroup that is given"
                raise fail(path, message)
            depth, at = depth + 1, above
            if depth > _MAX_DEPTH:
                raise fail(path, f"too deep, want at most {_MAX_DEPTH} levels")
