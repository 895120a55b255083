# SPDX-License-Identifier: Apache-2.0
"""The JSON form of a Cluster, read: trees, Machines, nodes by ranges, what runs.

What is read here may come from anyone: every part is checked, and what is wrong is a
`FormatError` that begins with its path.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from topoalloc._canonical import parse_json
from topoalloc._errors import FormatError, InternalError, TopoallocError
from topoalloc._gang import Gang, PodSet, Taint, plain_text
from topoalloc._machine import Machine
from topoalloc._node_names import names_in
from topoalloc._policy import Policy
from topoalloc._quantity import shown
from topoalloc._rails import rows_of
from topoalloc._request import check_header
from topoalloc._snapshot import (
    _digits,
    _field,
    _fill,
    _holding_rows,
    _name,
    _number,
    _policy,
    _require,
    _status,
)

if TYPE_CHECKING:
    from topoalloc._allocator import Allocator
    from topoalloc._cluster import Cluster

__all__ = ["Progress", "decode"]

Progress = Callable[[int, int], None]
"""Called with the nodes read so far and their number in all."""

_MOST_NODES: Final = 1_000_000
_PART: Final = 10_000
"""Nodes that one call adds; the progress is told after each."""
_KEYS: Final = {
    "": (
        "apiVersion",
        "kind",
        "trees",
        "policy",
        "machines",
        "nodes",
        "states",
        "gangs",
    ),
    "tree": ("name", "levels"),
    "node": (
        "name",
        "names",
        "machine",
        "domains",
        "labels",
        "taints",
        "reserved_pus",
        "cordoned",
    ),
    "taint": ("key", "value", "effect"),
    "state": (
        "node",
        "nodes",
        "placements",
        "taken",
        "cordoned_pus",
        "cordoned_devices",
    ),
    "taken": ("owner", "pus", "memory", "hugepages", "devices"),
    "gang": ("gang", "pods", "rails"),
    "pod": ("podset", "index", "node", "placement"),
}
_SOURCES: Final = ("preset", "synthetic", "file", "machine")
_EMPTY_STATE: Final[Mapping[str, Any]] = {
    "placements": [],
    "cordoned_pus": "",
    "cordoned_devices": [],
}

C = TypeVar("C", bound="Cluster")


class _Entry(NamedTuple):
    """Nodes that differ in their names alone."""

    path: str
    names: list[str]
    machine: Machine
    domains: dict[str, str]
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    reserved_pus: str
    is_cordoned: bool


def decode(
    cls: type[C],
    document: Mapping[str, Any],
    folder: str | PathLike[str] | None,
    progress: Progress | None,
) -> C:
    """Make a Cluster of its JSON form."""
    body = check_header(document, "Cluster")
    _known("Cluster", body, "")
    trees = _trees(body)
    policy = _policy_of(body)
    with _at("Cluster"):
        cluster = cls(trees, policy=policy)
    machines = {
        _text_key(f"{path}, a key", name): _machine(
            f"{path}.{shown(name)}", one, folder
        )
        for path in ["Cluster.machines"]
        for name, one in _field(body, "Cluster", "machines", dict).items()
    }
    entries = _entries(cluster, body, machines)
    _add_all(cluster, entries, progress)
    known = {name for entry in entries for name in entry.names}
    _fill_states(cluster, _list(body, "Cluster", "states"), known)
    for i, gang in enumerate(_list(body, "Cluster", "gangs")):
        _run(cluster, f"Cluster.gangs[{i}]", gang, known)
    return cluster


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Begin every error with the path at which it happened."""
    try:
        yield
    except InternalError:
        raise
    except TopoallocError as error:
        text = str(error.args[-1] if error.args else error)
        is_placed = text.startswith(path)
        raise FormatError(text if is_placed else f"{path}: {text}") from None


def _known(path: str, body: Mapping[str, Any], of: str) -> None:
    for key in body:
        if key not in _KEYS[of]:
            raise FormatError(
                f"{path}: {shown(key)}, want one of {', '.join(_KEYS[of])}"
            )


def _object(path: str, value: object, of: str) -> dict[str, Any]:
    body = _require(path, value, dict)
    _known(path, body, of)
    return body


def _list(body: Mapping[str, Any], path: str, key: str) -> list[Any]:
    return _field(body, path, key, list) if key in body else []


def _text_key(path: str, key: object) -> str:
    text = _require(path, key, str)
    if not text:
        raise FormatError(f"{path}: '', want a name")
    return text


def _trees(body: Mapping[str, Any]) -> dict[str, list[str]]:
    trees: dict[str, list[str]] = {}
    for i, entry in enumerate(_field(body, "Cluster", "trees", list)):
        at = f"Cluster.trees[{i}]"
        tree = _object(at, entry, "tree")
        name = _name(tree, at, "name")
        if name in trees:
            raise FormatError(f"{at}.name: {shown(name)} twice, want it once")
        trees[name] = [
            _require(f"{at}.levels[{j}]", level, str)
            for j, level in enumerate(_field(tree, at, "levels", list))
        ]
    return trees


