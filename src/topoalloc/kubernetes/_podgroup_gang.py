# SPDX-License-Identifier: Apache-2.0
"""From PodGroups to a Gang, and from its plan back to Bindings and a condition."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from topoalloc._errors import InvalidRequestError
from topoalloc._gang import Gang, Group, PodSet, Within
from topoalloc._gang_answer import GangPlan
from topoalloc._records import Status
from topoalloc.kubernetes._objects_values import ObjectError, fail, mapping, shown
from topoalloc.kubernetes._pod_request import PodShape, read_pod
from topoalloc.kubernetes._pod_unsaid import unsaid
from topoalloc.kubernetes._podgroup import PodGroups, PodGroupSpec, read_groups

__all__ = ["RESOURCES", "bindings", "gang", "pod_group_condition"]

RESOURCES: Final = {"nvidia.com/gpu": "gpu", "amd.com/gpu": "gpu"}
"""Extended resources, and the class of devices that each is."""


class _Reading(NamedTuple):
    """How pods are read."""

    resources: Mapping[str, str]
    ignore: Collection[str]


@dataclass(frozen=True)
class _Member:
    """Pods of one shape: a PodSet, and which pods they are, in rank order."""

    podset: PodSet
    pods: tuple[Mapping[str, Any], ...]


def gang(
    objects: Iterable[object],
    *,
    name: str | None = None,
    resources: Mapping[str, str] = RESOURCES,
    ignore: Collection[str] = (),
) -> Gang:
    """Read a PodGroup, or a CompositePodGroup with its groups, as a Gang.

    The pods of a PodGroup that want the same are one PodSet; `minCount` is its least
    count, the topology key a `Within` of that level. The groups of a CompositePodGroup
    are a `Group`, and all of them are needed. Pods that are bound or have finished are
    left out, and counted.

    Parameters
    ----------
    objects : iterable of mapping, str, bytes or object
        PodGroups, CompositePodGroups and Workloads of scheduling.k8s.io (v1beta1,
        v1alpha3), their Pods, and the PriorityClasses that they name.
    name : str, optional
        ``namespace/name`` of the group; needed where there is more than one at the
        root.
    resources : mapping of str to str, optional
        Extended resource to class of devices; `RESOURCES` by default.
    ignore : collection of str, optional
        What no Gang can say and is passed over all the same: ``"resourceClaims"``,
        ``"schedulingGates"``, ``"podAffinity"``, ``"podAntiAffinity"``,
        ``"topologySpreadConstraints"``, ``"persistentVolumeClaim"``, ``"ephemeral"``,
        ``"hostPort"``.

    Returns
    -------
    Gang
        Of the name ``namespace:name``.

    Raises
    ------
    ObjectError
        An object breaks a rule of its API, or says what a Gang can not: fewer than all
        groups, alternatives of nodes, a least count over pods that want different
        things, what `ignore` lists; or pods that are bound to a topology already.

    Examples
    --------
    >>> from topoalloc import kubernetes as tk
    >>> group = {
    ...     "apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup",
    ...     "metadata": {"namespace": "ml", "name": "train"},
    ...     "spec": {"schedulingPolicy": {"gang": {"minCount": 2}},
    ...              "schedulingConstraints": {"topology": [{"key": "rack"}]}}}
    >>> pods = [
    ...     {"apiVersion": "v1", "kind": "Pod",
    ...      "metadata": {"namespace": "ml", "name": f"train-{number}"},
    ...      "spec": {"schedulingGroup": {"podGroupName": "train"}, "containers": [
    ...          {"resources": {"requests": {"cpu": "8", "nvidia.com/gpu": "1"}}}]}}
    ...     for number in range(2)]
    >>> tk.gang([group, *pods])
    Gang(name='ml:train', podsets=[PodSet(name='train', request=Request(pus=8,
    devices={'gpu': DeviceRequest(1)}), count=2, require=[Within(level='rack')])])
    """
    found = read_groups(objects)
    root = found.root(name)
    groups: list[Group] = []
    members = _members_below(found, root, _Reading(resources, ignore), groups)
    if not members:
        raise fail(f"{root.path}", "no pods that wait, want some")
    with _at(root):
        return Gang(
            ":".join(root.key[1:]),
            [member.podset for member in members],
            groups=groups,
            priority=root.priority or 0,
        )


def bindings(
    plan: GangPlan,
    objects: Iterable[object],
    *,
    name: str | None = None,
    resources: Mapping[str, str] = RESOURCES,
    ignore: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Write the plan of a Gang as Bindings, a pod each.

    Parameters
    ----------
    plan : GangPlan
        Of the Gang that `gang` has made of the same objects.
    objects, name, resources, ignore
        As for `gang`.

    Returns
    -------
    list of dict
        Bindings of v1, in rank order; pods that have no place are not among them.

    Raises
    ------
    ObjectError
        As for `gang`.
    InvalidRequestError
        The plan is of other PodSets.
    """
    found = read_groups(objects)
    members = {
        member.podset.name: member.pods
        for member in _members_below(
            found, found.root(name), _Reading(resources, ignore), []
        )
    }
    written = []
    for place in plan.pods:
        pods = members.get(place.podset, ())
        if place.index >= len(pods):
            message = f"plan: {place.podset}/{place.index}, want pods of the objects"
            raise InvalidRequestError(message)
        metadata = pods[place.index]["metadata"]
        kept = {
            key: metadata[key]
            for key in ("namespace", "name", "uid")
            if key in metadata
        }
        written.append(
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": kept,
                "target": {"apiVersion": "v1", "kind": "Node", "name": place.node},
            }
        )
    return written


