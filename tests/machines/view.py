# SPDX-License-Identifier: Apache-2.0
"""Hold a Machine to hwloc's own view of the same source, object by object.

What is expected is worked out here from the objects that `topoalloc.hwloc` copies out
of libhwloc and from `docs/objective.md`; the readers of the core have no part in it.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topoalloc import Machine
from topoalloc._errors import TopologyError
from topoalloc.hwloc import (
    Bitmap,
    BridgeAttributes,
    DistancesTransform,
    MemoryAttributes,
    Object,
    OsDeviceAttributes,
    PciAttributes,
    Topology,
)

__all__ = ["Differences", "compare"]

# As facts of the hardware: display controllers of management boards are no GPUs.
_MANAGEMENT = {(0x1A03, 0x2000), (0x1002, 0x515E)}
_MATROX = 0x102B
_USNIC = (0x1137, 0x00CF)
_BACKENDS = ("NVML", "RSMI", "LevelZero", "CUDA")
_MEMORY_KINDS = {
    "HBM": "hbm",
    "MCDRAM": "hbm",
    "SPM": "hbm",
    "GPUMemory": "gpu",
    "NVM": "nvm",
}
_UNITS = {"KiB": 1024}


@dataclass
class Differences:
    """What was compared, by kind, and what did not agree."""

    compared: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)

    def equal(self, what: str, where: str, ours: object, theirs: object) -> None:
        """Count one fact; keep it where the two sides say different things."""
        self.compared[what] += 1
        if ours != theirs:
            self.found.append(f"{what} {where}: ours {ours!r}, hwloc's {theirs!r}")


def compare(machine: Machine, topology: Topology) -> Differences:
    """Compare a Machine with a Topology of the same source."""
    expected = _Expected(topology)
    out = Differences()
    _compare_pus(machine, expected, out)
    for kind, ours in (
        ("Package", machine.packages),
        ("Die", machine.dies),
        ("L3Cache", machine.l3s),
        ("Core", machine.cores),
    ):
        theirs = expected.domains(kind)
        out.equal(f"{kind} count", "", len(ours), len(theirs))
        for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            out.equal(kind, str(i), (a.os_index, a.cpuset), b)
    _compare_memory(machine, expected, out)
    _compare_bridges(machine, expected, out)
    _compare_devices(machine, expected, out)
    _compare_links(machine, expected, out)
    return out


def _ancestors(obj: Object) -> Iterator[Object]:
    while obj.parent is not None:
        obj = obj.parent
        yield obj


def _info(objects: Iterable[Object], *names: str) -> str | None:
    """Return the first info that there is, names before objects."""
    for name in names:
        for obj in objects:
            for key, value in obj.infos:
                if key == name and value:
                    return value
    return None


def _is_zero(text: str) -> bool:
    return not text.strip("0:-. ")


@dataclass
class _Device:
    """A device as hwloc's objects make it."""

    obj: Object
    device_class: str
    pci: PciAttributes | None
    os_devices: list[Object]
    parent: _Device | None = None

    @property
    def key(self) -> str:
        return self.pci.address if self.pci else str(self.os_devices[0].name)

    @property
    def root(self) -> _Device:
        return self.parent or self

    @property
    def bridges(self) -> list[Object]:
        return [o for o in _ancestors(self.obj) if o.type == "Bridge"]

    @property
    def pci_bridges(self) -> list[Object]:
        return [b for b in self.bridges if _upstream(b) is not None]

    @property
    def host(self) -> str | None:
        """The host bridge, as sysfs and Kubernetes' pcieRoot write it."""
        if not self.bridges:
            return None
        top = self.bridges[-1]
        bridge = top.attributes
        assert isinstance(bridge, BridgeAttributes)
        if bridge.upstream is None:
            return f"pci{bridge.domain:04x}:{bridge.secondary_bus:02x}"
        # A filtered recording: the bus that the topmost bridge is on stands for it.
        return f"pci{bridge.upstream.domain:04x}:{bridge.upstream.bus:02x}"


def _upstream(bridge: Object) -> PciAttributes | None:
    assert isinstance(bridge.attributes, BridgeAttributes)
    return bridge.attributes.upstream


def _backend(os_device: Object) -> str | None:
    return os_device.subtype or _info([os_device], "Backend")


