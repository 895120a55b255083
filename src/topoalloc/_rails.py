# SPDX-License-Identifier: Apache-2.0
"""The lists of index sets that pods with `Rails` hold: rows, mappings and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from topoalloc._errors import InvalidRequestError
from topoalloc._gang import Gang, PodSet, Rails
from topoalloc._quantity import shown

__all__ = ["RailLists", "lists_of", "rail_document", "rows_of"]

RailLists: TypeAlias = dict[str, dict[str, list[tuple[int, ...]]]]
"""PodSet to class of its `Rails` to sets of indices, the j-th for the j-th pod on every
node."""

_Rows: TypeAlias = Sequence[Sequence[Sequence[Sequence[int]]]]
_MAX_INDEX = 2**32 - 1


def _classes(podset: PodSet) -> list[str]:
    return [e.device_class for e in podset.require if isinstance(e, Rails)]


def lists_of(gang: Gang, rows: _Rows) -> RailLists:
    """Return the lists of those PodSets that have `Rails`."""
    return {
        podset.name: {
            name: [tuple(entry[r]) for entry in entries]
            for r, name in enumerate(_classes(podset))
        }
        for podset, entries in zip(gang.podsets, rows, strict=False)
        if _classes(podset)
    }


def rail_document(lists: RailLists) -> dict[str, Any]:
    """Return the JSON form.

    Examples
    --------
    >>> rail_document({"worker": {"nic": [(0, 1), (2, 3)]}})
    {'worker': {'nic': [[0, 1], [2, 3]]}}
    """
    return {
        podset: {name: [[*entry] for entry in entries] for name, entries in of.items()}
        for podset, of in lists.items()
    }


def rows_of(path: str, gang: Gang, document: object) -> _Rows:
    """Return what the core reads of the JSON form."""
    podsets = {podset.name: _classes(podset) for podset in gang.podsets}
    body = _mapping(path, document, [name for name in podsets if podsets[name]])
    rows = []
    for podset, classes in podsets.items():
        at = f"{path}.{podset}"
        of = _mapping(at, body.get(podset, {}), classes)
        lists = [_entries(f"{at}.{name}", of.get(name, [])) for name in classes]
        if len({len(entries) for entries in lists}) > 1:
            raise InvalidRequestError(
                f"{at}: lists of different lengths, want one entry a pod for each class"
            )
        rows.append([*zip(*lists, strict=True)])
    return rows


def _mapping(path: str, value: object, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{path}: {type(value).__name__}, want an object")
    for key in value:
        if key not in keys:
            want = f"one of {', '.join(keys)}" if keys else "none: there are no Rails"
            raise InvalidRequestError(f"{path}: {shown(key)}, want {want}")
    return value


def _entries(path: str, value: object) -> list[list[int]]:
    return [
        [
            _index(f"{path}[{j}][{i}]", index)
            for i, index in enumerate(_list(f"{path}[{j}]", entry))
        ]
        for j, entry in enumerate(_list(path, value))
    ]


def _list(path: str, value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidRequestError(f"{path}: {type(value).__name__}, want a list")
    return value


def _index(path: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(f"{path}: {type(value).__name__}, want an int")
    if not 0 <= value <= _MAX_INDEX:
        raise InvalidRequestError(f"{path}: {shown(value)}, want 0 to {_MAX_INDEX}")
    return value