def pod_group_condition(plan: GangPlan, *, time: str | None = None) -> dict[str, Any]:
    """Write what has come of a PodGroup: the condition `PodGroupInitiallyScheduled`.

    Parameters
    ----------
    plan : GangPlan
        Of its Gang.
    time : str, optional
        `lastTransitionTime`, as RFC 3339 writes it; left out by default.

    Returns
    -------
    dict
        An entry of `status.conditions`. Of a "no" the message is its explanation; where
        the step limit came first the reason is `SchedulerError`.
    """
    verdict = plan.verdict
    condition: dict[str, Any] = {"type": "PodGroupInitiallyScheduled"}
    if verdict.status in {Status.OPTIMAL, Status.FEASIBLE}:
        message = f"{len(plan.pods)} pods have their nodes"
        condition |= {"status": "True", "reason": "Scheduled", "message": message}
    elif verdict.status == Status.INFEASIBLE:
        message = str(verdict.explanation)
        condition |= {"status": "False", "reason": "Unschedulable", "message": message}
    else:
        message = f"not decided after {verdict.steps} steps"
        condition |= {"status": "False", "reason": "SchedulerError", "message": message}
    if time is not None:
        condition["lastTransitionTime"] = time
    return condition


def _members_below(
    found: PodGroups,
    group: PodGroupSpec,
    reading: _Reading,
    groups: list[Group],
) -> list[_Member]:
    """Return the PodSets of a group, and add the Groups that they are in."""
    if group.key[0] == "PodGroup":
        return _members(found, group, reading, groups)
    children = found.children(group)
    if group.minimum is None:
        path = f"{group.path}.spec.schedulingPolicy.basic"
        raise fail(path, "there, want gang: groups of their own are Gangs of their own")
    if group.minimum != len(children):
        path = f"{group.path}.spec.schedulingPolicy.gang.minGroupCount"
        raise fail(path, f"{group.minimum}, want all of its groups, {len(children)}")
    inner: list[_Member] = []
    names: list[str] = []
    for child in children:
        first = len(groups)
        own = _members_below(found, child, reading, groups)
        inner += own
        # A Group that was made for the child stands for its PodSets.
        made = groups[-1].name if len(groups) > first else ""
        is_whole = made == _group_name(child)
        names += [made] if is_whole else [member.podset.name for member in own]
    if group.topology is not None and names:
        level = [Within(group.topology)]
        groups.append(Group(_group_name(group), names, require=level))
    return inner


