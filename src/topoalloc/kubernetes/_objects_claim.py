# SPDX-License-Identifier: Apache-2.0
"""Read ResourceClaims and DeviceClasses of resource.k8s.io: v1, v1beta2 and v1beta1.

The rules are those of the API server, as for ResourceSlices. `derivedAttributes` are
refused: the claim solver knows none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from topoalloc.kubernetes._cel import Selector
from topoalloc.kubernetes._objects import (
    AllocatedDevice,
    AllocationMode,
    ClaimConstraint,
    ClaimDemand,
    ClaimRequest,
    DeviceClass,
    DeviceConfig,
    DeviceId,
    DeviceTaintEffect,
    DeviceToleration,
    ResourceClaim,
)
from topoalloc.kubernetes._objects_slice import pool_name
from topoalloc.kubernetes._objects_values import (
    amounts,
    boolean,
    chosen,
    dns_label,
    dns_subdomain,
    driver_name,
    fail,
    fields,
    fully_qualified,
    integer,
    label_key,
    label_value,
    listed,
    mapping,
    once,
    qualified,
    required,
    shown,
    text,
)

__all__ = ["read_claim", "read_class"]

_MAX_REQUESTS, _MAX_ENTRIES, _MAX_SELECTORS, _MAX_TOLERATIONS = 32, 8, 32, 16
_MAX_CONSTRAINTS, _MAX_CONFIGS, _MAX_RESULTS, _MAX_AMOUNTS = 32, 32, 32, 32
_MAX_RESERVED = 256
_MAX_PARAMETERS, _MAX_DEPTH = 10 * 1024, 64

_ENTRY = {
    "deviceClassName", "selectors", "allocationMode", "count", "tolerations",
    "capacity", "derivedAttributes",
}  # fmt: skip
_RESULT = {
    "request", "driver", "pool", "device", "adminAccess", "tolerations", "shareID",
    "bindingConditions", "bindingFailureConditions", "consumedCapacity",
    "skipNodeOperations", "compatibilityGroups",
}  # fmt: skip
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EXTENDED = re.compile(r"[^/]+/[^/]+")


def read_claim(
    document: Mapping[str, Any],
    names: tuple[str, str, str],
    version: str,
    semantics: str,
) -> ResourceClaim:
    """Read `spec` and `status.allocation` of a ResourceClaim.

    Raises
    ------
    ObjectError, SelectorError
        It breaks a rule of its API.
    """
    spec = fields(required(document, "spec", ""), "spec", {"devices"})
    found = fields(
        spec.get("devices", {}), "spec.devices", {"requests", "constraints", "config"}
    )
    path = "spec.devices.requests"
    requests = tuple(
        _request(item, where, version, semantics)
        for item, where in listed(found.get("requests"), path, _MAX_REQUESTS)
    )
    once([request.name for request in requests], path, ".name")
    known = _names_of(requests)
    return ResourceClaim(
        *names,
        requests,
        tuple(
            _constraint(item, where, known)
            for item, where in listed(
                found.get("constraints"), "spec.devices.constraints", _MAX_CONSTRAINTS
            )
        ),
        tuple(
            _config(item, where, known)
            for item, where in listed(
                found.get("config"), "spec.devices.config", _MAX_CONFIGS
            )
        ),
        _allocated(document.get("status"), known),
    )


def read_class(document: Mapping[str, Any], name: str, semantics: str) -> DeviceClass:
    """Read `spec` of a DeviceClass.

    Raises
    ------
    ObjectError, SelectorError
        It breaks a rule of its API.
    """
    found = fields(
        required(document, "spec", ""),
        "spec",
        {"selectors", "config", "extendedResourceName", "suitableNodes"},
    )
    resource = found.get("extendedResourceName")
    if resource is not None:
        text(resource, "spec.extendedResourceName", _extended_resource)
    return DeviceClass(
        name,
        _selectors(found.get("selectors"), "spec.selectors", semantics),
        tuple(
            _config(item, where, None)
            for item, where in listed(found.get("config"), "spec.config", _MAX_CONFIGS)
        ),
        resource,
    )


def _extended_resource(value: str) -> str | None:
    wants = label_key(value)
    if wants is None and _EXTENDED.fullmatch(value) and "kubernetes.io/" not in value:
        return None
    return "the name of an extended resource: domain/name, not of kubernetes.io"


def _names_of(requests: tuple[ClaimRequest, ...]) -> set[str]:
    names = {request.name for request in requests}
    for request in requests:
        if request.is_prioritized:
            names |= {f"{request.name}/{entry.name}" for entry in request.demands}
    return names


def _request(value: object, path: str, version: str, semantics: str) -> ClaimRequest:
    names = {"name", "firstAvailable"}
    inline = version == "v1beta1"
    names |= _ENTRY | {"adminAccess"} if inline else {"exactly"}
    found = fields(value, path, names)
    name = text(required(found, "name", path), f"{path}.name", dns_label)
    where = f"{path}.firstAvailable"
    entries = listed(found.get("firstAvailable"), where, _MAX_ENTRIES)
    exact = set(found) - {"name", "firstAvailable"}
    if bool(entries) == bool(exact):
        both = "deviceClassName" if inline else "exactly"
        message = f"{'both' if entries else 'none'} of {both} and firstAvailable"
        raise fail(path, f"{message}, want one of them")
    if not entries:
        if inline:
            del found["name"]
            found.pop("firstAvailable", None)
            return ClaimRequest(name, (_exactly(found, path, semantics),))
        demand = _exactly(found["exactly"], f"{path}.exactly", semantics)
        return ClaimRequest(name, (demand,))
    demands = []
    for item, at in entries:
        entry = fields(item, at, _ENTRY | {"name"})
        own = text(required(entry, "name", at), f"{at}.name", dns_label)
        demands.append(_demand(entry, at, own, semantics))
    once([demand.name for demand in demands], where, ".name")
    return ClaimRequest(name, tuple(demands), is_prioritized=True)


def _exactly(value: object, path: str, semantics: str) -> ClaimDemand:
    return _demand(fields(value, path, _ENTRY | {"adminAccess"}), path, "", semantics)


def _demand(
    found: Mapping[str, Any], path: str, name: str, semantics: str
) -> ClaimDemand:
    mode = AllocationMode.EXACT_COUNT
    if found.get("allocationMode", "") != "":
        where = f"{path}.allocationMode"
        mode = chosen(found["allocationMode"], where, AllocationMode)
    count = found.get("count", 0)
    if mode == AllocationMode.ALL:
        if integer(count, f"{path}.count") != 0:
            raise fail(f"{path}.count", f"{shown(count)}, want none with All")
    elif "count" in found:
        count = integer(count, f"{path}.count", 1)
    else:
        count = 1
    if "derivedAttributes" in found:
        raise fail(f"{path}.derivedAttributes", "there, want none: not supported")
    where = f"{path}.capacity"
    capacity = fields(found.get("capacity", {}), where, {"requests"})
    where += ".requests"
    return ClaimDemand(
        name,
        text(
            required(found, "deviceClassName", path),
            f"{path}.deviceClassName",
            dns_subdomain,
        ),
        _selectors(found.get("selectors"), f"{path}.selectors", semantics),
        mode,
        count,
        boolean(found.get("adminAccess", False), f"{path}.adminAccess"),
        tuple(
            _toleration(item, at)
            for item, at in listed(
                found.get("tolerations"), f"{path}.tolerations", _MAX_TOLERATIONS
            )
        ),
        amounts(capacity.get("requests"), where, _MAX_AMOUNTS, qualified),
    )


def _selectors(value: object, path: str, semantics: str) -> tuple[Selector, ...]:
    selectors = []
    for item, where in listed(value, path, _MAX_SELECTORS):
        found = fields(item, where, {"cel"})
        where += ".cel"  # noqa: PLW2901 - the path goes on.
        cel = fields(required(found, "cel", where[:-4]), where, {"expression"})
        expression = text(required(cel, "expression", where), f"{where}.expression")
        selectors.append(Selector(expression, semantics, path=f"{where}.expression"))
    return tuple(selectors)


def _toleration(value: object, path: str) -> DeviceToleration:
    found = fields(
        value, path, {"key", "operator", "value", "effect", "tolerationSeconds"}
    )
    key = text(found.get("key", ""), f"{path}.key")
    if key:
        text(key, f"{path}.key", label_key)
    operator = text(found.get("operator", "Equal"), f"{path}.operator")
    if operator not in {"Equal", "Exists"}:
        raise fail(f"{path}.operator", f"{shown(operator)}, want Equal or Exists")
    if not key and operator != "Exists":
        raise fail(f"{path}.operator", "'Equal', want Exists without a key")
    given = text(found.get("value", ""), f"{path}.value", label_value)
    if operator == "Exists" and given:
        raise fail(f"{path}.value", f"{shown(given)}, want none with Exists")
    effect = None
    if found.get("effect", "") != "":
        effect = chosen(found["effect"], f"{path}.effect", DeviceTaintEffect)
        if effect == DeviceTaintEffect.NONE:
            raise fail(f"{path}.effect", "'None', want NoSchedule or NoExecute")
    if "tolerationSeconds" in found:
        # Of effects other than NoExecute it says nothing, and is allowed.
        integer(found["tolerationSeconds"], f"{path}.tolerationSeconds")
    return DeviceToleration(key or None, given if operator == "Equal" else None, effect)


def _references(value: object, path: str, known: set[str] | None) -> tuple[str, ...]:
    names = []
    for item, where in listed(value, path, _MAX_REQUESTS):
        names.append(text(item, where))
        if known is not None and item not in known:
            raise fail(where, f"{shown(item)}, want the name of a request or entry")
    once(names, path)
    return tuple(names)


def _constraint(value: object, path: str, known: set[str]) -> ClaimConstraint:
    words = ("matchAttribute", "distinctAttribute")
    found = fields(value, path, {"requests", *words})
    given = [word for word in words if word in found]
    if len(given) != 1:
        raise fail(path, f"{len(given)} of {' and '.join(words)}, want one")
    attribute = text(found[given[0]], f"{path}.{given[0]}", fully_qualified)
    requests = _references(found.get("requests"), f"{path}.requests", known)
    return ClaimConstraint(attribute, given[0] == words[1], requests)


def _config(value: object, path: str, known: set[str] | None) -> DeviceConfig:
    names = {"opaque"} if known is None else {"opaque", "requests"}
    found = fields(value, path, names)
    where = f"{path}.opaque"
    opaque = fields(required(found, "opaque", path), where, {"driver", "parameters"})
    driver = text(required(opaque, "driver", where), f"{where}.driver", driver_name)
    parameters = mapping(required(opaque, "parameters", where), f"{where}.parameters")
    _check_parameters(parameters, f"{where}.parameters")
    requests = _references(found.get("requests"), f"{path}.requests", known)
    return DeviceConfig(driver, parameters, requests)


def _check_parameters(value: object, path: str) -> None:
    # What is nested deeply, or shares parts, could cost more than its size is worth.
    level: list[Any] = [value]
    count = depth = 0
    while level:
        count, depth = count + len(level), depth + 1
        if count > _MAX_PARAMETERS or depth > _MAX_DEPTH:
            limits = f"{_MAX_PARAMETERS} values, {_MAX_DEPTH} levels"
            raise fail(path, f"too large, want at most {limits}")
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                inner += item.values()
            elif isinstance(item, (list, tuple)):
                inner += item
        level = inner
    try:
        written = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        size = len(written.encode())
    except (TypeError, ValueError):
        raise fail(path, "no JSON, want what JSON can say") from None
    if size > _MAX_PARAMETERS:
        raise fail(path, f"{size} bytes, want at most {_MAX_PARAMETERS}")


def _allocated(status: object, known: set[str]) -> tuple[AllocatedDevice, ...] | None:
    if status is None:
        return None
    outer = fields(status, "status", {"allocation", "reservedFor", "devices"})
    listed(outer.get("reservedFor"), "status.reservedFor", _MAX_RESERVED)
    if "allocation" not in outer:
        return None
    path = "status.allocation"
    found = fields(
        outer["allocation"],
        path,
        {"devices", "nodeSelector", "allocationTimestamp"},
    )
    path += ".devices"
    devices = fields(found.get("devices", {}), path, {"results", "config"})
    return tuple(
        _result(item, where, known)
        for item, where in listed(
            devices.get("results"), f"{path}.results", _MAX_RESULTS
        )
    )


def _result(value: object, path: str, known: set[str]) -> AllocatedDevice:
    found = fields(value, path, _RESULT)
    request = text(required(found, "request", path), f"{path}.request")
    if request not in known:
        message = f"{shown(request)}, want the name of a request or entry"
        raise fail(f"{path}.request", message)
    device = DeviceId(
        text(required(found, "driver", path), f"{path}.driver", driver_name),
        text(required(found, "pool", path), f"{path}.pool", pool_name),
        text(required(found, "device", path), f"{path}.device", dns_label),
    )
    consumed = None
    if "consumedCapacity" in found:
        where = f"{path}.consumedCapacity"
        consumed = amounts(found["consumedCapacity"], where, _MAX_AMOUNTS, qualified)
    share = found.get("shareID")
    if share is not None and not _UID.fullmatch(text(share, f"{path}.shareID")):
        raise fail(f"{path}.shareID", f"{shown(share)}, want a UUID in small letters")
    admin = boolean(found.get("adminAccess", False), f"{path}.adminAccess")
    return AllocatedDevice(request, device, admin, share, consumed)
