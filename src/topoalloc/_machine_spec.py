# SPDX-License-Identifier: Apache-2.0
"""The JSON form of a Machine: read into the core's spec structs, and written back.

Everything that can be wrong in a document is refused here with its JSON path; what only
the whole can tell (laminar cpusets, NUMANodes that exist) is refused by the core.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from topoalloc import _core
from topoalloc._errors import FormatError
from topoalloc._quantity import format_quantity, parse_quantity, shown

__all__ = [
    "API_VERSION",
    "KIND",
    "apply_overrides",
    "logical_names",
    "path_in_document",
    "spec_from_dict",
    "spec_to_dict",
]

API_VERSION: Final = "topoalloc.dev/v1alpha1"
KIND: Final = "Machine"

Resolver = Callable[["_At"], int]
Scalar = bool | int | str

_MAX_PUS: Final = 65536
_MAX_OS_INDEX: Final = 2**20 - 1
_MAX_UINT32: Final = 2**32 - 1
_MAX_SHOWN: Final = 60
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SPEC_PATH: Final = re.compile(
    r"\b(?P<part>objects|numa_nodes|devices|level_overrides)\[(?P<index>[0-9]{1,9})\]"
    r"(?P<member>\.base_bytes|\.device_class)?"
)
_MEMBER_NAMES: Final = {".base_bytes": ".memory", ".device_class": ".class"}
_INT64: Final = range(-(2**63), 2**63)

_OBJECT_LISTS: Final = {
    "packages": _core.ObjectKind.PACKAGE,
    "dies": _core.ObjectKind.DIE,
    "l3s": _core.ObjectKind.L3,
    "cores": _core.ObjectKind.CORE,
    "groups": _core.ObjectKind.GROUP,
}
_MEMORY_KINDS: Final = {
    "dram": _core.MemoryKind.DRAM,
    "hbm": _core.MemoryKind.HBM,
    "gpu": _core.MemoryKind.GPU,
    "cxl": _core.MemoryKind.CXL,
    "nvm": _core.MemoryKind.NVM,
}
_MEMORY_KIND_NAMES: Final = {kind: name for name, kind in _MEMORY_KINDS.items()}
_LEVEL_NAMES: Final = (
    "self", "switch", "bridges", "root", "numa", "package", "machine",
)  # fmt: skip
_TOP_FIELDS: Final = (
    "apiVersion", "kind", "name", "info", "pus", "packages", "dies", "l3s", "cores",
    "groups", "allowed_pus", "numa_nodes", "allowed_numa_nodes", "distances", "bridges",
    "devices", "links", "overrides",
)  # fmt: skip
_NODE_FIELDS: Final = (
    "os_index", "cpuset", "parent_cpuset", "kind", "memory", "hugepages",
)  # fmt: skip
_DEVICE_FIELDS: Final = (
    "class", "name", "pci_address", "bridge", "numa_nodes", "attributes", "capacities",
    "counters", "parent", "partition", "draws", "aliases", "uuid",
)  # fmt: skip


class _At:
    """One value of the document and the JSON path that leads to it."""

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str) -> None:
        self.value = value
        self.path = path

    def fail(self, want: str) -> FormatError:
        return FormatError(f"{self.path or 'document'}: {self.shown()}, want {want}")

    def shown(self) -> str:
        if isinstance(self.value, Mapping):
            return "an object"
        if isinstance(self.value, list | tuple):
            return "a list"
        is_text = isinstance(self.value, str)
        text = ascii(self.value) if is_text else shown(self.value)
        return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."

    def child(self, key: str) -> str:
        if not _PLAIN_KEY.fullmatch(key):
            return f"{self.path}[{key[:_MAX_SHOWN]!a}]"
        return f"{self.path}.{key}" if self.path else key

    def items(self) -> Iterator[tuple[str, _At]]:
        if not isinstance(self.value, Mapping):
            raise self.fail("an object")
        for key, value in self.value.items():
            _At(key, f"{self.path or 'document'}, a key").text()
            yield key, _At(value, self.child(key))

    def fields(
        self, allowed: Iterable[str], required: Iterable[str] = ()
    ) -> dict[str, _At]:
        found = dict(self.items())
        for key, at in found.items():
            if key not in allowed:
                raise FormatError(
                    f"{at.path}: unknown key, want one of {', '.join(allowed)}"
                )
        for key in required:
            if key not in found:
                raise FormatError(f"{self.child(key)}: missing, want it given")
        return found

    def elements(self) -> list[_At]:
        if not isinstance(self.value, list | tuple):
            raise self.fail("a list")
        return [_At(v, f"{self.path}[{i}]") for i, v in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.fail("a string")
        try:
            self.value.encode()
        except UnicodeEncodeError:
            raise self.fail("text without lone surrogates") from None
        return self.value

    def choice(self, allowed: Iterable[str]) -> str:
        if not isinstance(self.value, str) or self.value not in allowed:
            raise self.fail(f"one of {', '.join(allowed)}")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.fail("true or false")
        return self.value

    def integer(self, most: int) -> int:
        value = self.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(f"an integer from 0 to {most}")
        if not 0 <= value <= most:
            raise self.fail(f"an integer from 0 to {most}")
        return value

    def os_index(self) -> int:
        return self.integer(_MAX_OS_INDEX)

    def os_indices(self) -> list[int]:
        """Read one index or a list of them."""
        if isinstance(self.value, int):
            return [self.os_index()]
        return [at.os_index() for at in self.elements()]

    def cpuset(self) -> str:
        text = self.text()
        try:
            return _core.normalize_cpuset(text)
        except FormatError:
            raise self.fail("OS indices in list form such as '0-3,8'") from None

    def pci_address(self) -> str:
        address = _core.normalize_pci_address(self.text())
        if address is None:
            raise self.fail("a PCI address such as '0000:1b:00.0'")
        return address

    def quantity(self) -> int:
        if isinstance(self.value, str):
            self.text()
        elif not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.fail("an integer or a quantity such as '64Gi'")
        return parse_quantity(self.value, name=self.path, error=FormatError)

    def amounts(self) -> dict[str, int]:
        return {key: at.quantity() for key, at in self.items()}

    def level(self) -> int:
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.integer(len(_LEVEL_NAMES) - 1)
        level = _core.parse_level(self.text()) if isinstance(self.value, str) else None
        if level is None:
            raise self.fail(f"one of {', '.join(_LEVEL_NAMES)}, or PIX ... SYS, or 0-6")
        return level


class _Keys:
    """Names by which devices or bridges are referred to; an index always works."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._owners: dict[str, list[int]] = {}
        self._count = 0

    def add(self, keys: Iterable[str]) -> None:
        for key in dict.fromkeys(keys):
            if key:
                self._owners.setdefault(key, []).append(self._count)
        self._count += 1

    def owners(self, key: str) -> list[int]:
        normal = _core.normalize_pci_address(key)
        return self._owners.get(key) or self._owners.get(normal or key, [])

    def resolve(self, at: _At) -> int:
        if isinstance(at.value, int) and not isinstance(at.value, bool):
            if not 0 <= at.value < self._count:
                raise at.fail(f"the index of a {self._what}, less than {self._count}")
            return at.value
        owners = self.owners(at.text())
        if not owners:
            raise at.fail(f"the name or PCI address of a {self._what}")
        if len(owners) > 1:
            raise at.fail(f"what names one {self._what}; {len(owners)} have this")
        return owners[0]

    def name_of(self, index: int, keys: Iterable[str]) -> str | int:
        """Return the first key that only this entry has, else its index."""
        for key in keys:
            if key and self.owners(key) == [index]:
                return key
        return index


