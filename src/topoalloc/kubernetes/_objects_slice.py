# SPDX-License-Identifier: Apache-2.0
"""Read ResourceSlices of resource.k8s.io: v1, v1beta2 and v1beta1.

The rules are those of the API server: `pkg/apis/resource/validation` and the limits of
`resource/v1`. Read and left: `nodeAllocatableResources`, `partitionTypeAttribute` and
`skipNodeOperations`, of which the claim solver knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from topoalloc.kubernetes._cel_types import pack_semver
from topoalloc.kubernetes._objects import (
    AttributeKind,
    CapacityPolicy,
    CounterDraw,
    DeviceCapacity,
    DeviceSlice,
    DeviceTaint,
    DeviceTaintEffect,
    DeviceValues,
    NodeOperator,
    NodeRequirement,
    NodeTarget,
    SliceDevice,
    TargetKind,
)
from topoalloc.kubernetes._objects_values import (
    below,
    boolean,
    chosen,
    dns_label,
    dns_subdomain,
    driver_name,
    fail,
    fields,
    integer,
    label_key,
    label_value,
    listed,
    named,
    once,
    qualified,
    quantity,
    required,
    shown,
    text,
)

__all__ = ["node_terms", "pool_name", "read_slice", "read_taint"]

_MAX_DEVICES, _MAX_ADVANCED_DEVICES = 128, 64
_MAX_ENTRIES, _MAX_VALUES, _MAX_TEXT = 32, 48, 64
_MAX_COUNTER_SETS, _MAX_COUNTERS, _MAX_DRAWS = 8, 32, 2
_MAX_TAINTS, _MAX_CONDITIONS, _MAX_OPTIONS = 16, 4, 10
_MAX_POOL, _MAX_GROUPS = 253, 2
# Of a selector of nodes: no limit of the API, which bounds the size of an object.
_MAX_REQUIREMENTS = 1000

_TARGETS = ("nodeName", "nodeSelector", "allNodes")
_SPEC = {
    "driver", "pool", *_TARGETS, "perDeviceNodeSelection", "devices", "sharedCounters",
    "partitionTypeAttribute", "skipNodeOperations",
}  # fmt: skip
_DEVICE = {
    "name", "attributes", "capacity", "consumesCounters", *_TARGETS, "taints",
    "bindsToNode", "bindingConditions", "bindingFailureConditions",
    "allowMultipleAllocations", "nodeAllocatableResources",
}  # fmt: skip
_KINDS = {
    **{kind.value: (kind, False) for kind in AttributeKind},
    **{f"{kind.value}s": (kind, True) for kind in AttributeKind},
}


def read_slice(spec: object, name: str, version: str) -> DeviceSlice:
    """Read `spec` of a ResourceSlice.

    Raises
    ------
    ObjectError
        It breaks a rule of its API.
    """
    found = fields(spec, "spec", _SPEC)
    driver = text(required(found, "driver", "spec"), "spec.driver", driver_name)
    by_device = _flag(found, "perDeviceNodeSelection", "spec", version)
    target = _target(found, "spec", version)
    if (target.kind != TargetKind.NONE) == by_device:
        wants = ", ".join((*_TARGETS, "perDeviceNodeSelection"))
        raise fail("spec", f"{'two' if by_device else 'none'} of {wants}, want one")
    if "devices" in found and "sharedCounters" in found:
        raise fail("spec", "devices and sharedCounters, want one of them")
    pool = fields(
        required(found, "pool", "spec"),
        "spec.pool",
        {"name", "generation", "resourceSliceCount"},
    )
    devices = tuple(
        _device(item, path, version, by_device=by_device)
        for item, path in listed(found.get("devices"), "spec.devices", _MAX_DEVICES)
    )
    once([device.name for device in devices], "spec.devices", ".name")
    if len(devices) > _MAX_ADVANCED_DEVICES and any(map(_is_advanced, devices)):
        message = (
            f"{len(devices)} items, want at most {_MAX_ADVANCED_DEVICES} where one has "
            "taints, counters or a list"
        )
        raise fail("spec.devices", message)
    return DeviceSlice(
        name,
        driver,
        text(required(pool, "name", "spec.pool"), "spec.pool.name", pool_name),
        integer(pool.get("generation", 0), "spec.pool.generation", 0),
        integer(
            required(pool, "resourceSliceCount", "spec.pool"),
            "spec.pool.resourceSliceCount",
            1,
        ),
        target,
        by_device,
        devices,
        _counter_sets(found.get("sharedCounters")),
    )


def pool_name(value: str) -> str | None:
    """Want the name of a pool."""
    if len(value) <= _MAX_POOL and all(
        dns_subdomain(part) is None for part in value.split("/")
    ):
        return None
    return f"domains joined by /, at most {_MAX_POOL} characters"


def _is_advanced(device: SliceDevice) -> bool:
    lists = any(values.is_list for values in device.attributes.values())
    return bool(device.taints or device.draws or lists)


def _flag(found: Mapping[str, Any], name: str, path: str, version: str) -> bool:
    """Read what is true or not there."""
    if name not in found:
        return False
    value = boolean(found[name], below(path, name))
    if not value and version != "v1beta1":
        raise fail(below(path, name), "False, want true or nothing")
    return value


def _target(found: Mapping[str, Any], path: str, version: str) -> NodeTarget:
    """Read which nodes a slice or device is for."""
    given: list[NodeTarget] = []
    if "nodeName" in found and not (version == "v1beta1" and not found["nodeName"]):
        name = text(found["nodeName"], below(path, "nodeName"), dns_subdomain)
        given.append(NodeTarget(TargetKind.NAME, name))
    if "nodeSelector" in found:
        requirements = _node_selector(found["nodeSelector"], f"{path}.nodeSelector")
        given.append(NodeTarget(TargetKind.SELECTOR, requirements=requirements))
    if _flag(found, "allNodes", path, version):
        given.append(NodeTarget(TargetKind.ALL))
    if len(given) > 1:
        raise fail(path, f"{len(given)} of {', '.join(_TARGETS)}, want one")
    return given[0] if given else NodeTarget()


def _node_selector(value: object, path: str) -> tuple[NodeRequirement, ...]:
    terms = node_terms(value, path)
    if len(terms) != 1:
        raise fail(f"{path}.nodeSelectorTerms", f"{len(terms)} items, want one")
    return terms[0]


def node_terms(value: object, path: str) -> list[tuple[NodeRequirement, ...]]:
    """Read a selector of nodes: its terms, of which one is to be met as a whole."""
    found = fields(value, path, {"nodeSelectorTerms"})
    path += ".nodeSelectorTerms"
    terms = []
    for item, where in listed(found.get("nodeSelectorTerms"), path, _MAX_REQUIREMENTS):
        term = fields(item, where, {"matchExpressions", "matchFields"})
        terms.append(
            tuple(
                _requirement(inner, at, is_field=name == "matchFields")
                for name in ("matchExpressions", "matchFields")
                for inner, at in listed(
                    term.get(name), f"{where}.{name}", _MAX_REQUIREMENTS
                )
            )
        )
    return terms


def _requirement(value: object, path: str, *, is_field: bool) -> NodeRequirement:
    found = fields(value, path, {"key", "operator", "values"})
    key = text(required(found, "key", path), f"{path}.key", label_key)
    operator = chosen(
        required(found, "operator", path), f"{path}.operator", NodeOperator
    )
    values = tuple(
        text(item, where, None if is_field else label_value)
        for item, where in listed(
            found.get("values"), f"{path}.values", _MAX_REQUIREMENTS
        )
    )
    if is_field and key != "metadata.name":
        raise fail(f"{path}.key", f"{shown(key)}, want metadata.name")
    sets = operator in {NodeOperator.IN, NodeOperator.NOT_IN}
    if is_field and not sets:
        raise fail(f"{path}.operator", f"'{operator.value}', want In or NotIn")
    one = is_field or operator in {NodeOperator.GT, NodeOperator.LT}
    if one and len(values) != 1:
        raise fail(f"{path}.values", f"{len(values)} items, want one")
    if sets != bool(values) and not one:
        wants = "at least one" if sets else "none"
        raise fail(f"{path}.values", f"{len(values)} items, want {wants}")
    if operator in {NodeOperator.GT, NodeOperator.LT}:
        _number(values[0], f"{path}.values[0]")
    return NodeRequirement(key, operator, values, is_field)


def _number(value: str, path: str) -> None:
    digits = value.removeprefix("-")
    if not digits.isascii() or not digits.isdigit():
        raise fail(path, f"{shown(value)}, want an integer")


def _device(value: object, path: str, version: str, *, by_device: bool) -> SliceDevice:
    if version == "v1beta1":
        outer = fields(value, path, {"name", "basic"})
        name = text(required(outer, "name", path), f"{path}.name", dns_label)
        path += ".basic"
        inner = required(outer, "basic", path.removesuffix(".basic"))
        found = fields(inner, path, _DEVICE - {"name"})
    else:
        found = fields(value, path, _DEVICE)
        name = text(required(found, "name", path), f"{path}.name", dns_label)
    is_shared = boolean(
        found.get("allowMultipleAllocations", False), f"{path}.allowMultipleAllocations"
    )
    attributes = named(found.get("attributes"), f"{path}.attributes", _MAX_ENTRIES)
    capacities = named(found.get("capacity"), f"{path}.capacity", _MAX_ENTRIES)
    count = len(attributes) + len(capacities)
    if count > _MAX_ENTRIES:
        message = f"{count} attributes and capacities, want at most {_MAX_ENTRIES}"
        raise fail(path, message)
    values = {key: _values(key, inner, where) for key, inner, where in attributes}
    total = sum(len(entry.values) for entry in values.values())
    if total > _MAX_VALUES:
        raise fail(path, f"{total} values of attributes, want at most {_MAX_VALUES}")
    target = _target(found, path, version)
    if by_device != (target.kind != TargetKind.NONE):
        wants = "one" if by_device else "none without perDeviceNodeSelection"
        raise fail(path, f"of {', '.join(_TARGETS)} want {wants}")
    draws = tuple(
        _draw(item, where)
        for item, where in listed(
            found.get("consumesCounters"), f"{path}.consumesCounters", _MAX_DRAWS
        )
    )
    sets = [draw.counter_set for draw in draws]
    once(sets, f"{path}.consumesCounters", ".counterSet")
    conditions, failures = _binding(found, path)
    return SliceDevice(
        name,
        values,
        {
            key: _capacity(key, inner, where, is_shared=is_shared)
            for key, inner, where in capacities
        },
        is_shared,
        draws,
        tuple(
            read_taint(item, where)
            for item, where in listed(
                found.get("taints"), f"{path}.taints", _MAX_TAINTS
            )
        ),
        conditions,
        failures,
        boolean(found.get("bindsToNode", False), f"{path}.bindsToNode"),
        target,
    )


def _binding(
    found: Mapping[str, Any], path: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read both kinds of conditions, of which there is none or some of each."""
    names = ("bindingConditions", "bindingFailureConditions")
    conditions, failures = (_conditions(found, name, path) for name in names)
    if bool(conditions) != bool(failures):
        missing, there = names if failures else reversed(names)
        raise fail(f"{path}.{missing}", f"none, want some with {there}")
    for index, condition in enumerate(failures):
        if condition in conditions:
            where = f"{path}.{names[1]}[{index}]"
            raise fail(where, f"{shown(condition)}, want none of {names[0]}")
    return conditions, failures