def _policy_of(body: Mapping[str, Any]) -> Policy:
    with _at("Cluster.policy"):
        if isinstance(body.get("policy"), dict):
            return _policy(body, "Cluster")
        return Policy.of(_require("Cluster.policy", body.get("policy", "pack"), str))


def _machine(path: str, entry: object, folder: str | PathLike[str] | None) -> Machine:
    body = _require(path, entry, dict)
    if len(body) != 1 or next(iter(body)) not in _SOURCES:
        keys = ", ".join(shown(key) for key in body) or "none"
        raise FormatError(f"{path}: keys {keys}, want one of {', '.join(_SOURCES)}")
    ((source, value),) = body.items()
    at = f"{path}.{source}"
    with _at(at):
        match source:
            case "preset":
                return Machine.preset(_require(at, value, str))
            case "synthetic":
                return Machine.from_synthetic(_require(at, value, str))
            case "machine":
                return Machine.from_dict(_require(at, value, dict))
            case _:
                return _machine_file(at, _require(at, value, str), folder)


def _machine_file(path: str, name: str, folder: str | PathLike[str] | None) -> Machine:
    if folder is None:
        raise FormatError(
            f"{path}: {shown(name)}, want a document without files, or a folder given "
            "in which they are"
        )
    try:
        content = (Path(folder) / name).read_bytes()
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise FormatError(f"{path}: {shown(name)}: {what}, want a file") from None
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return Machine.from_xml(text)
    return Machine.from_dict(_require(path, parse_json(content, name), dict))


def _entries(
    cluster: Cluster, body: Mapping[str, Any], machines: Mapping[str, Machine]
) -> list[_Entry]:
    levels, seen = cluster.levels, set[str]()
    return [
        _entry(f"Cluster.nodes[{i}]", entry, machines, levels, seen)
        for i, entry in enumerate(_field(body, "Cluster", "nodes", list))
    ]


def _entry(
    path: str,
    entry: object,
    machines: Mapping[str, Machine],
    levels: tuple[str, ...],
    seen: set[str],
) -> _Entry:
    body = _object(path, entry, "node")
    machine = _name(body, path, "machine")
    if machine not in machines:
        raise FormatError(
            f"{path}.machine: {shown(machine)}, want one of "
            f"{', '.join(machines) or 'machines, which has none'}"
        )
    domains = _texts(body, path, "domains")
    for level in domains:
        if level not in levels:
            raise FormatError(
                f"{path}.domains.{level}: no such level, want one of "
                f"{', '.join(levels)}"
            )
    cordoned = body.get("cordoned", False)
    if not isinstance(cordoned, bool):
        raise FormatError(f"{path}.cordoned: {shown(cordoned)}, want true or false")
    return _Entry(
        path,
        _new_names(path, body, seen),
        machines[machine],
        domains,
        _texts(body, path, "labels"),
        tuple(
            _taint(f"{path}.taints[{i}]", taint)
            for i, taint in enumerate(_list(body, path, "taints"))
        ),
        _field(body, path, "reserved_pus", str) if "reserved_pus" in body else "",
        cordoned,
    )


def _new_names(path: str, body: Mapping[str, Any], seen: set[str]) -> list[str]:
    """Return the names of an entry; add them to those seen."""
    names = []
    for at, name in _names_of(path, body, "name", "names"):
        if name in seen:
            raise FormatError(f"{at}: {shown(name)} twice, want each name once")
        if len(seen) == _MOST_NODES:
            raise FormatError(f"{at}: too many names, want at most {_MOST_NODES} nodes")
        seen.add(name)
        names.append(name)
    if not names:
        raise FormatError(f"{path}.names: none, want at least one")
    return names


def _names_of(
    path: str, body: Mapping[str, Any], one: str, many: str
) -> Iterator[tuple[str, str]]:
    """Yield path and name of each: one as it stands, or texts that may be ranges."""
    if (one in body) == (many in body):
        given = "both" if one in body else "neither"
        raise FormatError(f"{path}.{one}, {many}: {given}, want one of them")
    if one in body:
        path = f"{path}.{one}"
        with _at(path):
            yield path, plain_text(path, _text_key(path, body[one]))
        return
    path, value = f"{path}.{many}", body[many]
    listed = [value] if isinstance(value, str) else _require(path, value, list)
    for i, text in enumerate(listed):
        at = path if isinstance(value, str) else f"{path}[{i}]"
        with _at(at):
            for name in names_in(at, _require(at, text, str)):
                yield at, name


def _texts(body: Mapping[str, Any], path: str, key: str) -> dict[str, str]:
    found = {}
    for name, value in _field(body, path, key, dict).items() if key in body else ():
        at = f"{path}.{key}"
        with _at(at):
            plain_text(f"{at}, a key", _text_key(f"{at}, a key", name))
            found[name] = plain_text(f"{at}.{name}", value)
    return found


