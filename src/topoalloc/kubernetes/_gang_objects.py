# SPDX-License-Identifier: Apache-2.0
"""PodGroups and their Pods to a Gang, and a GangPlan to bindings and conditions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from topoalloc._errors import InvalidRequestError
from topoalloc._gang import Gang, Group, PodSet, Within
from topoalloc._gang_answer import GangPlan
from topoalloc._records import Status
from topoalloc.kubernetes._group_tree import GroupTree, documents, kind_of, read_tree
from topoalloc.kubernetes._objects import ClusterNode
from topoalloc.kubernetes._objects_group import GroupSpec, PodGroup
from topoalloc.kubernetes._objects_node import read_node
from topoalloc.kubernetes._objects_pod import Pod, PodShape, unsaid
from topoalloc.kubernetes._objects_values import (
    ObjectError,
    dns_subdomain,
    fail,
    listed,
    mapping,
    required,
    shown,
    text,
)
from topoalloc.kubernetes._pod_request import ResourceRules, labels_of, request_of

__all__ = ["GangObjects", "gang"]

_HOSTNAME = "kubernetes.io/hostname"
_NODE_LEVEL = "node"
_MAX_CONDITIONS = 10_000


def gang(
    objects: object,
    *,
    devices: Mapping[str, str] | None = None,
    levels: Mapping[str, str] | None = None,
    nodes: object = None,
    templates: Mapping[str, object] | None = None,
    ignore: Collection[str] = (),
    round_cpu: bool = False,
) -> Gang:
    """Make a Gang of one hierarchy of PodGroups with their Pods.

    As `GangObjects`, of which it is the `gang`.

    Parameters
    ----------
    objects, devices, levels, nodes, templates, ignore, round_cpu
        As of `GangObjects`.

    Returns
    -------
    Gang

    Raises
    ------
    ObjectError
        An object breaks a rule of its API, or asks for what no Gang can say; the
        message begins with the path.
    InvalidRequestError
        There is no group, or more than one root; or an argument is of another form.

    Examples
    --------
    >>> from topoalloc import kubernetes as tk
    >>> group = {
    ...     "apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup",
    ...     "metadata": {"namespace": "ml", "name": "train"},
    ...     "spec": {"schedulingPolicy": {"gang": {"minCount": 2}}}}
    >>> pods = [{
    ...     "apiVersion": "v1", "kind": "Pod",
    ...     "metadata": {"namespace": "ml", "name": f"train-{i}"},
    ...     "spec": {"schedulingGroup": {"podGroupName": "train"},
    ...              "containers": [{"name": "main", "resources": {"requests": {
    ...                  "cpu": "4"}}}]}} for i in range(2)]
    >>> tk.gang([group, *pods])
    Gang(name='ml.train', podsets=[PodSet(name='train', request=Request(pus=4),
    count=2)], queue='ml')
    """
    return GangObjects(
        objects,
        devices=devices,
        levels=levels,
        nodes=nodes,
        templates=templates,
        ignore=ignore,
        round_cpu=round_cpu,
    ).gang


class GangObjects:
    """One hierarchy of groups and its Pods, as a Gang, and answers as objects.

    A PodGroup is a `PodSet` of its pods, or one for each shape of pod and a `Group`
    around them; a CompositePodGroup is a `Group`. `minCount` is `min_count`, a topology
    key is `Within`, the namespace is the queue.

    Parameters
    ----------
    objects : iterable of mapping, str, bytes or object
        Of scheduling.k8s.io v1beta1 or v1alpha3: one PodGroup or CompositePodGroup
        without a parent, the groups below it, perhaps their Workload; their Pods; and
        PriorityClasses. Each a dict, JSON or YAML text (of many documents, too), a
        model of a client, or a list as the API gives it. A Workload alone stands for
        the groups that its templates make.
    devices : mapping of str to str, optional
        Extended resource to the class of devices that it counts:
        ``{"nvidia.com/gpu": "gpu"}``.
    levels : mapping of str to str, optional
        Topology key to level of the Cluster; a key without an entry is the level of its
        own name, ``kubernetes.io/hostname`` is ``"node"``.
    nodes : iterable of Node objects, optional
        Wanted where node affinity is more than `In` of one term: the PodSet then lists
        the nodes that serve.
    templates : mapping of str to Pod or PodTemplate, optional
        The pod of each template of a Workload without groups.
    ignore : collection of str, optional
        Resources and fields to pass over that no Gang can say, such as
        ``"ephemeral-storage"``, ``"resourceClaims"`` or ``"persistentVolumeClaim"``.
    round_cpu : bool, default False
        Part of a CPU is a whole PU. An INFEASIBLE is then of the rounded request.

    Attributes
    ----------
    gang : Gang

    Raises
    ------
    ObjectError, InvalidRequestError
        As of `gang`.
    """

    __slots__ = ("_levels", "_members", "_nodes", "_rules", "_tree", "gang")

    def __init__(
        self,
        objects: object,
        *,
        devices: Mapping[str, str] | None = None,
        levels: Mapping[str, str] | None = None,
        nodes: object = None,
        templates: Mapping[str, object] | None = None,
        ignore: Collection[str] = (),
        round_cpu: bool = False,
    ) -> None:
        self._rules = ResourceRules.of(devices or {}, ignore, round_cpu=round_cpu)
        if levels is not None and not isinstance(levels, Mapping):
            raise InvalidRequestError("levels: want a mapping of keys to levels")
        self._levels = {_HOSTNAME: _NODE_LEVEL, **(levels or {})}
        self._nodes = None if nodes is None else _read_nodes(nodes)
        self._tree = read_tree(
            objects, {} if templates is None else templates, self._rules.ignored
        )
        self._members: dict[str, list[Pod]] = {}
        self.gang = self._make()

    # --- to a Gang ---

    def _make(self) -> Gang:
        podsets: list[PodSet] = []
        groups: list[Group] = []
        members: dict[str, list[str]] = {}
        # From the leaves up: a Group names members that stand before it.
        for group in reversed(self._tree.groups()):
            if "resourceClaims" not in self._rules.ignored and group.spec.has_claims:
                raise unsaid(f"{group.spec.path}.resourceClaims", "resourceClaims")
            if group.is_composite:
                self._check_group_count(group)
                names, name = members.pop(group.name)[::-1], f"{group.name}:all"
                is_one = False
            else:
                found = self._podsets(group)
                podsets[:0] = found
                names, name = [podset.name for podset in found], group.name
                is_one = len(found) == 1
            if group.spec.key is not None and not is_one:
                groups.append(Group(name, names, self._within(group.spec)))
                names = [name]
            if group.parent:
                members.setdefault(group.parent, []).extend(names[::-1])
        root = self._tree.root
        return Gang(
            f"{root.namespace}.{root.name}",
            podsets,
            groups,
            priority=self._tree.priority,
            queue=root.namespace,
        )

    def _check_group_count(self, group: PodGroup) -> None:
        at = f"{group.spec.path}.schedulingPolicy"
        count = len(self._tree.children.get(group.name, ()))
        if group.spec.least is None:
            want = "want gang: its groups start apart, each is a Gang"
            raise fail(f"{at}.basic", f"given, {want}")
        if group.spec.least != count:
            want = f"want {count}, its groups here: a Gang starts all of them"
            raise fail(f"{at}.gang.minGroupCount", f"{group.spec.least}, {want}")

    def _within(self, spec: GroupSpec) -> list[Within]:
        return (
            [] if spec.key is None else [Within(self._levels.get(spec.key, spec.key))]
        )

    def _podsets(self, group: PodGroup) -> list[PodSet]:
        spec, name = group.spec, group.name
        pods = self._tree.pods.get(name, [])
        shapes: dict[PodShape, list[Pod]] = {}
        for pod in pods:
            shapes.setdefault(pod.shape, []).append(pod)
        at = f"{spec.path}.schedulingPolicy"
        least = 0 if spec.least is None else spec.least
        if not pods or least > len(pods):
            want = f"want at most {len(pods)}, its pods" if pods else "want pods of it"
            raise fail(f"{at}.gang.minCount" if least else at, f"{least}, {want}")
        if len(shapes) > 1 and 0 < least < len(pods):
            want = f"want {len(pods)}, all: they are of {len(shapes)} shapes"
            raise fail(f"{at}.gang.minCount", f"{least}, {want}")
        podsets = []
        for number, (shape, alike) in enumerate(shapes.items()):
            own = name if len(shapes) == 1 else f"{name}:{number}"
            self._members[own] = alike
            path = f"{alike[0].path}.spec"
            request = request_of(dict(shape.amounts), path, self._rules)
            if request is None:
                raise fail(path, "no request, want cpu, memory or a device")
            podsets.append(
                PodSet(
                    own,
                    request,
                    len(alike),
                    # All of them, or as many as of the one shape.
                    least if len(shapes) == 1 else min(least, len(alike)),
                    self._within(spec) if len(shapes) == 1 else (),
                    where=labels_of(shape, path, self._nodes),
                    tolerations=shape.tolerations,
                )
            )
        return podsets

    # --- back to objects ---

    def nodes_of(self, plan: GangPlan) -> dict[str, str]:
        """Return pod to node, for each pod that the plan places.

        Parameters
        ----------
        plan : GangPlan
            Of this `gang`. Of pods alike the first ones given have the lowest ranks.

        Returns
        -------
        dict of str to str
            Empty where there is no plan.

        Raises
        ------
        InvalidRequestError
            It is no plan, or that of another Gang.
        """
        return {pod.name: node for pod, node in self._placed(plan)}

    def bindings(self, plan: GangPlan) -> list[dict[str, Any]]:
        """Return the Binding of each pod that the plan places.

        Parameters
        ----------
        plan : GangPlan
            Of this `gang`.

        Returns
        -------
        list of dict
            Objects of v1, for the subresource `binding` of each pod.

        Raises
        ------
        InvalidRequestError
            As of `nodes_of`.
        """
        return [
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"namespace": pod.namespace, "name": pod.name},
                "target": {"apiVersion": "v1", "kind": "Node", "name": node},
            }
            for pod, node in self._placed(plan)
        ]

    def groups(self, plan: GangPlan, *, time: str) -> list[dict[str, Any]]:
        """Return the groups with the condition that the plan gives them.

        True is final: a group that has it keeps it as it is. False has the reason
        `Unschedulable` for INFEASIBLE and `SchedulerError` for UNKNOWN; the message
        begins with the reason of the Verdict.

        Parameters
        ----------
        plan : GangPlan
            Of this `gang`.
        time : str
            When, as RFC 3339 has it: ``"2026-11-23T12:00:00Z"``. It is kept where the
            status of the condition does not change.

        Returns
        -------
        list of dict
            Copies of the PodGroups and CompositePodGroups, the root first, for their
            subresource `status`. Empty for a Workload without groups.

        Raises
        ------
        InvalidRequestError
            As of `nodes_of`, or the time is no text.
        ObjectError
            The status of a group is none.
        """
        if not isinstance(time, str):
            raise InvalidRequestError(f"time: {type(time).__name__}, want a str")
        placed = {pod.name for pod, _ in self._placed(plan)}
        return [
            _with_condition(group, self._condition(plan, group, placed), time)
            for group in self._tree.groups()
            if group.document
        ]

    def _condition(
        self, plan: GangPlan, group: PodGroup, placed: set[str]
    ) -> dict[str, str]:
        pods = _pods_below(self._tree, group)
        if plan.status in (Status.OPTIMAL, Status.FEASIBLE):
            count = sum(pod.name in placed for pod in pods)
            # A basic group without a place waits on, though it holds nothing up.
            if count or not pods:
                told = f"{plan.reason}: {count} of {len(pods)} pods have a node"
                return {"status": "True", "reason": "Scheduled", "message": told}
            told = f"NotEnoughRoom: 0 of {len(pods)} pods have a node"
            return {"status": "False", "reason": "Unschedulable", "message": told}
        of = plan.verdict.podset
        message = plan.reason if of is None else f"{plan.reason}: pods {of}"
        known = plan.status is Status.INFEASIBLE
        reason = "Unschedulable" if known else "SchedulerError"
        return {"status": "False", "reason": reason, "message": message}

    def _placed(self, plan: object) -> list[tuple[Pod, str]]:
        if not isinstance(plan, GangPlan):
            raise InvalidRequestError(f"plan: {type(plan).__name__}, want a GangPlan")
        if plan.gang != self.gang:
            want = shown(self.gang.name)
            raise InvalidRequestError(
                f"plan: of Gang {shown(plan.gang.name)}, want one of {want} as it is"
            )
        return [
            (self._members[place.podset][place.index], place.node)
            for place in plan.pods
        ]

    def __repr__(self) -> str:
        """Show the root and how many pods there are."""
        count = sum(map(len, self._members.values()))
        return f"<GangObjects {self.gang.name!r}: {count} pods>"


def _pods_below(tree: GroupTree, group: PodGroup) -> list[Pod]:
    if not group.is_composite:
        return tree.pods.get(group.name, [])
    below = tree.children.get(group.name, [])
    return [pod for child in below for pod in _pods_below(tree, child)]


def _with_condition(
    group: PodGroup, condition: Mapping[str, str], time: str
) -> dict[str, Any]:
    document = dict(group.document)
    kind = f"{document['kind']}InitiallyScheduled"
    path = group.spec.path.removesuffix("spec") + "status"
    status = mapping(document.get("status", {}) or {}, path)
    listed_at = f"{path}.conditions"
    others = [
        mapping(item, where)
        for item, where in listed(status.get("conditions"), listed_at, _MAX_CONDITIONS)
    ]
    before: Mapping[str, Any] = next(
        (one for one in others if one.get("type") == kind), {}
    )
    if before.get("status") == "True":
        return document
    since = before.get("lastTransitionTime")
    is_same = before.get("status") == condition["status"] and since
    own: dict[str, Any] = {
        "type": kind,
        **condition,
        "lastTransitionTime": since if is_same else time,
    }
    generation = document["metadata"].get("generation")
    if generation is not None:
        own["observedGeneration"] = generation
    status["conditions"] = [*(one for one in others if one is not before), own]
    return document | {"status": status}


def _read_nodes(nodes: object) -> list[ClusterNode]:
    found = []
    for document, path in documents("nodes", nodes):
        kind_of(document, path, {"Node": ("v1",)})
        at = f"{path}.metadata"
        metadata = mapping(required(document, "metadata", path), at)
        name = text(required(metadata, "name", at), f"{at}.name", dns_subdomain)
        try:
            found.append(read_node(metadata, name))
        except ObjectError as error:
            raise ObjectError(f"{path}.{error}") from None
    return found