def _conditions(found: Mapping[str, Any], name: str, path: str) -> tuple[str, ...]:
    where = f"{path}.{name}"
    conditions = tuple(
        text(item, place, label_key)
        for item, place in listed(found.get(name), where, _MAX_CONDITIONS)
    )
    once(conditions, where)
    return conditions


def _values(name: str, value: object, path: str) -> DeviceValues:
    text(name, path, qualified)
    found = fields(value, path, _KINDS)
    if len(found) != 1:
        raise fail(path, f"{len(found)} values, want one of {', '.join(_KINDS)}")
    ((word, inner),) = found.items()
    kind, is_list = _KINDS[word]
    path = f"{path}.{word}"
    items = listed(inner, path, _MAX_VALUES) if is_list else [(inner, path)]
    if not items:
        raise fail(path, "an empty list, want values")
    readers: dict[AttributeKind, Callable[[object, str], bool | int | str]] = {
        AttributeKind.BOOLEAN: boolean,
        AttributeKind.INTEGER: integer,
        AttributeKind.TEXT: _text,
        AttributeKind.VERSION: _version,
    }
    read = readers[kind]
    return DeviceValues(kind, tuple(read(item, at) for item, at in items), is_list)


def _text(value: object, path: str) -> str:
    found = text(value, path)
    size = len(found.encode(errors="surrogatepass"))
    if size > _MAX_TEXT:
        raise fail(path, f"{size} bytes, want at most {_MAX_TEXT}")
    return found


