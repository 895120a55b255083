# SPDX-License-Identifier: Apache-2.0
"""The groups and pods that a Workload's templates stand for, before any is made."""

from __future__ import annotations

from collections.abc import Mapping

from topoalloc._errors import InvalidRequestError
from topoalloc.kubernetes._objects_group import PodGroup, Template, Workload
from topoalloc.kubernetes._objects_pod import Pod, PodShape, pod_shape
from topoalloc.kubernetes._objects_read import plain
from topoalloc.kubernetes._objects_values import fail, mapping, required, shown

__all__ = ["groups_of_workload", "template_shapes"]

_MAX_PODS = 1_000_000


def template_shapes(
    templates: object, ignored: frozenset[str]
) -> dict[str, tuple[PodShape, str]]:
    """Read pods by the name of their template: all that has a `spec` of a Pod."""
    if not isinstance(templates, Mapping):
        raise InvalidRequestError("templates: want a mapping of names to pods")
    found = {}
    for name, source in templates.items():
        path = f"templates[{shown(name)}]"
        document = mapping(plain(source), path)
        spec = mapping(required(document, "spec", path), f"{path}.spec")
        found[name] = (pod_shape(spec, f"{path}.spec", ignored, is_bound=False), path)
    return found


def groups_of_workload(
    workload: Workload, shapes: Mapping[str, tuple[PodShape, str]]
) -> tuple[list[PodGroup], list[Pod]]:
    """Return the groups and as many pods of each as start together.

    Where a group wants more groups than it has templates, and has one, it has so many
    of that one.

    Raises
    ------
    ObjectError
        A template has no pod, no gang, or not as many templates as it wants groups.
    """
    groups: list[PodGroup] = []
    pods: list[Pod] = []
    open_ = [("", template, template.name) for template in workload.templates]
    while open_:
        parent, template, name = open_.pop(0)
        spec = template.spec
        groups.append(
            PodGroup(
                workload.namespace,
                name,
                template.is_composite,
                parent,
                workload.name,
                template.name,
                spec,
                {},
            )
        )
        if spec.least is None:
            want = "want gang: no number of pods or groups follows from basic"
            raise fail(f"{spec.path}.schedulingPolicy", f"basic, {want}")
        if not template.is_composite:
            if len(pods) + spec.least > _MAX_PODS:
                at = f"{spec.path}.schedulingPolicy.gang.minCount"
                raise fail(at, f"{spec.least}, want at most {_MAX_PODS} pods in all")
            pods += _pods(workload, template, name, shapes)
            continue
        below = template.children
        if len(below) == 1 < spec.least:
            at = f"{spec.path}.schedulingPolicy.gang.minGroupCount"
            if spec.least + len(groups) + len(open_) > _MAX_PODS:
                raise fail(at, f"{spec.least}, want at most {_MAX_PODS} groups in all")
            below *= spec.least
        names = (
            [f"{name}-{index}" for index in range(len(below))]
            if len({*below}) < len(below)
            else [
                child.name if parent == "" else f"{name}-{child.name}"
                for child in below
            ]
        )
        open_ += [(name, *child) for child in zip(below, names, strict=True)]
    return groups, pods


def _pods(
    workload: Workload,
    template: Template,
    name: str,
    shapes: Mapping[str, tuple[PodShape, str]],
) -> list[Pod]:
    if template.name not in shapes:
        at = f"{template.spec.path}.name"
        raise fail(at, f"{shown(template.name)}, want its pod in templates=")
    shape, path = shapes[template.name]
    return [
        Pod(workload.namespace, f"{name}-{index}", name, "", False, path, shape)
        for index in range(template.spec.least or 0)
    ]
