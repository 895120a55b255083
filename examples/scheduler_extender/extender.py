# SPDX-License-Identifier: Apache-2.0
"""Filter and prioritize for kube-scheduler, by what an Inventory says of claims.

The forms are those of k8s.io/kube-scheduler/extender/v1; their names have capitals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import topoalloc as ta
from topoalloc import kubernetes as tk

MAX_SCORE = 10
"""Of a node, as MaxExtenderPriority."""
EXPLAINED = 32
"""Refused nodes whose reason is worked out; a scheduler shows fewer."""


class RequestError(ValueError):
    """What was sent is no ExtenderArgs; the message begins with the path."""


class Extender:
    """Answers kube-scheduler. Safe from many threads, as the Inventory is.

    Parameters
    ----------
    inventory : Inventory
        Kept up to date by someone else.
    """

    def __init__(self, inventory: tk.Inventory) -> None:
        self.inventory = inventory

    def filter(self, arguments: object) -> dict[str, Any]:
        """Return the nodes where the claims have devices: ExtenderFilterResult."""
        pod, nodes = read_arguments(arguments)
        try:
            claims = self._open_claims(pod)
            if not claims:
                return {"NodeNames": nodes, "FailedNodes": {}, "Error": ""}
            answers = self.inventory.check_nodes(claims, nodes=nodes)
        except ta.TopoallocError as error:
            return {"Error": str(error)}
        placed = set(answers.placed)
        refused = [node for node in nodes if node not in placed]
        failed = {
            node: reason_of(answers[node], explain=number < EXPLAINED)
            for number, node in enumerate(refused)
        }
        good = [node for node in nodes if node in placed]
        return {"NodeNames": good, "FailedNodes": failed, "Error": ""}

    def prioritize(self, arguments: object) -> list[dict[str, Any]]:
        """Return a score of each node, the best first in line: HostPriorityList.

        Nodes of the least cost have 10, those of the largest 0, others by rank.
        """
        pod, nodes = read_arguments(arguments)
        try:
            claims = self._open_claims(pod)
            answers = self.inventory.check_nodes(claims, nodes=nodes) if claims else {}
        except ta.TopoallocError:
            answers = {}
        costs = {
            node: astuple(answer.cost)
            for node, answer in answers.items()
            if isinstance(answer, tk.ClaimVerdict) and answer.cost is not None
        }
        ranks = sorted(set(costs.values()))
        steps = max(len(ranks) - 1, 1)
        return [
            {
                "Host": node,
                "Score": MAX_SCORE - MAX_SCORE * ranks.index(costs[node]) // steps
                if node in costs
                else 0,
            }
            for node in nodes
        ]

    def _open_claims(self, pod: Mapping[str, Any]) -> list[str]:
        """Return the claims of a pod that are not allocated, as namespace/name."""
        return [
            name for name in claims_of(pod) if not self.inventory.is_allocated(name)
        ]


def claims_of(pod: Mapping[str, Any]) -> list[str]:
    """Return the claims of a pod: named, or made of a template.

    Raises
    ------
    RequestError
        One of them is not there yet.
    """
    namespace = pod["metadata"].get("namespace", "default")
    made = {
        status.get("name"): status.get("resourceClaimName")
        for status in pod.get("status", {}).get("resourceClaimStatuses") or ()
    }
    found = []
    for number, item in enumerate(pod.get("spec", {}).get("resourceClaims") or ()):
        name = item.get("resourceClaimName") or made.get(item.get("name"))
        if name:
            found.append(f"{namespace}/{name}")
        elif item.get("name") not in made:
            message = (
                f"Pod.spec.resourceClaims[{number}]: no claim yet, want it made of "
                "its template"
            )
            raise RequestError(message)
    return found


def read_arguments(arguments: object) -> tuple[Mapping[str, Any], list[str]]:
    """Return the pod and the names of the nodes.

    Raises
    ------
    RequestError
        It is no ExtenderArgs.
    """
    if not isinstance(arguments, Mapping):
        message = "body: no object, want an ExtenderArgs"
        raise RequestError(message)
    pod, names = arguments.get("Pod"), arguments.get("NodeNames")
    if not isinstance(pod, Mapping) or not isinstance(pod.get("metadata"), Mapping):
        message = "Pod: missing, want a pod with metadata"
        raise RequestError(message)
    for path in ("spec", "status"):
        if not isinstance(pod.get(path, {}), Mapping):
            message = f"Pod.{path}: want an object"
            raise RequestError(message)
    if (
        not isinstance(names, Sequence)
        or isinstance(names, str)
        or not all(isinstance(name, str) for name in names)
    ):
        message = "NodeNames: want names of nodes: set nodeCacheCapable to true"
        raise RequestError(message)
    return pod, list(names)


def reason_of(answer: tk.ClaimVerdict | ta.TopoallocError, *, explain: bool) -> str:
    """Say why claims have no devices on a node."""
    if isinstance(answer, ta.TopoallocError):
        return str(answer)
    if not explain or answer.status != ta.Status.INFEASIBLE:
        return str(answer)
    why = answer.explanation
    conflict = "; ".join(item.text for item in why.conflict)
    return f"no devices: {conflict} ({', '.join(map(str, why.counts))})"