# --- document to spec -----------------------------------------------------------------


def spec_from_dict(document: Mapping[str, object]) -> _core.MachineSpec:
    """Read the JSON form of a Machine.

    Parameters
    ----------
    document : mapping
        As ``docs/machine-json.md`` and ``schemas/machine.json`` describe it.

    Returns
    -------
    _core.MachineSpec
        What `Machine` is built from.

    Raises
    ------
    FormatError
        With the JSON path of what is wrong.
    """
    top = _At(document, "").fields(_TOP_FIELDS, ("apiVersion", "kind"))
    if top["apiVersion"].value != API_VERSION:
        raise top["apiVersion"].fail(repr(API_VERSION))
    if top["kind"].value != KIND:
        raise top["kind"].fail(repr(KIND))
    spec = _core.MachineSpec()
    if "name" in top:
        spec.name = top["name"].text()
    if "info" in top:
        spec.info = {key: at.text() for key, at in top["info"].items()}
    if "allowed_pus" in top:
        spec.allowed_pus = top["allowed_pus"].cpuset()
    _read_objects(top, spec)
    if "allowed_numa_nodes" in top:
        spec.allowed_numa_nodes = top["allowed_numa_nodes"].os_indices()
    if "distances" in top:
        spec.distances = _read_distances(top["distances"])
    bridge_keys = _read_bridges(top.get("bridges"), spec)
    device_keys = _read_devices(top.get("devices"), spec, bridge_keys)
    resolve = _resolver(spec, device_keys)
    if "links" in top:
        spec.links = _read_links(top["links"], spec, resolve)
    if "overrides" in top:
        _read_overrides(top["overrides"], spec, resolve)
    return spec


