# SPDX-License-Identifier: Apache-2.0
"""The changes of ``topoalloc cluster what-if``, each made on a Cluster of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from topoalloc import Cluster, ClusterChange
from topoalloc._errors import InvalidRequestError
from topoalloc._gang import Gang
from topoalloc._node_names import ranges_of
from topoalloc._quantity import counted, shown
from topoalloc.cli import EXIT_YES
from topoalloc.cli._cluster_check import explained
from topoalloc.cli._cluster_output import rail_lines
from topoalloc.cli._cluster_place import complaint
from topoalloc.cli._cluster_source import node_names, read_gang
from topoalloc.cli._plan import exit_code

__all__ = ["Change", "Outcome", "make_change"]

_POD_PARTS: Final = 3
_MOST_RANGES: Final = 4


@dataclass(frozen=True)
class Outcome:
    """What came of a change."""

    change: str
    """As it was asked for."""
    status: str = "done"
    lines: Sequence[str] = ()
    """What happens, for people."""
    code: int = EXIT_YES
    complaint: str = ""
    """Why it cannot be made; empty where it can."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More, for programs."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "change": self.change,
            "status": self.status,
            "what_happens": [*self.lines],
            "explanation": self.complaint or None,
            **self.facts,
        }


@dataclass(frozen=True)
class Change:
    """A change that can be made; what it names was read before."""

    text: str
    _apply: Callable[[Cluster, str, int], Outcome]

    def apply(self, cluster: Cluster, *, max_steps: int) -> Outcome:
        """Make it, or leave the Cluster as it is and say why."""
        return self._apply(cluster, self.text, max_steps)


def make_change(text: str) -> Change:
    """Read a change such as ``"drain:n[01-04]"``.

    Parameters
    ----------
    text : str
        As ``docs/cli.md`` lists them.

    Returns
    -------
    Change

    Raises
    ------
    InvalidRequestError
        It is no change.
    FormatError
        A file that it names holds no Gang.
    """
    kind, colon, what = text.partition(":")
    if not colon or kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise InvalidRequestError(
            f"CHANGE: {text!r}, want KIND:WHAT with KIND one of {known}"
        )
    if not what:
        raise InvalidRequestError(f"CHANGE: {text!r}, want something after the colon")
    return Change(text, _KINDS[kind](what))


_Apply = Callable[[Cluster, str, int], Outcome]


def _of_nodes(
    each: Callable[[Cluster, str], None], what: str
) -> Callable[[str], _Apply]:
    def read(names: str) -> _Apply:
        listed = node_names("CHANGE", names)

        def apply(cluster: Cluster, text: str, max_steps: int) -> Outcome:
            del max_steps
            for name in listed:
                each(cluster, name)
            return Outcome(text, lines=[f"{counted(len(listed), 'node')} {what}"])

        return apply

    return read


def _add(what: str) -> _Apply:
    names, equals, like = what.rpartition("=")
    if not (names and equals and like):
        raise InvalidRequestError(f"CHANGE: add:{what}, want add:NODES=LIKE")
    listed = node_names("CHANGE", names)

    def apply(cluster: Cluster, text: str, max_steps: int) -> Outcome:
        del max_steps
        model = cluster.describe(like)
        cluster.add_nodes(
            listed,
            model.machine,
            domains=dict(model.domains),
            labels=dict(model.labels),
            taints=model.taints,
            reserved_pus=model.reserved_pus,
        )
        return Outcome(text, lines=[f"{counted(len(listed), 'node')} as {like}"])

    return apply


def _release(what: str) -> _Apply:
    name, *pod = what.split("/")
    is_pod = len(pod) == _POD_PARTS - 1 and pod[1].isascii() and pod[1].isdigit()
    if pod and not is_pod:
        raise InvalidRequestError(
            f"CHANGE: release:{what}, want release:GANG or release:GANG/PODSET/INDEX"
        )

    def apply(cluster: Cluster, text: str, max_steps: int) -> Outcome:
        del max_steps
        if pod:
            cluster.release(name, pods=[(pod[0], int(pod[1]))])
            return Outcome(text, lines=["1 pod stops"])
        running = cluster.gangs.get(name)
        cluster.release(name)
        pods = 0 if running is None else len(running.pods)
        return Outcome(text, lines=[f"{counted(pods, 'pod')} stop"])

    return apply


def _place(what: str) -> _Apply:
    gang = read_gang("CHANGE", what)

    def apply(cluster: Cluster, text: str, max_steps: int) -> Outcome:
        plan = cluster.place(gang, max_steps=max_steps)
        code = exit_code(plan.status)
        if code != EXIT_YES:
            return Outcome(
                text, plan.status.name, (), code, complaint(plan), _facts_of(gang)
            )
        cluster.commit(plan)
        pods = counted(len(plan.pods), "pod")
        line = f"{gang.name}: {pods} on {_nodes_text(plan.nodes)}"
        rails = [f"{gang.name}: {lists}" for lists in rail_lines(plan.rails)]
        return Outcome(text, plan.status.name, [line, *rails], facts=_facts_of(gang))

    return apply