def _members(
    found: PodGroups,
    group: PodGroupSpec,
    reading: _Reading,
    groups: list[Group],
) -> list[_Member]:
    if group.has_claims and "resourceClaims" not in reading.ignore:
        raise unsaid(f"{group.path}.spec.resourceClaims", "resourceClaims")
    shapes: dict[PodShape, list[Mapping[str, Any]]] = {}
    bound = 0
    for pod, path in found.pods.get(group.key[1:], ()):
        spec = pod["spec"]
        status = mapping(pod.get("status") or {}, f"{path}.status")
        if spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
            if status.get("phase") not in ("Succeeded", "Failed"):
                _refuse_bound(found, group, path)
            bound += 1
            continue
        shapes.setdefault(read_pod(pod, path, *reading), []).append(pod)
    count = sum(map(len, shapes.values()))
    least = _least(group, bound, count, is_alike=len(shapes) == 1)
    name = group.key[2]
    require = [] if group.topology is None else [Within(group.topology)]
    members = []
    for number, (shape, pods) in enumerate(shapes.items()):
        own = name if len(shapes) == 1 else f"{name}-{number}"
        pods.sort(key=_rank)
        with _at(group):
            podset = PodSet(
                own,
                shape.request,
                len(pods),
                least,
                require=require if len(shapes) == 1 else (),
                where=dict(shape.where),
                tolerations=shape.tolerations,
            )
        members.append(_Member(podset, tuple(pods)))
    if len(shapes) > 1 and require:
        names = [member.podset.name for member in members]
        groups.append(Group(_group_name(group), names, require=require))
    return members


def _refuse_bound(found: PodGroups, group: PodGroupSpec, path: str) -> None:
    """Refuse a pod that has a node where the rest of it must be in the same Domain."""
    at: PodGroupSpec | None = group
    while at is not None:
        if at.topology is not None:
            message = f"there, want none: no Gang says which {shown(at.topology)} it is"
            raise fail(f"{path}.spec.nodeName", message)
        above = ("CompositePodGroup", at.key[1], at.parent or "")
        at = found.groups.get(above)


def _least(
    group: PodGroupSpec, bound: int, count: int, *, is_alike: bool
) -> int | None:
    """Return the least count of a group's PodSets; None for all of them."""
    if group.minimum is None:
        return 1 if is_alike else 0
    path = f"{group.path}.spec.schedulingPolicy.gang.minCount"
    least = max(group.minimum - bound, 0)
    if least > count:
        message = f"{group.minimum}, want no more than the pods there are"
        raise fail(path, f"{message}, {bound + count}")
    if least == count:
        return None
    if not is_alike:
        message = f"{group.minimum} of {bound + count} pods that want different things"
        raise fail(path, f"{message}, want all of them")
    return least


@contextmanager
def _at(group: PodGroupSpec) -> Iterator[None]:
    """Give what a Gang can not be the path of the group that it is of."""
    try:
        yield
    except InvalidRequestError as error:
        message = f"{group.path}: {error}"
        raise ObjectError(message) from None


def _group_name(group: PodGroupSpec) -> str:
    return f"{group.key[2]}.group"


def _rank(pod: Mapping[str, Any]) -> tuple[int, str]:
    """Sort by the index of an indexed Job, then by name, numbers by value."""
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    index = str(labels.get("batch.kubernetes.io/job-completion-index", ""))
    name = str(metadata["name"])
    digits = index or name.rpartition("-")[2]
    return (int(digits) if digits.isdecimal() and len(digits) < 10 else -1, name)  # noqa: PLR2004