def apply_overrides(
    spec: _core.MachineSpec,
    overrides: Mapping[str, object],
    resolve_name: Callable[[str], int | None],
) -> None:
    """Write overrides into a spec; `resolve_name` turns a device name into its index.

    Raises
    ------
    FormatError
        With the JSON path of what is wrong.
    """

    def resolve(at: _At) -> int:
        index = resolve_name(at.text())
        if index is None:
            raise at.fail("a device of the Machine")
        return index

    _read_overrides(_At(overrides, "overrides"), spec, resolve)


def path_in_document(message: str, spec: _core.MachineSpec) -> str:
    """Say where the parts of a spec that the core names stand in the document."""
    objects = spec.objects
    fields = {kind: field for field, kind in _OBJECT_LISTS.items()}

    def place(match: re.Match[str]) -> str:
        part, index = match["part"], int(match["index"])
        if part == "objects" and index < len(objects):
            kind = objects[index].kind
            index -= next(i for i, o in enumerate(objects) if o.kind is kind)
            part = fields.get(kind, "pus")
        part = "overrides.levels" if part == "level_overrides" else part
        member = _MEMBER_NAMES.get(match["member"], match["member"] or "")
        return f"{part}[{index}]{member}"

    return _SPEC_PATH.sub(place, message)


def logical_names(spec: _core.MachineSpec) -> dict[str, int]:
    """Map the names that a Machine gives its devices to indices into the spec.

    The order of devices is the core's to decide, so it is asked: each device carries a
    mark through a Machine built without links and overrides, which no order depends on.
    """
    mark = "\x01spec "
    marked = _core.MachineSpec()
    for field in ("objects", "numa_nodes", "bridges"):
        setattr(marked, field, getattr(spec, field))
    devices = spec.devices
    for index, device in enumerate(devices):
        device.aliases = [*device.aliases, f"{mark}{index}"]
    marked.devices = devices
    names = {}
    for row in _core.Machine(marked)._device_rows():
        alias = next(a for a in row["aliases"] if a.startswith(mark))
        names[row["name"]] = int(alias.removeprefix(mark))
    return names


def _resolver(spec: _core.MachineSpec, keys: _Keys) -> Resolver:
    # A name in the document wins over a logical name, which exists only once the
    # Machine does; most documents never need the latter.
    cache: dict[str, int] = {}

    def resolve(at: _At) -> int:
        if not isinstance(at.value, str) or keys.owners(at.text()):
            return keys.resolve(at)
        if not cache:
            cache.update(logical_names(spec) if spec.devices else {})
        if at.value in cache:
            return cache[at.value]
        return keys.resolve(at)

    return resolve