def _version(value: object, path: str) -> str:
    found = _text(value, path)
    try:
        pack_semver(found)
    except ValueError:
        message = f"{shown(found)}, want a semantic version such as 1.2.3"
        raise fail(path, message) from None
    return found


def _capacity(
    name: str, value: object, path: str, *, is_shared: bool
) -> DeviceCapacity:
    text(name, path, qualified)
    found = fields(value, path, {"value", "requestPolicy"})
    amount = quantity(required(found, "value", path), f"{path}.value")
    if "requestPolicy" not in found:
        return DeviceCapacity(amount)
    where = f"{path}.requestPolicy"
    if not is_shared:
        raise fail(where, "there, want it with allowMultipleAllocations alone")
    return DeviceCapacity(amount, _policy(found["requestPolicy"], where, amount))


def _policy(value: object, path: str, amount: int) -> CapacityPolicy:
    found = fields(value, path, {"default", "validValues", "validRange"})
    default = None
    if "default" in found:
        default = quantity(found["default"], f"{path}.default")
    where = f"{path}.validValues"
    options = [
        quantity(item, at)
        for item, at in listed(found.get("validValues"), where, _MAX_OPTIONS)
    ]
    if not options and "validRange" not in found:
        return CapacityPolicy(default)
    if options and "validRange" in found:
        raise fail(path, "validValues and validRange, want one of them")
    if default is None:
        raise fail(f"{path}.default", "missing, want it with values or a range")
    if not options:
        return _range(found["validRange"], path, default, amount)
    for index, option in enumerate(options):
        if index and option <= options[index - 1]:
            raise fail(f"{where}[{index}]", "not ascending, want ascending values")
        if option > amount:
            raise fail(f"{where}[{index}]", "more than the value, want no more")
    if default not in options:
        raise fail(f"{path}.default", "none of validValues, want one of them")
    return CapacityPolicy(default, valid_values=tuple(options))


