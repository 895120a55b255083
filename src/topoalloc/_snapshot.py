# SPDX-License-Identifier: Apache-2.0
"""Snapshots, and the replay of Decision records: both rebuild a state.

A snapshot is one line, ``topoalloc-snapshot VERSION sha256:DIGEST``, then canonical
JSON that the digest is of. What is read here may come from anyone: every part is
checked, and what is wrong is a `FormatError` that begins with its path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from topoalloc._canonical import canonical, digest_of, parse_json
from topoalloc._core import Status, cpuset_members
from topoalloc._errors import (
    FormatError,
    InvalidRequestError,
    NotPlacedError,
    StateError,
)
from topoalloc._machine import Machine
from topoalloc._policy import Cost, Policy
from topoalloc._quantity import shown
from topoalloc._records import SEMANTICS, state_document
from topoalloc._request import API_VERSION, Request, check_header
from topoalloc._version import library_version

if TYPE_CHECKING:
    from topoalloc._allocator import Allocator
    from topoalloc._cluster_change import ClusterChange
    from topoalloc._gang_answer import GangPlan, GangVerdict
    from topoalloc._records import BatchVerdict, Verdict

__all__ = [
    "Replay",
    "build",
    "decode",
    "encode",
    "is_of_this_library",
    "rebuild",
    "replay",
    "seal",
]

FORMAT_VERSION = 1
_MAGIC = "topoalloc-snapshot"
_HEADER_WORDS = 3
_LONGEST_HEADER = 200
_SIGNED_64 = range(-(2**63), 2**63)
_UNSIGNED_63 = range(2**63)
_UNSIGNED_32 = range(2**32)

A = TypeVar("A", bound="Allocator")
T = TypeVar("T")


def encode(machine: dict[str, Any], policy: Policy, rows: dict[str, Any]) -> bytes:
    """Write a snapshot of an Allocator."""
    return seal(
        {
            "apiVersion": API_VERSION,
            "kind": "Snapshot",
            "machine": machine,
            "policy": policy.to_dict(),
            "state": state_document(rows),
        }
    )


def seal(document: Mapping[str, Any]) -> bytes:
    """Write a document below the line with its checksum."""
    body = canonical(document).encode()
    digest = hashlib.sha256(body).hexdigest()
    return f"{_MAGIC} {FORMAT_VERSION} sha256:{digest}\n".encode() + body


def decode(snapshot: bytes, kind: str = "Snapshot") -> Mapping[str, Any]:
    """Read a snapshot down to its JSON; checksum and version hold."""
    if not isinstance(snapshot, bytes | bytearray | memoryview):
        raise FormatError(f"snapshot: {type(snapshot).__name__}, want bytes")
    content = bytes(snapshot)
    header, newline, body = content.partition(b"\n")
    words = header[:_LONGEST_HEADER].decode("ascii", "replace").split(" ")
    if not newline or words[0] != _MAGIC or len(words) != _HEADER_WORDS:
        raise FormatError(
            f"snapshot: line 1 is not its header, want {_MAGIC!r} and two words"
        )
    if not words[1].isdigit() or int(words[1]) != FORMAT_VERSION:
        raise FormatError(f"snapshot: format {words[1]!r}, want {FORMAT_VERSION}")
    if words[2] != f"sha256:{hashlib.sha256(body).hexdigest()}":
        raise FormatError("snapshot: damaged, want content that meets its checksum")
    return check_header(parse_json(body, "snapshot"), kind)


def build(cls: type[A], document: Mapping[str, Any], path: str) -> A:
    """Make an Allocator of the machine, policy and state of a document."""
    try:
        machine = Machine.from_dict(_field(document, path, "machine", dict))
        policy = _policy(document, path)
        state = _field(document, path, "state", dict)
        return rebuild(cls, machine, policy, state, f"{path}.state")
    except (InvalidRequestError, StateError) as error:
        raise FormatError(f"{path}: {error}") from None


def rebuild(
    cls: type[A], machine: Machine, policy: Policy, state: Mapping[str, Any], path: str
) -> A:
    """Make an Allocator of a machine and the JSON form of a state."""
    reserved = _field(state, path, "reserved_pus", str)
    allocator = cls(machine, reserved_pus=reserved, policy=policy)
    _fill(allocator, state, path)
    return allocator


def _policy(document: Mapping[str, Any], path: str) -> Policy:
    # Before a Policy could have an order of its own, its name said all.
    entry = _field(document, path, "policy", dict)
    at = f"{path}.policy"
    own = {"packing", "order"} & {*entry}
    return Policy(
        _field(entry, at, "name", str),
        _number(entry, at, "version", _UNSIGNED_32),
        packing=_field(entry, at, "packing", str) if "packing" in own else None,
        order=_field(entry, at, "order", list) if "order" in own else None,
    )


def _fill(allocator: Allocator, state: Mapping[str, Any], path: str) -> None:
    for i, entry in enumerate(_field(state, path, "placements", list)):
        at = f"{path}.placements[{i}]"
        _require(at, entry, dict)
        request = entry.get("request")
        allocator.restore_holding(
            _name(entry, at, "owner"),
            None if request is None else Request.from_dict(request),
            _holding_rows(_field(entry, at, "placement", dict), f"{at}.placement")
            | {"status": _status(entry, at)},
        )
    for pu in cpuset_members(_field(state, path, "cordoned_pus", str)):
        allocator.cordon(pu)
    for name in _field(state, path, "cordoned_devices", list):
        allocator.cordon_device(_require(f"{path}.cordoned_devices", name, str), True)


def _status(entry: Mapping[str, Any], path: str) -> Status:
    name = _field(entry, path, "status", str)
    if name not in (Status.OPTIMAL.name, Status.FEASIBLE.name):
        raise FormatError(f"{path}.status: {name!r}, want OPTIMAL or FEASIBLE")
    return Status[name]


def _holding_rows(body: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return a Placement in the form that the core takes."""
    memory = [
        (_digits(f"{path}.memory", node), 0, _amount(f"{path}.memory.{node}", amount))
        for node, amount in _field(body, path, "memory", dict).items()
    ]
    for node, sizes in _field(body, path, "hugepages", dict).items():
        at = f"{path}.hugepages.{node}"
        memory += [
            (_digits(at, node), _digits(at, size), _amount(f"{at}.{size}", amount))
            for size, amount in _require(at, sizes, dict).items()
        ]
    return {
        "pus": _field(body, path, "cpuset", str),
        "memory": memory,
        "devices": [
            _device_row(entry, f"{path}.devices[{i}]")
            for i, entry in enumerate(_field(body, path, "devices", list))
        ],
        "localities": [
            _in_range(f"{path}.localities[{i}]", index, _UNSIGNED_32)
            for i, index in enumerate(_field(body, path, "localities", list))
        ],
        "pairs": [
            _pair_row(entry, f"{path}.pairs[{i}]")
            for i, entry in enumerate(_field(body, path, "pairs", list))
        ],
        "cost": _cost(_field(body, path, "cost", dict), f"{path}.cost"),
    }