def _types(os_device: Object) -> frozenset[str]:
    assert isinstance(os_device.attributes, OsDeviceAttributes)
    return os_device.attributes.types


def _is_gpu(pci: PciAttributes, os_devices: Sequence[Object]) -> bool:
    if (pci.vendor_id, pci.device_id) in _MANAGEMENT or pci.vendor_id == _MATROX:
        return False
    return (
        pci.class_id in {0x0302, 0x0380}
        or pci.class_id >> 8 == 0x12
        or any(_backend(o) in _BACKENDS for o in os_devices)
    )


def _class_of(pci: PciAttributes, os_devices: Sequence[Object]) -> str | None:
    types = frozenset[str]().union(*(_types(o) for o in os_devices))
    is_net = bool(types & {"network", "openfabrics"})
    if _is_gpu(pci, os_devices):
        return "gpu"
    if pci.class_id >> 8 == 0x02 or pci.class_id == 0x0C06:
        return "nic"
    if is_net and pci.class_id != 0x0C03:
        return "nic"
    if pci.class_id == 0x0108 and "storage" in types:
        return "nvme"
    return None


class _Expected:
    """What a Machine of this Topology is, by the words of docs/objective.md."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.objects = topology.objects
        self.root = topology.root
        assert self.root.cpuset is not None
        self.whole = self.root.cpuset
        pus = self.of_type("PU")
        # Those that are offline are kept in the complete sets alone.
        self.pus = [p for p in pus if p.cpuset]
        self.nodes = sorted(self.of_type("NUMANode"), key=lambda n: n.os_index or 0)
        self.devices = sorted(
            self._devices(),
            key=lambda d: (d.device_class, d.pci is None, _address(d.pci), d.key),
        )
        self._join_virtual_functions()

    def of_type(self, kind: str) -> list[Object]:
        return [o for o in self.objects if o.type == kind]

    # --- PUs and what holds them ---

    def holder(self, pu: Object, kind: str) -> Object | None:
        return next((o for o in _ancestors(pu) if o.type == kind), None)

    def stand_in(self, pu: Object, kind: str) -> Bitmap:
        assert pu.cpuset is not None
        if kind == "Core":
            return pu.cpuset
        sets = [self.whole]
        if kind != "Package":
            kinds = {"L3Cache": {"Die", "Package"}, "Die": {"Package"}}[kind]
            sets += [o.cpuset for o in _ancestors(pu) if o.type in kinds and o.cpuset]
            sets += [n.cpuset for n in self.nodes if n.cpuset and pu.cpuset <= n.cpuset]
        return min(sets, key=len)

    def domains(self, kind: str) -> list[tuple[int | None, str]]:
        """OS index and cpuset of each, in the order of their first PU."""
        found: dict[object, tuple[int | None, Bitmap]] = {}
        for pu in self.pus:
            assert pu.cpuset is not None
            obj = self.holder(pu, kind)
            key: object = str(self.stand_in(pu, kind)) if obj is None else obj.gp_index
            index = None if obj is None else obj.os_index
            _, cpuset = found.get(key, (None, Bitmap()))
            found[key] = (index, cpuset | pu.cpuset)
        return [(index, str(cpuset)) for index, cpuset in found.values()]

    # --- memory ---

    def localities(self) -> list[Bitmap]:
        sets = {str(n.cpuset): n.cpuset for n in self.nodes if n.cpuset}
        found: dict[str, Bitmap] = {}
        for pu in self.pus:
            assert pu.cpuset is not None
            around = [s for s in sets.values() if pu.cpuset <= s]
            key = str(min(around, key=len)) if around else ""
            found[key] = found.get(key, Bitmap()) | pu.cpuset
        return list(found.values())

    def attached(self, node: Object, localities: Sequence[Bitmap]) -> list[int]:
        def inside(cpuset: Bitmap) -> list[int]:
            return [i for i, held in enumerate(localities) if held <= cpuset]

        if node.cpuset:
            return inside(node.cpuset)
        parent = next(o for o in _ancestors(node) if o.type != "MemCache")
        assert parent.cpuset is not None
        near = inside(parent.cpuset)
        # Those of a NUMANode beside it, where there is one, else of all the parent's.
        beside = [
            i
            for i in near
            for n in self.nodes
            if n.parent is parent and n.cpuset and localities[i] <= n.cpuset
        ]
        return sorted(set(beside)) or near

    # --- devices ---

    def _devices(self) -> Iterator[_Device]:
        below: dict[int, list[Object]] = defaultdict(list)
        lone: dict[int, list[Object]] = defaultdict(list)
        for obj in self.of_type("OSDev"):
            function = next((o for o in _ancestors(obj) if o.type == "PCIDev"), None)
            if function is not None:
                below[function.gp_index].append(obj)
            elif _backend(obj) in _BACKENDS:
                assert obj.parent is not None
                lone[obj.parent.gp_index].append(obj)
        for obj in self.of_type("PCIDev"):
            pci = obj.attributes
            assert isinstance(pci, PciAttributes)
            os_devices = below[obj.gp_index]
            name = _class_of(pci, os_devices)
            if name is not None:
                yield _Device(obj, name, pci, os_devices)
        for group in lone.values():
            best = min(_BACKENDS.index(_backend(o) or "") for o in group)
            for obj in group:
                if _backend(obj) == _BACKENDS[best]:
                    yield _Device(obj, "gpu", None, [obj])

    def _join_virtual_functions(self) -> None:
        functions = [d for d in self.devices if d.pci is not None]
        virtual = [d for d in functions if self.is_virtual(d)]
        for part in virtual:
            near = [
                d
                for d in functions
                if d not in virtual
                and d.device_class == part.device_class
                and d.obj.parent is part.obj.parent
                and d.pci is not None
                and part.pci is not None
                and d.pci.bus == part.pci.bus
                and d.pci.vendor_id == part.pci.vendor_id
                and _address(d.pci) < _address(part.pci)
            ]
            if len(near) == 1:
                part.parent = near[0]

    @staticmethod
    def is_virtual(device: _Device) -> bool:
        pci = device.pci
        named = "Virtual Function" in (_info([device.obj], "PCIDevice") or "")
        # Cisco's functions for user space are virtual; their name does not say so.
        is_usnic = pci is not None and (pci.vendor_id, pci.device_id) == _USNIC
        return named or is_usnic

    def locality_nodes(self, device: _Device) -> set[int]:
        """OS indices of the NUMANodes inside the nearest object with a cpuset.

        hwloc adds what is attached above to its nodeset. Where there is none inside,
        the smallest around it.
        """
        pus = device.root.obj.non_io_ancestor().cpuset
        assert pus is not None
        sets = {n.os_index: n.cpuset for n in self.nodes if n.os_index is not None}
        inside = {i for i, held in sets.items() if held is not None and held <= pus}
        around = {i: held for i, held in sets.items() if held and pus <= held}
        least = min(map(len, around.values()), default=0)
        return inside or {i for i, held in around.items() if len(held) == least}

    # --- links ---

    def links(self) -> dict[tuple[str, str], int]:
        """MB/s of one direction by keys of devices, switches merged and closed."""
        by_object = {
            o.gp_index: d for d in self.devices for o in (d.obj, *d.os_devices)
        }
        found: dict[tuple[str, str], int] = {}
        for raw, name in enumerate(self.topology.distances()):
            if not (name.name or "").endswith("Bandwidth"):
                continue
            matrix = self._closed(raw)
            for (i, a), (j, b) in itertools.product(
                enumerate(matrix.objects), repeat=2
            ):
                ends = by_object.get(a.gp_index), by_object.get(b.gp_index)
                if ends[0] is None or ends[1] is None or ends[0] is ends[1]:
                    continue
                key = (ends[0].key, ends[1].key)
                found[key] = max(found.get(key, 0), matrix.values[i][j])
        return found

    def _closed(self, which: int) -> Any:
        merge = DistancesTransform.MERGE_SWITCH_PORTS
        closure = DistancesTransform.TRANSITIVE_CLOSURE
        raw = self.topology.distances()[which]
        same = [d for d in self.topology.distances() if d.name == raw.name]
        at = same.index(next(d for d in same if d == raw))
        try:
            return self.topology.distances(raw.name, [merge, closure])[at]
        except TopologyError:
            # hwloc refuses to merge where there is no switch; what it has is direct.
            return raw


def _address(pci: PciAttributes | None) -> tuple[int, int, int, int]:
    return (0, 0, 0, 0) if pci is None else (pci.domain, pci.bus, pci.dev, pci.func)


# --- one comparison for each part ----------------------------------------------------


def _compare_pus(machine: Machine, expected: _Expected, out: Differences) -> None:
    out.equal("PU count", "", len(machine.pus), len(expected.pus))
    kinds = {
        "Core": machine.cores,
        "L3Cache": machine.l3s,
        "Die": machine.dies,
        "Package": machine.packages,
    }
    for i, (ours, theirs) in enumerate(zip(machine.pus, expected.pus, strict=False)):
        out.equal("PU os_index", str(i), ours.os_index, theirs.os_index)
        out.equal("PU logical_index", str(i), ours.logical_index, theirs.logical_index)
        indices = (ours.core, ours.l3, ours.die, ours.package)
        for (kind, views), index in zip(kinds.items(), indices, strict=True):
            holder = expected.holder(theirs, kind)
            if holder is not None:
                out.equal(
                    f"PU {kind}",
                    str(i),
                    (views[index].os_index, views[index].cpuset),
                    (holder.os_index, str(holder.cpuset)),
                )
    allowed = expected.topology.allowed_cpuset & expected.whole
    out.equal("allowed PUs", "", machine.allowed_pus, str(allowed))


def _compare_memory(machine: Machine, expected: _Expected, out: Differences) -> None:
    localities = expected.localities()
    out.equal(
        "localities",
        "",
        [locality.cpuset for locality in machine.localities],
        [str(cpuset) for cpuset in localities],
    )
    out.equal("NUMANode count", "", len(machine.numa_nodes), len(expected.nodes))
    for ours, theirs in zip(machine.numa_nodes, expected.nodes, strict=False):
        where = str(theirs.os_index)
        memory = theirs.attributes
        assert isinstance(memory, MemoryAttributes)
        base = min((size for size, _ in memory.page_types), default=0)
        huge = {s: s * n for s, n in memory.page_types if s != base and n}
        bytes_ = memory.local_memory - sum(huge.values())
        subtype = theirs.subtype or "DRAM"
        is_cxl = subtype.startswith("CXL-")
        kind = "cxl" if is_cxl else _MEMORY_KINDS.get(subtype, "dram")
        out.equal("NUMANode os_index", where, ours.os_index, theirs.os_index)
        out.equal("NUMANode cpuset", where, ours.cpuset, str(theirs.cpuset))
        if memory.page_types:
            out.equal("NUMANode bytes", where, ours.memory, bytes_)
            out.equal("NUMANode hugepages", where, dict(ours.hugepages), huge)
        else:  # hwloc 3 says how many bytes, and not of which pages
            all_bytes = ours.memory + sum(ours.hugepages.values())
            out.equal("NUMANode bytes", where, all_bytes, memory.local_memory)
        out.equal("NUMANode kind", where, ours.kind, kind)
        allowed = theirs.os_index in expected.topology.allowed_nodeset
        is_ours = ours.os_index in machine.allowed_numa_nodes
        out.equal("NUMANode allowed", where, is_ours, allowed)
        out.equal(
            "NUMANode localities",
            where,
            list(ours.localities),
            expected.attached(theirs, localities),
        )
    _compare_distances(machine, expected, out)


def _compare_distances(machine: Machine, expected: _Expected, out: Differences) -> None:
    def is_latency(matrix: Any) -> bool:
        nodes = all(o.type == "NUMANode" for o in matrix.objects)
        unnamed = matrix.name is None and "latency" in matrix.kinds
        return nodes and (matrix.name == "NUMALatency" or unnamed)

    found = next(filter(is_latency, expected.topology.distances()), None)
    ours = machine.to_dict().get("distances")
    out.equal("NUMA matrix", "is there", ours is not None, found is not None)
    if found is None or ours is None:
        return
    order = [o.os_index for o in found.objects]
    out.equal("NUMA matrix nodes", "", set(ours["numa_nodes"]), set(order))
    at = {node: i for i, node in enumerate(ours["numa_nodes"])}
    for (i, a), (j, b) in itertools.product(enumerate(order), repeat=2):
        value = ours["values"][at[a]][at[b]] if a in at and b in at else None
        out.equal("NUMA distance", f"{a}-{b}", value, found.values[i][j])


def _compare_bridges(machine: Machine, expected: _Expected, out: Differences) -> None:
    ours = {}
    bridges = machine.to_dict().get("bridges", [])
    for bridge in bridges:
        name = bridge.get("address") or bridge["name"]
        ours[name] = bridge.get("parent")
    theirs: dict[str, str | None] = {}
    for obj in expected.of_type("Bridge"):
        attributes = obj.attributes
        assert isinstance(attributes, BridgeAttributes)
        if attributes.upstream is None:
            bus = f"{attributes.domain:04x}:{attributes.secondary_bus:02x}"
            theirs[f"pci{bus}"] = None
            continue
        above = next((o for o in _ancestors(obj) if o.type == "Bridge"), None)
        if above is None:
            up = attributes.upstream
            parent = f"pci{up.domain:04x}:{up.bus:02x}"
            theirs.setdefault(parent, None)
        else:
            over = above.attributes
            assert isinstance(over, BridgeAttributes)
            parent = (
                over.upstream.address
                if over.upstream is not None
                else f"pci{over.domain:04x}:{over.secondary_bus:02x}"
            )
        theirs[attributes.upstream.address] = parent
    out.equal("bridge count", "", len(bridges), len(theirs))
    for name in sorted({*ours, *theirs}):
        out.equal("bridge is there", name, name in ours, name in theirs)
        out.equal("bridge above", name, ours.get(name), theirs.get(name))


def _compare_devices(machine: Machine, expected: _Expected, out: Differences) -> None:
    roots = [d for d in expected.devices if d.parent is None]
    out.equal(
        "device order",
        "",
        [
            (d.device_class, d.pci_address)
            for d in machine.devices
            if d.parent is None and d.pci_address
        ],
        [(d.device_class, d.pci.address) for d in roots if d.pci is not None],
    )
    out.equal("device count", "", len(machine.devices), len(expected.devices))
    known = {key for d in machine.devices for key in (d.pci_address, *d.aliases)}
    for theirs in expected.devices:
        where = theirs.key
        out.equal("device is there", where, where in known, True)
        if where not in known:
            continue
        ours = machine.device(where)
        out.equal("device class", where, ours.device_class, theirs.device_class)
        out.equal(
            "device parent",
            where,
            ours.parent and ours.parent.pci_address,
            theirs.parent and theirs.parent.key,
        )
        out.equal(
            "device NUMANodes",
            where,
            set(ours.numa_nodes),
            expected.locality_nodes(theirs),
        )
        out.equal(
            "device localities",
            where,
            list(ours.localities),
            _localities(expected, theirs),
        )
        out.equal("device bridges", where, ours.bridges, _path(theirs.root))
        _compare_attributes(ours, theirs, expected, out)
    _compare_levels(machine, expected, out)


def _path(device: _Device) -> tuple[str, ...]:
    upstream = [_upstream(b) for b in device.bridges]
    path = [pci.address for pci in upstream if pci is not None]
    return (*path, device.host) if device.host else ()


def _localities(expected: _Expected, device: _Device) -> list[int]:
    localities = expected.localities()
    everything = list(range(len(localities)))
    nodes = expected.locality_nodes(device)
    found = sorted(
        {
            i
            for node in expected.nodes
            if node.os_index in nodes
            for i in expected.attached(node, localities)
        }
    )
    if len(localities) == 1:
        return everything
    return [] if found == everything else found


def _compare_attributes(
    ours: Any, theirs: _Device, expected: _Expected, out: Differences
) -> None:
    where = theirs.key
    attributes = ours.attributes
    out.equal(
        "device OS devices",
        where,
        sorted(attributes.get("os_names", ())),
        sorted(o.name for o in theirs.os_devices if o.name),
    )
    facts: dict[str, object] = {}
    pci = theirs.pci
    if pci is not None:
        port = theirs.bridges[0] if theirs.bridges else None
        speeds = [pci.linkspeed]
        if port is not None and (up := _upstream(port)) is not None:
            speeds.append(up.linkspeed)
        # hwloc's float has seven digits, the text of the file more or fewer.
        speed = attributes.get("link_speed_mb_s", 0)
        out.equal(
            "device link speed", where, abs(speed - 1000 * max(speeds)) <= 1, True
        )
        ids = {
            "vendor_id": pci.vendor_id,
            "device_id": pci.device_id,
            "subvendor": pci.subvendor_id,
            "subdevice": pci.subdevice_id,
        }
        facts.update({k: f"0x{v:04x}" if v else None for k, v in ids.items()})
        facts["class_id"] = f"0x{pci.class_id:04x}"
        facts["revision"] = f"0x{pci.revision:02x}"
        facts["pci_bus_id"] = pci.address
        facts["pcie_root"] = theirs.host
        facts["pci_slot"] = _info([theirs.obj], "PCISlot")
        if expected.is_virtual(theirs):
            facts["sriov_vf"] = True
    if theirs.device_class == "nic":
        facts["rdma"] = any("openfabrics" in _types(o) for o in theirs.os_devices)
        facts.update(_network(theirs.os_devices))
    if theirs.device_class == "gpu":
        facts.update(_gpu(theirs.os_devices))
        out.equal(
            "device memory",
            where,
            ours.capacities.get("memory"),
            _memory(theirs.os_devices),
        )
        uuid = _info(theirs.os_devices, "NVIDIAUUID", "AMDUUID", "LevelZeroUUID")
        is_known = uuid is not None and not _is_zero(uuid)
        out.equal("device uuid", where, ours.uuid, uuid if is_known else None)
    for name, value in facts.items():
        out.equal(f"device {name}", where, attributes.get(name), value)


def _network(os_devices: Sequence[Object]) -> Mapping[str, object]:
    address = _info(os_devices, "Address")
    return {
        "address": address if address and not _is_zero(address) else None,
        "node_guid": _info(os_devices, "NodeGUID"),
        "sys_image_guid": _info(os_devices, "SysImageGUID"),
    }


def _gpu(os_devices: Sequence[Object]) -> Mapping[str, object]:
    facts: dict[str, object] = {
        "serial": _info(
            os_devices, "NVIDIASerial", "AMDSerial", "LevelZeroSerialNumber"
        )
    }
    for backend, prefix, name in (
        ("NVML", "nvml", "nvml_index"),
        ("RSMI", "rsmi", "rsmi_index"),
        ("CUDA", "cuda", "cuda_index"),
        ("LevelZero", "ze", "level_zero_index"),
    ):
        indices = [
            int(o.name.removeprefix(prefix))
            for o in os_devices
            if _backend(o) == backend
            and o.name
            and o.name.removeprefix(prefix).isdigit()
        ]
        facts[name] = indices[0] if indices else None
    return facts


def _memory(os_devices: Sequence[Object]) -> int | None:
    text = _info(
        os_devices,
        "RSMIVRAMSize",
        "CUDAGlobalMemorySize",
        "LevelZeroHBMSize",
        "LevelZeroDDRSize",
        "OpenCLGlobalMemorySize",
    )
    if text is None:
        return None
    return int(text.removesuffix("KiB")) * _UNITS["KiB"]


def _compare_levels(machine: Machine, expected: _Expected, out: Differences) -> None:
    localities = expected.localities()
    package_sets = [
        Bitmap.from_list(cpuset) for _, cpuset in expected.domains("Package")
    ]
    held = {d.key: _localities(expected, d) for d in expected.devices}

    def packages(device: _Device) -> set[int]:
        return {
            p
            for i in held[device.key]
            for p, cpuset in enumerate(package_sets)
            if localities[i] & cpuset
        }

    for a, b in itertools.combinations(expected.devices, 2):
        level = _bridge_level(a.root, b.root)
        if level is None and set(held[a.key]) & set(held[b.key]):
            level = 4
        if level is None and packages(a) & packages(b):
            level = 5
        theirs = 6 if level is None else level
        ours = int(machine.distance(a.key, b.key))
        out.equal("level", f"{a.key} {b.key}", ours, theirs)


def _bridge_level(a: _Device, b: _Device) -> int | None:
    if a is b or (a.pci and b.pci and _address(a.pci)[:3] == _address(b.pci)[:3]):
        return 0
    path_a, path_b = a.pci_bridges, b.pci_bridges
    for above_a, bridge in enumerate(path_a):
        if bridge in path_b:
            return 1 if max(above_a, path_b.index(bridge)) <= 1 else 2
    return 3 if a.host is not None and a.host == b.host else None


def _compare_links(machine: Machine, expected: _Expected, out: Differences) -> None:
    links = expected.links()
    for a, b in itertools.combinations(expected.devices, 2):
        one_way = links.get((a.root.key, b.root.key), 0)
        other = links.get((b.root.key, a.root.key), 0)
        theirs = 0 if a.root is b.root else min(one_way, other)
        out.equal("link", f"{a.key} {b.key}", machine.link(a.key, b.key), theirs)