def _read_objects(top: Mapping[str, _At], spec: _core.MachineSpec) -> None:
    objects = []
    for field, kind in _OBJECT_LISTS.items():
        for at in top[field].elements() if field in top else ():
            found = at.fields(("os_index", "cpuset"), ("cpuset",))
            entry = _core.ObjectSpec()
            entry.kind = kind
            if "os_index" in found:
                entry.os_index = found["os_index"].os_index()
            entry.cpuset = found["cpuset"].cpuset()
            if not entry.cpuset:
                raise found["cpuset"].fail("at least one PU")
            objects.append(entry)
    nodes = [_read_node(at) for at in _elements(top, "numa_nodes")]
    if "pus" in top:
        pus = [
            at.fields(("os_index",), ("os_index",))["os_index"].os_index()
            for at in top["pus"].elements()
        ]
    else:
        pus = _derived_pus(objects, nodes)
    # The core has this limit too; here it saves the work of a million objects before.
    if len(pus) > _MAX_PUS:
        raise FormatError(f"pus: {len(pus)} of them, want at most {_MAX_PUS}")
    whole = _core.normalize_cpuset(",".join(map(str, pus)))
    for node in nodes:
        if not node.parent_cpuset:
            node.parent_cpuset = node.cpuset or whole
    spec.objects = [*objects, *map(_pu, pus)]
    spec.numa_nodes = nodes


def _elements(top: Mapping[str, _At], field: str) -> list[_At]:
    return top[field].elements() if field in top else []


def _pu(os_index: int) -> _core.ObjectSpec:
    entry = _core.ObjectSpec()
    entry.kind = _core.ObjectKind.PU
    entry.os_index = os_index
    entry.cpuset = str(os_index)
    return entry


def _derived_pus(
    objects: Iterable[_core.ObjectSpec], nodes: Iterable[_core.NumaNodeSpec]
) -> list[int]:
    # Cores first: their order is the logical order of the source.
    cores = [o.cpuset for o in objects if o.kind is _core.ObjectKind.CORE]
    rest = [o.cpuset for o in objects if o.kind is not _core.ObjectKind.CORE]
    found: dict[int, None] = {}
    for cpuset in (*cores, *rest, *(node.cpuset for node in nodes)):
        found.update(dict.fromkeys(_core.cpuset_members(cpuset)))
    return list(found)


def _read_node(at: _At) -> _core.NumaNodeSpec:
    found = at.fields(_NODE_FIELDS, ("os_index",))
    node = _core.NumaNodeSpec()
    node.os_index = found["os_index"].os_index()
    if "cpuset" in found:
        node.cpuset = found["cpuset"].cpuset()
    if "parent_cpuset" in found:
        node.parent_cpuset = found["parent_cpuset"].cpuset()
    if "kind" in found:
        node.kind = _MEMORY_KINDS[found["kind"].choice(_MEMORY_KINDS)]
    if "memory" in found:
        node.base_bytes = found["memory"].quantity()
    if "hugepages" in found:
        pages = {}
        for key, amount in found["hugepages"].items():
            size = parse_quantity(key, name=f"{amount.path}, size", error=FormatError)
            if size == 0 or size in pages:
                raise FormatError(f"{amount.path}: page size {key!r}, want each once")
            pages[size] = amount.quantity()
        node.hugepages = pages
    return node


def _read_distances(at: _At) -> _core.DistanceSpec:
    found = at.fields(("numa_nodes", "values"), ("numa_nodes", "values"))
    distances = _core.DistanceSpec()
    distances.numa_nodes = [node.os_index() for node in found["numa_nodes"].elements()]
    rows = found["values"].elements()
    count = len(distances.numa_nodes)
    if len(rows) != count:
        raise found["values"].fail(f"{count} rows, one a NUMANode; {len(rows)} given")
    values: list[int] = []
    for row in rows:
        entries = row.elements()
        if len(entries) != count:
            raise row.fail(f"{count} entries; {len(entries)} given")
        values.extend(entry.integer(_MAX_UINT32) for entry in entries)
    distances.values = values
    return distances