def _device_row(entry: object, path: str) -> tuple[str, dict[str, int]]:
    fields = _require(path, entry, dict)
    share = _require(f"{path}.share", fields.get("share", {}), dict)
    return (
        _name(fields, path, "name"),
        {
            name: _amount(f"{path}.share.{name}", amount)
            for name, amount in share.items()
        },
    )


def _pair_row(entry: object, path: str) -> tuple[int, list[tuple[str, str]]]:
    fields = _require(path, entry, dict)
    pairs = []
    for pair in _field(fields, path, "pairs", list):
        names = _require(f"{path}.pairs", pair, list)
        if [type(name) for name in names] != [str, str]:
            raise FormatError(f"{path}.pairs: {shown(names)}, want two names each")
        a, b = (_require(f"{path}.pairs", name, str) for name in names)
        pairs.append((a, b))
    return _number(fields, path, "constraint", _UNSIGNED_32), pairs


def _cost(terms: Mapping[str, Any], path: str) -> tuple[int, ...]:
    if {*terms} != {*Cost._fields}:
        raise FormatError(
            f"{path}: not the terms of a Cost, want {', '.join(Cost._fields)}"
        )
    return tuple(
        _in_range(f"{path}.{name}", terms[name], _SIGNED_64) for name in Cost._fields
    )