def _range(value: object, path: str, default: int, amount: int) -> CapacityPolicy:
    own_path = f"{path}.default"
    path += ".validRange"
    found = fields(value, path, {"min", "max", "step"})
    least = quantity(required(found, "min", path), f"{path}.min")
    most = quantity(found["max"], f"{path}.max") if "max" in found else None
    step = quantity(found["step"], f"{path}.step") if "step" in found else None
    if not least <= amount:
        raise fail(f"{path}.min", "more than the value, want no more")
    if most is not None and not least <= most <= amount:
        raise fail(f"{path}.max", "want it from min to the value")
    if not least <= default <= (amount if most is None else most):
        raise fail(own_path, "out of the range, want it from min to max")
    if step is not None:
        if step <= 0 or least + step > amount:
            raise fail(f"{path}.step", "want it from more than 0 to the value less min")
        for where, bound in ((own_path, default), (f"{path}.max", most)):
            if bound is not None and (bound - least) % step:
                raise fail(where, "want min and a multiple of step")
    return CapacityPolicy(default, least, most, step)


def _draw(value: object, path: str) -> CounterDraw:
    found = fields(value, path, {"counterSet", "counters", "compatibilityGroups"})
    groups = listed(
        found.get("compatibilityGroups"), f"{path}.compatibilityGroups", _MAX_GROUPS
    )
    names = tuple(text(item, where) for item, where in groups)
    once(names, f"{path}.compatibilityGroups")
    return CounterDraw(
        text(required(found, "counterSet", path), f"{path}.counterSet", dns_label),
        _counters(required(found, "counters", path), f"{path}.counters"),
        names,
    )


def _counters(value: object, path: str) -> dict[str, int]:
    counters: dict[str, int] = {}
    for name, inner, where in named(value, path, _MAX_COUNTERS):
        text(name, where, dns_label)
        found = fields(inner, where, {"value"})
        counters[name] = quantity(required(found, "value", where), f"{where}.value")
    if not counters:
        raise fail(path, "none, want at least one")
    return counters


def _counter_sets(value: object) -> dict[str, dict[str, int]]:
    path = "spec.sharedCounters"
    sets = [
        (fields(item, where, {"name", "counters"}), where)
        for item, where in listed(value, path, _MAX_COUNTER_SETS)
    ]
    names = [
        text(required(found, "name", where), f"{where}.name", dns_label)
        for found, where in sets
    ]
    once(names, path, ".name")
    return {
        name: _counters(required(found, "counters", where), f"{where}.counters")
        for name, (found, where) in zip(names, sets, strict=True)
    }


def read_taint(value: object, path: str) -> DeviceTaint:
    found = fields(value, path, {"key", "value", "effect", "timeAdded"})
    effect = text(required(found, "effect", path), f"{path}.effect")
    known = {member.value: member for member in DeviceTaintEffect}
    if not effect:
        raise fail(f"{path}.effect", f"empty, want one of {', '.join(known)}")
    return DeviceTaint(
        text(required(found, "key", path), f"{path}.key", label_key),
        text(found.get("value", ""), f"{path}.value", label_value),
        # A consumer takes an effect that it does not know for none.
        known.get(effect, DeviceTaintEffect.NONE),
    )