def _read_bridges(at: _At | None, spec: _core.MachineSpec) -> _Keys:
    keys = _Keys("bridge that stands before")
    bridges = []
    for entry in at.elements() if at is not None else ():
        found = entry.fields(("name", "address", "parent", "host"))
        bridge = _core.BridgeSpec()
        bridge.is_host = "host" in found and found["host"].flag()
        if "name" in found:
            bridge.name = found["name"].text()
        if "address" in found:
            bridge.address = found["address"].pci_address()
        if bridge.is_host and "parent" in found:
            raise found["parent"].fail("no parent: a host bridge is a root")
        if not bridge.is_host:
            if "parent" not in found:
                raise FormatError(
                    f"{entry.path}.parent: missing, want it or host: true"
                )
            bridge.parent = keys.resolve(found["parent"])
        bridges.append(bridge)
        keys.add((bridge.address or "", bridge.name))
    spec.bridges = bridges
    return keys


def _device_keys(device: _core.DeviceSpec) -> tuple[str, ...]:
    return (device.pci_address or "", device.name, device.uuid, *device.aliases)


def _read_devices(at: _At | None, spec: _core.MachineSpec, bridge_keys: _Keys) -> _Keys:
    entries = at.elements() if at is not None else []
    found = [entry.fields(_DEVICE_FIELDS, ("class",)) for entry in entries]
    devices = [_read_device(fields, bridge_keys) for fields in found]
    keys = _keys_of_devices(devices, ["parent" in fields for fields in found])
    for index, (device, fields) in enumerate(zip(devices, found, strict=True)):
        if "parent" not in fields:
            continue
        device.parent = keys.resolve(fields["parent"])
        if device.parent == index or "parent" in found[device.parent]:
            raise fields["parent"].fail("a device that has no parent itself")
    spec.devices = devices
    return keys


def _keys_of_devices(
    devices: Iterable[_core.DeviceSpec], is_part: Iterable[bool]
) -> _Keys:
    # A partition shows the PCI address of its root; the key means the root.
    pairs = list(zip(devices, is_part, strict=True))
    taken = {key for device, part in pairs if not part for key in _device_keys(device)}
    keys = _Keys("device")
    for device, part in pairs:
        own = _device_keys(device)
        keys.add(key for key in own if not part or key not in taken)
    return keys


def _read_device(found: Mapping[str, _At], bridge_keys: _Keys) -> _core.DeviceSpec:
    device = _core.DeviceSpec()
    device.device_class = found["class"].text()
    if not device.device_class:
        raise found["class"].fail("a class such as 'gpu'")
    for field in ("name", "partition", "uuid"):
        if field in found:
            setattr(device, field, found[field].text())
    for field in ("capacities", "counters", "draws"):
        if field in found:
            setattr(device, field, found[field].amounts())
    for field in ("partition", "draws"):
        if field in found and "parent" not in found:
            raise found[field].fail("it only on a device with a parent")
    if "pci_address" in found:
        device.pci_address = found["pci_address"].pci_address()
    if "bridge" in found:
        device.bridge = bridge_keys.resolve(found["bridge"])
    if "numa_nodes" in found:
        device.numa_nodes = found["numa_nodes"].os_indices()
    if "aliases" in found:
        device.aliases = [at.text() for at in found["aliases"].elements()]
    if "attributes" in found:
        pairs = found["attributes"].items()
        device.attributes = {key: _attribute(at) for key, at in pairs}
    return device


def _attribute(at: _At) -> Scalar | list[Scalar]:
    if isinstance(at.value, list | tuple):
        return [_scalar(entry) for entry in at.elements()]
    return _scalar(at)


def _scalar(at: _At) -> Scalar:
    if isinstance(at.value, bool):
        return at.value
    if isinstance(at.value, int):
        if at.value not in _INT64:
            raise at.fail("an integer of 64 bits")
        return at.value
    if isinstance(at.value, str):
        return at.text()
    raise at.fail("a string, an integer, true or false")


def _read_links(
    at: _At, spec: _core.MachineSpec, resolve: Resolver
) -> list[_core.LinkSpec]:
    is_part = [device.parent is not None for device in spec.devices]
    links: dict[tuple[int, int], _core.LinkSpec] = {}
    for entry in at.elements():
        found = entry.fields(("from", "to", "mb_s", "both"), ("from", "to", "mb_s"))
        ends = resolve(found["from"]), resolve(found["to"])
        for key, end in zip(("from", "to"), ends, strict=True):
            if is_part[end]:
                raise found[key].fail("a device without a parent")
        if ends[0] == ends[1]:
            raise found["to"].fail("another device than from")
        mb_s = found["mb_s"].integer(_MAX_UINT32)
        both = "both" not in found or found["both"].flag()
        for pair in (ends, ends[::-1]) if both else (ends,):
            if pair in links:
                raise FormatError(
                    f"{entry.path}: a direction given before, want it once"
                )
            link = links[pair] = _core.LinkSpec()
            link.from_device, link.to_device, link.mb_s = *pair, mb_s
    return list(links.values())