def _require(path: str, value: object, kind: type[T]) -> T:
    if not isinstance(value, kind) or isinstance(value, bool):
        want = {"dict": "an object", "list": "a list", "str": "a str"}.get(
            kind.__name__, "an int"
        )
        raise FormatError(f"{path}: {type(value).__name__}, want {want}")
    _require_encodable(path, value)
    return value


def _require_encodable(path: str, value: object) -> None:
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise FormatError(
                f"{path}: {shown(value)}, want text without lone surrogates"
            ) from None


def _field(document: Mapping[str, Any], path: str, key: str, kind: type[T]) -> T:
    if key not in document:
        raise FormatError(f"{path}.{key}: absent, want it given")
    return _require(f"{path}.{key}", document[key], kind)


def _name(document: Mapping[str, Any], path: str, key: str) -> str:
    name = _field(document, path, key, str)
    if not name:
        raise FormatError(f"{path}.{key}: '', want a name")
    return name


def _in_range(path: str, value: object, allowed: range) -> int:
    number = _require(path, value, int)
    if number not in allowed:
        raise FormatError(
            f"{path}: {shown(number)}, want {allowed.start} to {allowed.stop - 1}"
        )
    return number


def _number(document: Mapping[str, Any], path: str, key: str, allowed: range) -> int:
    return _in_range(f"{path}.{key}", _field(document, path, key, int), allowed)


def _amount(path: str, value: object) -> int:
    return _in_range(path, value, _UNSIGNED_63)


def _digits(path: str, text: str) -> int:
    # 19 digits hold every page size; more could not be converted in bounded time.
    _require(f"{path}, a key", text, str)
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(2**63)):
        raise FormatError(f"{path}: key {text[:40]!r}, want a number in digits")
    return _in_range(path, int(text), _UNSIGNED_63)


@dataclass(frozen=True, slots=True)
class Replay:
    """What came out when a recorded question was asked again."""

    verdict: Verdict | BatchVerdict | GangVerdict | GangPlan | ClusterChange | None
    """The new answer; None where a resize that had failed succeeds now."""
    differences: tuple[str, ...]
    """One line a field that differs; empty: reproduced bit for bit."""

    @property
    def is_equal(self) -> bool:
        """Whether the record was reproduced."""
        return not self.differences


def replay(record: Mapping[str, Any]) -> Replay:
    """Ask a recorded question again and compare.

    Parameters
    ----------
    record : mapping
        A Decision record that embeds its Machine and state (``Verdict.to_dict()``,
        ``BatchVerdict.to_dict()``), or its Cluster (``Cluster.record()``).

    Returns
    -------
    Replay
        With what differs, field by field; steps only in a record of this version of
        the library, as another one may need fewer.

    Raises
    ------
    FormatError
        The record is damaged, of newer semantics, or does not embed what it takes.

    Examples
    --------
    >>> import topoalloc as ta
    >>> allocator = ta.Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
    >>> record = allocator.check(ta.Request(cores=5)).to_dict()
    >>> replay(record).is_equal
    True
    """
    from topoalloc._allocator import Allocator  # noqa: PLC0415

    document = check_header(record, "Decision")
    if "cluster" in document or _is_of_a_cluster(document):
        from topoalloc import _cluster_record  # noqa: PLC0415

        return _cluster_record.replay(document)
    path = "Decision"
    versions = _field(document, path, "versions", dict)
    semantics = _field(versions, f"{path}.versions", "semantics", str)
    if semantics != SEMANTICS:
        raise FormatError(
            f"{path}.versions.semantics: {shown(semantics)}, want {SEMANTICS!r}"
        )
    allocator = build(Allocator, document, path)
    max_steps = _number(document, path, "max_steps", range(2**64))
    verdict: Verdict | BatchVerdict | None
    try:
        if "requests" in document:
            requests = _batch(document, path)
            verdict = allocator.check_joint(requests, max_steps=max_steps)
        else:
            request = Request.from_dict(_field(document, path, "request", dict))
            verdict = _ask(allocator, document, request, max_steps)
    except (InvalidRequestError, StateError) as error:
        raise FormatError(f"{path}: {error}") from None
    if verdict is None:
        recorded = shown(document.get("status"))
        return Replay(None, (f"status: OPTIMAL or FEASIBLE, recorded {recorded}",))
    return Replay(verdict, tuple(_differences(document, verdict)))