def _taint(path: str, entry: object) -> Taint:
    body = _object(path, entry, "taint")
    _name(body, path, "key")
    with _at(path):
        return Taint(**body)


def _add_all(
    cluster: Cluster, entries: list[_Entry], progress: Progress | None
) -> None:
    total = sum(len(entry.names) for entry in entries)
    done = 0
    for part in _parts(entries):
        with _at(part[0].path):
            _add(cluster, part)
        done += sum(len(entry.names) for entry in part)
        if progress is not None:
            progress(done, total)


def _parts(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    """Yield entries that one call can add: many small calls cost more than one."""

    def alike(entry: _Entry) -> object:
        return id(entry.machine), entry.taints, entry.reserved_pus

    for _, run in itertools.groupby(entries, alike):
        part: list[_Entry] = []
        size = 0
        for entry in run:
            part.append(entry)
            size += len(entry.names)
            if size >= _PART:
                yield part
                part, size = [], 0
        if part:
            yield part


def _add(cluster: Cluster, part: list[_Entry]) -> None:
    def columns(key: str) -> dict[str, list[str | None]]:
        found = {name for entry in part for name in getattr(entry, key)}
        return {
            name: [getattr(entry, key).get(name) for entry in part for _ in entry.names]
            for name in sorted(found)
        }

    first = part[0]
    cluster.add_nodes(
        [name for entry in part for name in entry.names],
        first.machine,
        domains=columns("domains"),
        labels=columns("labels"),
        taints=first.taints,
        reserved_pus=first.reserved_pus,
    )
    for entry in part:
        for name in entry.names if entry.is_cordoned else ():
            cluster.cordon(name)


def _fill_states(cluster: Cluster, states: list[Any], known: set[str]) -> None:
    filled: set[str] = set()
    for i, entry in enumerate(states):
        path = f"Cluster.states[{i}]"
        body = _object(path, entry, "state")
        state = {**_EMPTY_STATE, **body}
        for at, name in _names_of(path, body, "node", "nodes"):
            if name not in known or name in filled:
                what = "twice" if name in filled else "is no node"
                raise FormatError(f"{at}: {shown(name)} {what}, want each node once")
            filled.add(name)
            allocator = cluster.node(name)
            with _at(path):
                for j, taken in enumerate(_list(body, path, "taken")):
                    _take(allocator, f"{path}.taken[{j}]", taken)
                _fill(allocator, state, path)


def _take(allocator: Allocator, path: str, entry: object) -> None:
    body = _object(path, entry, "taken")
    memory = _field(body, path, "memory", dict) if "memory" in body else {}
    pages = _field(body, path, "hugepages", dict) if "hugepages" in body else {}
    devices = body.get("devices", [])
    if not isinstance(devices, dict):
        _require(f"{path}.devices", devices, list)
    with _at(path):
        allocator.take(
            owner=_name(body, path, "owner"),
            pus=_field(body, path, "pus", str) if "pus" in body else "",
            memory={_digits(f"{path}.memory", key): n for key, n in memory.items()},
            hugepages={
                _digits(f"{path}.hugepages", key): _require(
                    f"{path}.hugepages.{key}", sizes, dict
                )
                for key, sizes in pages.items()
            },
            devices=devices,
        )


def _run(cluster: Cluster, path: str, entry: object, known: set[str]) -> None:
    body = _object(path, entry, "gang")
    inner = _field(body, path, "gang", dict)
    try:
        gang = Gang.from_dict(inner)
    except FormatError as error:
        # It begins with the kind, as "Gang.podsets[0].count: 0".
        raise FormatError(f"{path}.gang{str(error).removeprefix('Gang')}") from None
    numbers = {podset.name: (i, podset) for i, podset in enumerate(gang.podsets)}
    rows = []
    for i, pod in enumerate(_field(body, path, "pods", list)):
        at = f"{path}.pods[{i}]"
        fields = _object(at, pod, "pod")
        name = _name(fields, at, "podset")
        if name not in numbers:
            raise FormatError(
                f"{at}.podset: {shown(name)}, want one of {', '.join(numbers)}"
            )
        number, podset = numbers[name]
        index = _number(fields, at, "index", range(podset.count))
        node = _name(fields, at, "node")
        if node not in known:
            raise FormatError(f"{at}.node: {shown(node)}, want a node of the Cluster")
        _hold(cluster.node(node), at, f"{gang.name}/{name}/{index}", podset, fields)
        rows.append((number, index, node))
    with _at(path):
        rails = rows_of("rails", gang, body.get("rails", {}))
        cluster.adopt_gang(gang._compiled, rows, rails)


def _hold(
    allocator: Allocator,
    path: str,
    owner: str,
    podset: PodSet,
    fields: Mapping[str, Any],
) -> None:
    at = f"{path}.placement"
    body = _field(fields, path, "placement", dict)
    with _at(at):
        rows = _holding_rows(body, at) | {"status": _status(body, at)}
        allocator.restore_holding(owner, podset.request, rows)