def _read_overrides(at: _At, spec: _core.MachineSpec, resolve: Resolver) -> None:
    found = at.fields(("levels", "numa_nodes"))
    levels: dict[frozenset[int], _core.LevelOverrideSpec] = {}
    for entry in found["levels"].elements() if "levels" in found else ():
        fields = entry.fields(("a", "b", "level"), ("a", "b", "level"))
        override = _core.LevelOverrideSpec()
        override.a, override.b = resolve(fields["a"]), resolve(fields["b"])
        pair = frozenset((override.a, override.b))
        if len(pair) == 1:
            raise fields["b"].fail("another device than a")
        if pair in levels:
            raise FormatError(f"{entry.path}: a pair given before, want it once")
        override.level = fields["level"].level()
        levels[pair] = override
    # What stood before for a pair gives way.
    kept = [o for o in spec.level_overrides if frozenset((o.a, o.b)) not in levels]
    spec.level_overrides = [*kept, *levels.values()]
    if "numa_nodes" in found:
        devices = spec.devices
        for key, nodes in found["numa_nodes"].items():
            index = resolve(_At(key, nodes.path))
            devices[index].numa_nodes = nodes.os_indices()
        spec.devices = devices


# --- spec to document -----------------------------------------------------------------


def spec_to_dict(spec: _core.MachineSpec) -> dict[str, Any]:
    """Write a spec as its JSON form; what is empty or derived is left out.

    Returns
    -------
    dict
        `spec_from_dict` reads it back as an equal spec.
    """
    document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": KIND}
    if spec.name:
        document["name"] = spec.name
    if spec.info:
        document["info"] = dict(sorted(spec.info.items()))
    _write_objects(spec, document)
    if spec.distances is not None:
        document["distances"] = _write_distances(spec.distances)
    bridge_names = _write_bridges(spec, document)
    names = _write_devices(spec, document, bridge_names)
    _write_links(spec, document, names)
    if spec.level_overrides:
        document["overrides"] = {
            "levels": [
                {"a": names[o.a], "b": names[o.b], "level": _LEVEL_NAMES[o.level]}
                for o in spec.level_overrides
            ]
        }
    return document


def _amount(amount: int) -> int | str:
    text = format_quantity(amount)
    return int(text) if text.isdigit() else text


def _amounts(amounts: Mapping[str, int]) -> dict[str, int | str]:
    return {key: _amount(amounts[key]) for key in sorted(amounts)}


def _write_objects(spec: _core.MachineSpec, document: dict[str, Any]) -> None:
    objects = spec.objects
    pus = [o for o in objects if o.kind is _core.ObjectKind.PU]
    others = [o for o in objects if o.kind is not _core.ObjectKind.PU]
    order = [pu.os_index for pu in pus]
    nodes = spec.numa_nodes
    # Left out when reading derives the same PUs in the same order.
    by_kind = [o for kind in _OBJECT_LISTS.values() for o in others if o.kind is kind]
    if order != _derived_pus(by_kind, nodes):
        document["pus"] = [{"os_index": index} for index in order]
    for field, kind in _OBJECT_LISTS.items():
        entries = [
            ({} if o.os_index is None else {"os_index": o.os_index})
            | {"cpuset": o.cpuset}
            for o in others
            if o.kind is kind
        ]
        if entries:
            document[field] = entries
    if spec.allowed_pus is not None:
        document["allowed_pus"] = spec.allowed_pus
    if nodes:
        whole = _core.normalize_cpuset(",".join(map(str, order)))
        document["numa_nodes"] = [_write_node(node, whole) for node in nodes]
    if spec.allowed_numa_nodes is not None:
        document["allowed_numa_nodes"] = spec.allowed_numa_nodes