def is_of_this_library(document: Mapping[str, Any]) -> bool:
    """Tell whether steps compare: another version may need fewer."""
    versions = document.get("versions")
    return isinstance(versions, dict) and versions.get("library") == library_version()


def _is_of_a_cluster(document: Mapping[str, Any]) -> bool:
    versions = document.get("versions")
    semantics = versions.get("semantics") if isinstance(versions, dict) else None
    return isinstance(semantics, str) and semantics.startswith("cluster/")


def _ask(
    allocator: Allocator, document: Mapping[str, Any], request: Request, max_steps: int
) -> Verdict | None:
    held = document.get("held")
    if held is None:
        owner = document.get("owner")
        if (
            document.get("operation") == "allocate"
            and isinstance(owner, str)
            and owner in allocator.placements
        ):
            # It held an equal Request already, which was the answer.
            return allocator.allocate_batch(request, [owner], max_steps=max_steps)[0]
        return allocator.check(request, max_steps=max_steps)
    # A resize was asked on the state without its owner, who comes back first.
    owner = _name(document, "Decision", "owner")
    rows = _holding_rows(_require("Decision.held", held, dict), "Decision.held")
    allocator.restore_holding(owner, None, rows | {"status": Status.FEASIBLE})
    try:
        allocator.resize(owner, request, max_steps=max_steps)
    except NotPlacedError as error:
        verdict: Verdict = error.verdict
        return verdict
    return None


def _batch(document: Mapping[str, Any], path: str) -> dict[str, Request]:
    requests: dict[str, Request] = {}
    for i, entry in enumerate(_field(document, path, "requests", list)):
        at = f"{path}.requests[{i}]"
        owner = _name(_require(at, entry, dict), at, "owner")
        if owner in requests:
            raise FormatError(f"{at}.owner: {owner!r} twice, want different owners")
        requests[owner] = Request.from_dict(_field(entry, at, "request", dict))
    return requests


def _differences(
    document: Mapping[str, Any], verdict: Verdict | BatchVerdict
) -> list[str]:
    found = verdict.to_dict(embed=False)
    answer = "placements" if "placements" in found else "placement"
    lines = []
    document = {**document, "policy": _policy(document, "Decision").to_dict()}
    steps = ("steps",) if is_of_this_library(document) else ()
    for key in ("status", "reason", *steps, "cost", answer, "policy", "digests"):
        ours, theirs = (_without_owner(d.get(key)) for d in (found, document))
        try:
            is_equal = digest_of(ours) == digest_of(theirs)
        except (TypeError, ValueError, RecursionError):
            raise FormatError(
                f"Decision.{key}: {shown(theirs)}, want plain JSON values"
            ) from None
        if not is_equal:
            lines.append(f"{key}: {canonical(ours)}, recorded {canonical(theirs)}")
    return lines


def _without_owner(value: object) -> object:
    # A check names no owner; the record of an allocate does.
    if isinstance(value, dict) and "owner" in value:
        return {key: item for key, item in value.items() if key != "owner"}
    return value
