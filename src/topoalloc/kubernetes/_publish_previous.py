# SPDX-License-Identifier: Apache-2.0
"""The slices of a pool that are published now, in whatever form they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from topoalloc._errors import InvalidRequestError
from topoalloc.kubernetes._objects_read import plain
from topoalloc.kubernetes._objects_values import (
    fail,
    integer,
    mapping,
    required,
    shown,
)

__all__ = ["content_of", "previous_slices"]

_KIND: Final = "ResourceSlice"
_MAX_DEPTH: Final = 100


def previous_slices(previous: object, driver: str, pool: str) -> list[dict[str, Any]]:
    """Read the slices of a pool, and pass over those of others, in order of names.

    Raises
    ------
    InvalidRequestError
        It is no list.
    ObjectError
        One of them is no ResourceSlice.
    """
    if isinstance(previous, (str, bytes, Mapping)) or not isinstance(
        previous, Iterable
    ):
        message = f"previous: {shown(previous)}, want a list of ResourceSlices"
        raise InvalidRequestError(message)
    documents = [
        _slice(item, f"previous[{number}]") for number, item in enumerate(previous)
    ]
    own = [
        document
        for document in documents
        if document["spec"].get("driver") == driver
        and document["spec"]["pool"].get("name") == pool
    ]
    return sorted(own, key=lambda document: str(document["metadata"].get("name")))


def content_of(document: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what is published: all but what the API server adds."""
    name = document["metadata"].get("name")
    return document.get("apiVersion"), name, document["spec"]


def _slice(item: object, path: str) -> dict[str, Any]:
    document = mapping(_without_nulls(plain(item), path), path)
    if document.get("kind") != _KIND:
        raise fail(f"{path}.kind", f"{shown(document.get('kind'))}, want {_KIND}")
    mapping(required(document, "metadata", path), f"{path}.metadata")
    spec = mapping(required(document, "spec", path), f"{path}.spec")
    pool = mapping(required(spec, "pool", f"{path}.spec"), f"{path}.spec.pool")
    integer(pool.setdefault("generation", 0), f"{path}.spec.pool.generation", 0)
    return {**document, "spec": {**spec, "pool": pool}}


def _without_nulls(value: object, path: str, depth: int = 0) -> object:
    if depth > _MAX_DEPTH:
        raise fail(path, "nested too deeply")
    if isinstance(value, Mapping):
        return {
            key: _without_nulls(inner, path, depth + 1)
            for key, inner in value.items()
            if inner is not None
        }
    if isinstance(value, (list, tuple)):
        return [_without_nulls(inner, path, depth + 1) for inner in value]
    return value