def _write_node(node: _core.NumaNodeSpec, whole: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"os_index": node.os_index}
    if node.cpuset:
        entry["cpuset"] = node.cpuset
    if node.parent_cpuset not in {"", node.cpuset or whole}:
        entry["parent_cpuset"] = node.parent_cpuset
    if node.kind is not _core.MemoryKind.DRAM:
        entry["kind"] = _MEMORY_KIND_NAMES[node.kind]
    if node.base_bytes:
        entry["memory"] = _amount(node.base_bytes)
    if node.hugepages:
        entry["hugepages"] = {
            format_quantity(size): _amount(node.hugepages[size])
            for size in sorted(node.hugepages)
        }
    return entry


def _write_distances(distances: _core.DistanceSpec) -> dict[str, Any]:
    nodes, values = distances.numa_nodes, distances.values
    count = len(nodes)
    rows = [values[start : start + count] for start in range(0, len(values), count)]
    return {"numa_nodes": nodes, "values": rows}


def _write_bridges(
    spec: _core.MachineSpec, document: dict[str, Any]
) -> list[str | int]:
    bridges = spec.bridges
    keys = _Keys("bridge")
    for bridge in bridges:
        keys.add((bridge.address or "", bridge.name))
    names = [keys.name_of(i, (b.address or "", b.name)) for i, b in enumerate(bridges)]
    entries = []
    for bridge in bridges:
        entry: dict[str, Any] = {}
        if bridge.name:
            entry["name"] = bridge.name
        if bridge.address is not None:
            entry["address"] = bridge.address
        if bridge.is_host:
            entry["host"] = True
        elif bridge.parent is not None:
            entry["parent"] = names[bridge.parent]
        entries.append(entry)
    if entries:
        document["bridges"] = entries
    return names


def _write_devices(
    spec: _core.MachineSpec,
    document: dict[str, Any],
    bridge_names: list[str | int],
) -> list[str | int]:
    devices = spec.devices
    keys = _keys_of_devices(devices, [d.parent is not None for d in devices])
    names = [keys.name_of(i, _device_keys(d)) for i, d in enumerate(devices)]
    entries = [_write_device(d, names, bridge_names) for d in devices]
    if entries:
        document["devices"] = entries
    return names


def _write_device(
    device: _core.DeviceSpec,
    names: list[str | int],
    bridge_names: list[str | int],
) -> dict[str, Any]:
    entry: dict[str, Any] = {"class": device.device_class}
    if device.name:
        entry["name"] = device.name
    if device.pci_address is not None:
        entry["pci_address"] = device.pci_address
    if device.bridge is not None:
        entry["bridge"] = bridge_names[device.bridge]
    if device.numa_nodes:
        entry["numa_nodes"] = device.numa_nodes
    if device.attributes:
        entry["attributes"] = device.attributes
    for field in ("capacities", "counters"):
        if getattr(device, field):
            entry[field] = _amounts(getattr(device, field))
    if device.parent is not None:
        entry["parent"] = names[device.parent]
    if device.partition:
        entry["partition"] = device.partition
    if device.draws:
        entry["draws"] = _amounts(device.draws)
    if device.aliases:
        entry["aliases"] = device.aliases
    if device.uuid:
        entry["uuid"] = device.uuid
    return entry


def _write_links(
    spec: _core.MachineSpec, document: dict[str, Any], names: list[str | int]
) -> None:
    links = [(link.from_device, link.to_device, link.mb_s) for link in spec.links]
    waiting: dict[tuple[int, int, int], int] = {}
    for link in links:
        waiting[link] = waiting.get(link, 0) + 1
    entries = []
    for start, end, mb_s in links:
        if not waiting[start, end, mb_s]:
            continue
        waiting[start, end, mb_s] -= 1
        both = bool(waiting.get((end, start, mb_s)))
        if both:
            waiting[end, start, mb_s] -= 1
        entry = {"from": names[start], "to": names[end], "mb_s": mb_s}
        entries.append(entry | ({} if both else {"both": False}))
    if entries:
        document["links"] = entries