def _found(find: Callable[[Cluster, int], ClusterChange]) -> _Apply:
    """Return what makes a change that the Cluster finds, whole or not at all."""

    def apply(cluster: Cluster, text: str, max_steps: int) -> Outcome:
        return _made(cluster, text, [find(cluster, max_steps)])

    return apply


def _made(cluster: Cluster, text: str, changes: Iterable[ClusterChange]) -> Outcome:
    """Commit changes one after the other, up to one that was not found."""
    status, lines, documents = "done", list[str](), []
    for change in changes:
        status = change.status.name
        documents.append(explained(change, change.to_dict()))
        code = exit_code(change.status)
        if code != EXIT_YES:
            why = f"{text}: {status}, {change.reason}"
            of = "" if change.podset is None else f" of {change.podset}"
            prose = str(change.explain(max_steps=change.max_steps)).rstrip()
            why = f"{why}{of}\n{prose}"
            return Outcome(text, status, lines, code, why, {"plans": documents})
        lines += _lines_of(change)
        if change.moves or change.cordoned:
            cluster.commit(change)
    return Outcome(text, status, lines, facts={"plans": documents})


def _lines_of(change: ClusterChange) -> list[str]:
    """Say what a change does, Gang by Gang."""
    lines = []
    for gang, run in itertools.groupby(change.moves, lambda move: move.gang):
        moves = [*run]
        moved = [move for move in moves if move.before and move.after]
        new = [move.after.node for move in moves if move.after and not move.before]
        ended = [move for move in moves if move.before and not move.after]
        if new:
            where = _nodes_text(dict.fromkeys(new))
            lines.append(f"{gang}: {counted(len(new), 'pod')} on {where}")
        if moved:
            named = [
                f"{move.podset}/{move.index} {move.before.node} -> {move.after.node}"
                for move in moved[:_MOST_RANGES]
                if move.before and move.after
            ]
            more = ["..."] if len(moved) > _MOST_RANGES else []
            pods = counted(len(moved), "pod")
            lines.append(f"{gang}: {pods} to other places: {', '.join(named + more)}")
        if ended:
            lines.append(f"{gang}: {counted(len(ended), 'pod')} stopped")
        rails = rail_lines(change.rails.get(gang, {}))
        lines += [f"{gang}: {line}" for line in rails]
    lines += [f"{left.owner} stays on {left.node}" for left in change.left]
    return lines


def _drain(what: str) -> _Apply:
    listed = node_names("CHANGE", what)
    return _found(lambda cluster, steps: cluster.drain(listed, max_steps=steps))


def _grow(what: str) -> _Apply:
    return _found(lambda cluster, steps: cluster.grow(what, max_steps=steps))


def _preempt(what: str) -> _Apply:
    gang = read_gang("CHANGE", what)
    return _found(lambda cluster, steps: cluster.preempt(gang, max_steps=steps))


def _defragment(what: str) -> _Apply:
    gang = read_gang("CHANGE", what)
    return _found(lambda cluster, steps: cluster.defragment(gang, max_steps=steps))


def _replace(what: str) -> _Apply:
    listed = node_names("CHANGE", what)

    def apply(cluster: Cluster, text: str, max_steps: int) -> Outcome:
        failed = {*listed}
        unknown = sorted(failed.difference(cluster.nodes))
        if unknown:
            raise InvalidRequestError(
                f"CHANGE: {text}: no node {shown(unknown[0])}, want one of the Cluster"
            )
        for name in listed:
            cluster.cordon(name)
        hit = [
            name
            for name, running in cluster.gangs.items()
            if any(pod.node in failed for pod in running.pods)
        ]
        return _made(
            cluster,
            text,
            (cluster.replace(name, listed, max_steps=max_steps) for name in hit),
        )

    return apply


def _nodes_text(names: Iterable[str]) -> str:
    """Name nodes by ranges, the first few where there are many."""
    ranges = ranges_of(names)
    more = [f"... ({len(ranges)} ranges)"] if len(ranges) > _MOST_RANGES else []
    return ",".join(ranges[:_MOST_RANGES] + more)


def _facts_of(gang: Gang) -> dict[str, Any]:
    return {"gang": gang.name}


_KINDS: Final[dict[str, Callable[[str], _Apply]]] = {
    "cordon": _of_nodes(Cluster.cordon, "take no more pods"),
    "uncordon": _of_nodes(Cluster.uncordon, "take pods again"),
    "drain": _drain,
    "remove": _of_nodes(Cluster.remove_node, "leave"),
    "add": _add,
    "replace": _replace,
    "place": _place,
    "preempt": _preempt,
    "defragment": _defragment,
    "grow": _grow,
    "release": _release,
}
