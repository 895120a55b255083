# SPDX-License-Identifier: Apache-2.0
"""Read Kubernetes objects: dicts, JSON or YAML text, or a client's models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from topoalloc.kubernetes._objects import (
    ClusterNode,
    DeviceClass,
    DeviceSlice,
    DeviceTaintRule,
    ResourceClaim,
)
from topoalloc.kubernetes._objects_claim import read_claim, read_class
from topoalloc.kubernetes._objects_node import read_node, read_taint_rule
from topoalloc.kubernetes._objects_slice import read_slice
from topoalloc.kubernetes._objects_values import (
    dns_subdomain,
    fail,
    mapping,
    required,
    shown,
    text,
)
from topoalloc.kubernetes._yaml import YamlError, read_yaml

__all__ = ["MAX_BYTES", "KubernetesObject", "plain", "read_document", "read_object"]

MAX_BYTES = 3 * 1024 * 1024
"""Longest text of an object; an API server takes no larger ones."""

KubernetesObject = (
    DeviceSlice | ResourceClaim | DeviceClass | DeviceTaintRule | ClusterNode
)

_GROUP = "resource.k8s.io/"
_VERSIONS = tuple(_GROUP + version for version in ("v1", "v1beta2", "v1beta1"))
_RULE_VERSIONS = tuple(_GROUP + version for version in ("v1beta2", "v1alpha3"))
_KINDS = {
    "ResourceSlice": _VERSIONS,
    "ResourceClaim": _VERSIONS,
    "DeviceClass": _VERSIONS,
    "DeviceTaintRule": _RULE_VERSIONS,
    "Node": ("v1",),
}
_MAX_DEPTH = 100


def read_object(source: object, semantics: str = "1.37") -> KubernetesObject:
    """Read a ResourceSlice, ResourceClaim, DeviceClass, DeviceTaintRule or Node.

    Parameters
    ----------
    source : mapping, str, bytes or object
        The object as the API has it, its JSON or YAML text, or a model of a client:
        something with `to_dict()`.
    semantics : str, optional
        The version of Kubernetes whose meaning its selectors have.

    Returns
    -------
    DeviceSlice, ResourceClaim, DeviceClass, DeviceTaintRule or ClusterNode

    Raises
    ------
    ObjectError
        It breaks a rule of its API; the message begins with the path.
    SelectorError
        A selector of it is none; the message begins with the path.
    MissingExtraError
        It has a selector or is YAML, and a package of the extra is not installed.
    """
    return read_document(mapping(plain(source), ""), semantics)


def read_document(
    document: Mapping[str, Any], semantics: str = "1.37"
) -> KubernetesObject:
    """Read an object from what `plain` made of it; the rest is as in `read_object`."""
    version = text(required(document, "apiVersion", ""), "apiVersion")
    kind = text(required(document, "kind", ""), "kind")
    if kind not in _KINDS:
        raise fail("kind", f"{shown(kind)}, want one of {', '.join(_KINDS)}")
    if version not in _KINDS[kind]:
        wants = ", ".join(_KINDS[kind])
        raise fail("apiVersion", f"{shown(version)}, want one of {wants}")
    version = version.removeprefix(_GROUP)
    metadata = mapping(required(document, "metadata", ""), "metadata")
    name = text(required(metadata, "name", "metadata"), "metadata.name", dns_subdomain)
    if kind == "ResourceSlice":
        return read_slice(required(document, "spec", ""), name, version)
    if kind == "DeviceClass":
        return read_class(document, name, semantics)
    if kind == "DeviceTaintRule":
        return read_taint_rule(required(document, "spec", ""), name)
    if kind == "Node":
        return read_node(metadata, name)
    names = (
        text(metadata.get("namespace", "default"), "metadata.namespace", dns_subdomain),
        name,
        text(metadata.get("uid", ""), "metadata.uid"),
    )
    return read_claim(document, names, version, semantics)


def plain(source: object) -> object:
    """Return what the API would say of the source."""
    if isinstance(source, (str, bytes, bytearray)):
        return _parsed(source)
    if isinstance(source, Mapping):
        return source
    return _of_model(source, 0)


def _parsed(source: str | bytes | bytearray) -> object:
    if len(source) > MAX_BYTES:
        raise fail("", f"{len(source)} long, want at most {MAX_BYTES}")
    try:
        written = source if isinstance(source, str) else bytes(source).decode()
        if not written.lstrip().startswith("{"):
            documents = read_yaml(written)
            if len(documents) != 1:
                raise fail("", f"{len(documents)} documents, want one")
            return documents[0]
        return json.loads(written, object_pairs_hook=_without_doubles)
    except YamlError as error:
        raise fail("", f"no YAML: {str(error)[:200]}") from None
    except RecursionError:
        raise fail("", "nested too deeply") from None
    except ValueError as error:
        raise fail("", f"no JSON: {str(error)[:200]}") from None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"key {shown(twice)} is given twice"
        raise ValueError(message)
    return found


def _of_model(value: object, depth: int) -> object:
    """Return a model of a client, and what is in it, as the API spells it."""
    if depth > _MAX_DEPTH:
        raise fail("", "nested too deeply")
    if isinstance(value, Mapping):
        return {key: _of_model(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_of_model(inner, depth + 1) for inner in value]
    # The official client's to_dict() has Python's spelling; this has the API's.
    spelling = getattr(type(value), "attribute_map", None)
    if isinstance(spelling, Mapping):
        return {
            spelled: _of_model(getattr(value, name, None), depth + 1)
            for name, spelled in spelling.items()
        }
    to_dict = getattr(value, "to_dict", None)
    return _of_model(to_dict(), depth + 1) if callable(to_dict) else value
