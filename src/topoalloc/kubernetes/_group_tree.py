# SPDX-License-Identifier: Apache-2.0
"""The objects of one question by kind, and the hierarchy of their groups checked.

The rules are those that kube-scheduler holds a hierarchy to (KEP-6012, "Group
hierarchy"): no cycle, at most 4 levels, one Workload, one priority, no basic group in a
gang, no group of single disruption in one of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from topoalloc._errors import InvalidRequestError
from topoalloc.kubernetes._objects_group import (
    MAX_DEPTH,
    PodGroup,
    PriorityClass,
    Workload,
    read_group,
    read_priority_class,
    read_workload,
)
from topoalloc.kubernetes._objects_pod import Pod, read_pod
from topoalloc.kubernetes._objects_read import plain
from topoalloc.kubernetes._objects_values import (
    ObjectError,
    fail,
    listed,
    mapping,
    shown,
    text,
)
from topoalloc.kubernetes._workload_tree import groups_of_workload, template_shapes
from topoalloc.kubernetes._yaml import YamlError, read_yaml

__all__ = ["GroupTree", "documents", "kind_of", "read_tree"]

_GROUPS = ("scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1alpha3")
KINDS = {
    "Pod": ("v1",),
    "PodGroup": _GROUPS,
    "CompositePodGroup": _GROUPS[1:],
    "Workload": _GROUPS,
    "PriorityClass": ("scheduling.k8s.io/v1",),
}
_SYSTEM = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}
_MAX_ITEMS = 1_000_000


def documents(name: str, objects: object) -> list[tuple[dict[str, Any], str]]:
    """Return every object with its path; text may hold several, a list is its items."""
    if isinstance(objects, (str, bytes, bytearray, Mapping)) or not isinstance(
        objects, Iterable
    ):
        objects = (objects,)
    found = []
    for index, source in enumerate(objects):
        path = f"{name}[{index}]"
        for document, where in _parts(source, path):
            if str(document.get("kind", "")).endswith("List"):
                items = listed(document.get("items"), f"{where}.items", _MAX_ITEMS)
                kind = str(document["kind"]).removesuffix("List")
                # Items of a list have their version and kind from it.
                shared = {"apiVersion": document.get("apiVersion"), "kind": kind}
                found += [
                    (mapping((shared if kind else {}) | mapping(item, at), at), at)
                    for item, at in items
                ]
            else:
                found.append((document, where))
    return found


def _parts(source: object, path: str) -> list[tuple[dict[str, Any], str]]:
    is_text = isinstance(source, (str, bytes, bytearray))
    try:
        written = source.decode() if isinstance(source, (bytes, bytearray)) else source
    except UnicodeDecodeError as error:
        raise fail(path, f"no text of UTF-8: {error.reason}") from None
    if not is_text or str(written).lstrip().startswith("{"):
        try:
            return [(mapping(plain(source), path), path)]
        except ObjectError as error:
            reason = str(error).removeprefix("object: ").removeprefix(f"{path}: ")
            raise fail(path, reason) from None
    try:
        parts = [part for part in read_yaml(str(written)) if part is not None]
    except YamlError as error:
        raise fail(path, f"no YAML: {str(error)[:200]}") from None
    if len(parts) == 1:
        return [(mapping(parts[0], path), path)]
    return [
        (mapping(part, f"{path}.{number}"), f"{path}.{number}")
        for number, part in enumerate(parts)
    ]


def kind_of(
    document: Mapping[str, Any], path: str, kinds: Mapping[str, tuple[str, ...]]
) -> str:
    """Return the kind, one of those known in its version."""
    kind = text(document.get("kind"), f"{path}.kind")
    if kind not in kinds:
        raise fail(f"{path}.kind", f"{shown(kind)}, want one of {', '.join(kinds)}")
    version = text(document.get("apiVersion"), f"{path}.apiVersion")
    if version not in kinds[kind]:
        wants = " or ".join(kinds[kind])
        raise fail(f"{path}.apiVersion", f"{shown(version)}, want {wants}")
    return kind


@dataclass(slots=True)
class GroupTree:
    """One root, the groups below it and their pods, in the order in which they came."""

    root: PodGroup
    children: dict[str, list[PodGroup]]
    pods: dict[str, list[Pod]]
    priority: int

    def groups(self) -> list[PodGroup]:
        """Return every group, each before those below it."""
        found, open_ = [], [self.root]
        while open_:
            group = open_.pop(0)
            found.append(group)
            if group.is_composite:
                open_ = [*self.children.get(group.name, ()), *open_]
        return found


@dataclass(slots=True)
class _Found:
    groups: list[PodGroup] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    classes: dict[str, PriorityClass] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)


def read_tree(objects: object, templates: object, ignored: frozenset[str]) -> GroupTree:
    """Read the objects of one question.

    A Workload without groups stands for those that its templates make.

    Raises
    ------
    ObjectError
        An object breaks a rule of its API, or their hierarchy one of its own.
    """
    found, shapes = _Found(), template_shapes(templates, ignored)
    for document, path in documents("objects", objects):
        match kind_of(document, path, KINDS):
            case "Pod":
                found.pods.append(read_pod(document, path, ignored))
            case "Workload":
                found.workloads.append(read_workload(document, path))
            case "PriorityClass":
                one = read_priority_class(document, path)
                found.classes[one.name] = one
            case kind:
                composite = kind == "CompositePodGroup"
                found.groups.append(read_group(document, path, is_composite=composite))
    if not found.groups and len(found.workloads) == 1:
        found.groups, pods = groups_of_workload(found.workloads[0], shapes)
        found.pods += pods
    return _tree(found)


def _tree(found: _Found) -> GroupTree:
    if not found.groups:
        raise InvalidRequestError("objects: no PodGroup, want at least one")
    _check_names(found.groups)
    roots = [group for group in found.groups if not group.parent]
    if len(roots) != 1:
        raise InvalidRequestError(
            f"objects: {len(roots)} groups without a parent, want one: each is a Gang"
        )
    composites = {group.name: group for group in found.groups if group.is_composite}
    children: dict[str, list[PodGroup]] = {}
    for group in found.groups:
        if group.parent:
            _check_child(group, composites.get(group.parent))
            children.setdefault(group.parent, []).append(group)
    tree = GroupTree(roots[0], children, {}, 0)
    _check_depth(tree, found.groups)
    _check_workloads(found)
    _check_priorities(tree, found)
    tree.priority = _priority(tree.root, found.classes)
    _add_pods(tree, found.pods)
    return tree


def _check_names(groups: list[PodGroup]) -> None:
    seen = set()
    for group in groups:
        at = group.spec.path.removesuffix(".spec")
        if group.namespace != groups[0].namespace:
            want = shown(groups[0].namespace)
            raise fail(
                f"{at}.metadata.namespace", f"{shown(group.namespace)}, want {want}"
            )
        if (group.is_composite, group.name) in seen:
            raise fail(f"{at}.metadata.name", f"{shown(group.name)} is given twice")
        seen.add((group.is_composite, group.name))


def _check_child(group: PodGroup, parent: PodGroup | None) -> None:
    path = group.spec.path
    if parent is None:
        want = "want a CompositePodGroup of the objects"
        raise fail(
            f"{path}.parentCompositePodGroupName", f"{shown(group.parent)}, {want}"
        )
    if parent.spec.least is not None and group.spec.least is None:
        raise fail(
            f"{path}.schedulingPolicy", f"basic in {shown(parent.name)}, want gang"
        )
    if parent.spec.is_all and not group.spec.is_all:
        raise fail(
            f"{path}.disruptionMode", f"single in {shown(parent.name)}, want all"
        )


def _check_depth(tree: GroupTree, groups: list[PodGroup]) -> None:
    reached = {(group.is_composite, group.name) for group in tree.groups()}
    depth = {tree.root.name: 1} if tree.root.is_composite else {}
    for group in tree.groups()[1:]:
        level = depth[group.parent] + 1
        if level > MAX_DEPTH:
            at = f"{group.spec.path}.parentCompositePodGroupName"
            raise fail(at, f"level {level}, want at most {MAX_DEPTH} levels")
        if group.is_composite:
            depth[group.name] = level
    for group in groups:
        if (group.is_composite, group.name) not in reached:
            at = f"{group.spec.path}.parentCompositePodGroupName"
            raise fail(at, f"{shown(group.parent)}, want no cycle")


def _check_workloads(found: _Found) -> None:
    names = {group.workload for group in found.groups if group.workload}
    for group in found.groups:
        at = f"{group.spec.path}.workloadRef"
        if len(names) > 1 and group.workload != found.groups[0].workload:
            want = shown(found.groups[0].workload)
            raise fail(
                f"{at}.workloadName", f"{shown(group.workload)}, want {want}, as above"
            )
    for workload in found.workloads:
        if workload.name not in names or any(
            workload.namespace != group.namespace for group in found.groups
        ):
            at = f"{workload.path}.metadata.name"
            raise fail(at, f"{shown(workload.name)}, want the one of the groups")
        templates = {template.name: template for template in workload.every()}
        for group in found.groups:
            if group.workload:
                _check_template(group, templates.get(group.template))


def _check_template(group: PodGroup, template: Any) -> None:  # noqa: ANN401
    at = f"{group.spec.path}.workloadRef.templateName"
    if template is None or template.is_composite != group.is_composite:
        kind = "CompositePodGroup" if group.is_composite else "PodGroup"
        raise fail(at, f"{shown(group.template)}, want a template of a {kind}")
    # minCount may be changed later; the policy and the topology may not.
    if (template.spec.least is None) != (group.spec.least is None):
        at = f"{group.spec.path}.schedulingPolicy"
        raise fail(at, f"not the policy of template {shown(group.template)}, want it")
    if template.spec.key != group.spec.key:
        at = f"{group.spec.path}.schedulingConstraints.topology"
        raise fail(at, f"not that of template {shown(group.template)}, want it")


def _check_priorities(tree: GroupTree, found: _Found) -> None:
    wanted = _priority(tree.root, found.classes)
    for group in tree.groups()[1:]:
        own = _priority(group, found.classes)
        if own != wanted:
            raise fail(
                f"{group.spec.path}.priority", f"{own}, want {wanted}, as of the root"
            )


def _priority(group: PodGroup, classes: Mapping[str, PriorityClass]) -> int:
    spec = group.spec
    if spec.priority is not None:
        return spec.priority
    name = spec.priority_class
    if name in classes:
        return classes[name].value
    if name in _SYSTEM:
        return _SYSTEM[name]
    if name:
        at = f"{spec.path}.priorityClassName"
        raise fail(at, f"{shown(name)}, want a PriorityClass of the objects")
    defaults = [one.value for one in classes.values() if one.is_default]
    return min(defaults, default=0)


def _add_pods(tree: GroupTree, pods: list[Pod]) -> None:
    known = {group.name for group in tree.groups() if not group.is_composite}
    seen = set()
    for pod in pods:
        at = f"{pod.path}.spec.schedulingGroup.podGroupName"
        if pod.group not in known or pod.namespace != tree.root.namespace:
            raise fail(at, f"{shown(pod.group)}, want a PodGroup of the objects")
        if pod.name in seen:
            raise fail(f"{pod.path}.metadata.name", f"{shown(pod.name)} is given twice")
        seen.add(pod.name)
        if pod.node and not pod.is_over:
            want = "want pods that are not bound"
            raise fail(f"{pod.path}.spec.nodeName", f"{shown(pod.node)}, {want}")
        if not pod.is_over:
            tree.pods.setdefault(pod.group, []).append(pod)
