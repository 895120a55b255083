# SPDX-License-Identifier: Apache-2.0
"""Decision records of what a Cluster answered, and their replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from topoalloc._canonical import canonical, digest_of
from topoalloc._cluster_change import ClusterChange
from topoalloc._errors import (
    FormatError,
    InvalidRequestError,
    StaleError,
    StateError,
)
from topoalloc._gang import Gang
from topoalloc._gang_answer import GangPlan, GangVerdict
from topoalloc._policy import Policy
from topoalloc._quantity import shown
from topoalloc._records import Status
from topoalloc._request import API_VERSION
from topoalloc._snapshot import (
    Replay,
    _field,
    _number,
    _require,
    is_of_this_library,
)
from topoalloc._version import library_version

if TYPE_CHECKING:
    from topoalloc._cluster import Cluster

__all__ = ["OPERATIONS", "SEMANTICS", "record", "replay"]

SEMANTICS = "cluster/1"
"""Version of the definition in ``docs/cluster-objective.md`` that answers follow."""

OPERATIONS = ("check", "place", "replace", "grow", "drain", "preempt", "defragment")

Answer: TypeAlias = GangVerdict | GangPlan | ClusterChange
_STATE = ("states", "gangs")
_HEADER = ("apiVersion", "kind", "operation", "gang", "max_steps")


def record(cluster: Cluster, answer: Answer, *, embed: bool) -> dict[str, Any]:
    """Write the record of an answer, asked again of the Cluster as it is."""
    if not isinstance(answer, GangVerdict | GangPlan | ClusterChange):
        raise InvalidRequestError(
            f"answer: {type(answer).__name__}, want a GangVerdict, GangPlan or "
            "ClusterChange"
        )
    document = cluster.to_dict()
    body = answer.to_dict()
    question = _question(answer, body)
    try:
        again = _ask(type(cluster).from_dict(document), question)
    except StateError:
        again = None
    # Steps may be fewer where sums were kept: the record has those of the rebuilt one.
    if again is None or _answer_of(again) | {"steps": 0} != _answer_of(answer) | {
        "steps": 0
    }:
        raise StaleError(
            "answer: not what the Cluster answers as it is now, want an answer of now"
        )
    found = _written(document, cluster.policy, question, again)
    if again.status is Status.INFEASIBLE:
        found["explanation"] = again.explanation.to_dict()
    if embed:
        found["cluster"] = document
    return found


def _written(
    document: Mapping[str, Any],
    policy: Policy,
    question: Mapping[str, Any],
    answer: Answer,
) -> dict[str, Any]:
    nodes = {key: part for key, part in document.items() if key not in _STATE}
    state = {key: part for key, part in document.items() if key in _STATE}
    return {
        "apiVersion": API_VERSION,
        "kind": "Decision",
        **question,
        "digests": {
            "cluster": digest_of(nodes),
            "state": digest_of(state),
            "question": digest_of(question),
        },
        "policy": policy.to_dict(),
        "versions": {"semantics": SEMANTICS, "library": library_version()},
        **_answer_of(answer),
    }


def replay(document: Mapping[str, Any]) -> Replay:
    """Ask a recorded question of the Cluster in the record, and compare."""
    from topoalloc._cluster import Cluster  # noqa: PLC0415

    path = "Decision"
    versions = _field(document, path, "versions", dict)
    semantics = _field(versions, f"{path}.versions", "semantics", str)
    if semantics != SEMANTICS:
        raise FormatError(
            f"{path}.versions.semantics: {shown(semantics)}, want {SEMANTICS!r}"
        )
    form = _field(document, path, "cluster", dict)
    try:
        cluster = Cluster.from_dict(form)
    except FormatError as error:
        raise FormatError(f"{path}.cluster: {error}") from None
    question = _question_of(document, path)
    try:
        answer = _ask(cluster, question)
        ours = _written(cluster.to_dict(), cluster.policy, question, answer)
    except (InvalidRequestError, StateError) as error:
        raise FormatError(f"{path}: {error}") from None
    lines = []
    left_out = {"versions"} if is_of_this_library(document) else {"versions", "steps"}
    for key in sorted(ours.keys() - left_out):
        theirs = document.get(key)
        try:
            is_equal = digest_of(ours[key]) == digest_of(theirs)
        except (TypeError, ValueError, RecursionError):
            raise FormatError(
                f"{path}.{key}: {shown(theirs)}, want plain JSON values"
            ) from None
        if not is_equal:
            lines.append(f"{key}: {canonical(ours[key])}, recorded {canonical(theirs)}")
    return Replay(answer, tuple(lines))


def _question(answer: Answer, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked, as the record holds it."""
    if isinstance(answer, ClusterChange):
        operation, nodes = answer.operation, [*answer.asked_nodes]
    else:
        operation = "place" if isinstance(answer, GangPlan) else "check"
        nodes = []
    return {
        "operation": operation,
        "gang": body["gang"],
        "nodes": nodes,
        "max_steps": body["max_steps"],
    }


def _question_of(document: Mapping[str, Any], path: str) -> dict[str, Any]:
    operation = _field(document, path, "operation", str)
    nodes = [
        _require(f"{path}.nodes[{i}]", node, str)
        for i, node in enumerate(_field(document, path, "nodes", list))
    ]
    if operation not in OPERATIONS:
        raise FormatError(
            f"{path}.operation: {shown(operation)}, want one of {', '.join(OPERATIONS)}"
        )
    gang = document.get("gang")
    if operation != "drain":
        gang = _require(f"{path}.gang", gang, dict)
    return {
        "operation": operation,
        "gang": gang,
        "nodes": nodes,
        "max_steps": _number(document, path, "max_steps", range(2**64)),
    }


def _ask(cluster: Cluster, question: Mapping[str, Any]) -> Answer:
    """Ask what a record says was asked."""
    operation, nodes = question["operation"], question["nodes"]
    limit = question["max_steps"]
    if operation == "drain":
        return cluster.drain(nodes, max_steps=limit)
    gang = Gang.from_dict(question["gang"])
    if operation == "replace":
        return cluster.replace(gang.name, nodes, max_steps=limit)
    if operation == "grow":
        return cluster.grow(gang.name, max_steps=limit)
    ask: Callable[..., Answer] = getattr(cluster, operation)
    return ask(gang, max_steps=limit)


def _answer_of(answer: Answer) -> dict[str, Any]:
    """Return what came out, without what was asked."""
    body = answer.to_dict()
    return {key: value for key, value in body.items() if key not in _HEADER}
