# SPDX-License-Identifier: Apache-2.0
"""Machine: the immutable topology of one kind of node, and the objects in it."""

from __future__ import annotations

import enum
import itertools
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, Generic, Self, TypeVar

from topoalloc import _core
from topoalloc._discover import LINK_SPEEDS, discover_spec
from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc._machine_spec import (
    apply_overrides,
    logical_names,
    path_in_document,
    spec_from_dict,
    spec_to_dict,
)
from topoalloc._quantity import shown

__all__ = [
    "PU",
    "Device",
    "Domain",
    "FrozenMapping",
    "Level",
    "Locality",
    "Machine",
    "NumaNode",
]

V = TypeVar("V")
K = TypeVar("K")

_NVIDIA_SMI_NAMES = ("X", "PIX", "PXB", "PHB", "NODE", "NODE", "SYS")

# Attributes that tell one unit from another of the same kind; the digest leaves them
# out. Compared without case, vendor prefix and punctuation: "dra.net/mac", "NodeGUID".
_IDENTITY = re.compile(
    r".*(uuid|guid|serial|hostname).*|mac|.*macaddress|address|hwaddr|permaddr"
    r"|ipv4|ipv6|name|osnames?|ifname|netdev|.*devicename|alias|rdmadevice|ibdev"
    r"|xgmihiveid|(port\d*)?(lid|gid\d*|smlid)"
)


class _LevelType(enum.EnumMeta):
    """Says in topoalloc's words what is no Level; enum would print any value."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return super().__call__(*args, **kwargs)
        except TypeError:
            raise
        except Exception:
            names = ", ".join(name.lower() for name in cls.__members__)
            raise InvalidRequestError(
                f"level: {shown(args[0])}, want one of {names}, PIX, PXB, PHB, NODE, "
                "SYS"
            ) from None


class Level(enum.IntEnum, metaclass=_LevelType):
    """How near two devices are; smaller is nearer.

    ``Level("bridges")``, ``Level("PXB")`` and ``Level(2)`` are one: names of topoalloc
    and of nvidia-smi are read alike. ``str(level)`` is the name of topoalloc.
    """

    SELF = 0
    """One domain:bus:device, or partitions of one device."""
    SWITCH = 1
    """A common PCI bridge, at most one further bridge above each (PIX)."""
    BRIDGES = 2
    """Any other common PCI bridge (PXB)."""
    ROOT = 3
    """The same host bridge (PHB)."""
    NUMA = 4
    """Localities intersect (NODE)."""
    PACKAGE = 5
    """The same Package."""
    MACHINE = 6
    """Anything else, and unknown (SYS)."""

    @classmethod
    def _missing_(cls, value: object) -> Level | None:
        # A lone surrogate cannot cross into the core; no level has a word with one.
        is_word = isinstance(value, str) and value.isascii()
        level = _core.parse_level(str(value)) if is_word else None
        return None if level is None else cls(level)

    def __str__(self) -> str:
        """Return the name of topoalloc: ``"bridges"``."""
        return self.name.lower()

    @property
    def nvidia_smi(self) -> str:
        """The name in ``nvidia-smi topo -m``, which says NODE for PACKAGE too."""
        return _NVIDIA_SMI_NAMES[self]


class FrozenMapping(Mapping[K, V], Generic[K, V]):
    """A mapping that cannot change; equal to a dict of the same items, hashable."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        """Return the value of a key."""
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys."""
        return iter(self._items)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._items)

    def __hash__(self) -> int:
        """Return a hash of the items."""
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        """Show the items as a dict does."""
        return repr(self._items)


@dataclass(frozen=True, slots=True)
class PU:
    """A hardware thread; all but `os_index` are logical indices."""

    logical_index: int
    os_index: int
    core: int
    l3: int
    die: int
    package: int
    locality: int


@dataclass(frozen=True, slots=True)
class Domain:
    """A Package, Die, L3 or Core."""

    kind: str
    """``"Package"``, ``"Die"``, ``"L3"`` or ``"Core"``."""
    logical_index: int
    os_index: int | None
    """None where another kind stands in, or the source gives none."""
    cpuset: str
    """OS indices of its PUs in the kernel's list form."""
    pus: tuple[int, ...]
    """Logical indices."""
    localities: tuple[int, ...]
    """Logical indices of those that it meets."""


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A NUMANode: memory, and the PUs nearest to it, of which there may be none."""

    logical_index: int
    os_index: int
    kind: str
    """``"dram"``, ``"hbm"``, ``"gpu"``, ``"cxl"`` or ``"nvm"``."""
    cpuset: str
    """OS indices of its own PUs in the kernel's list form; maybe empty."""
    pus: tuple[int, ...]
    localities: tuple[int, ...]
    """Logical indices of those that it is attached to."""
    memory: int
    """Bytes in base pages."""
    hugepages: Mapping[int, int]
    """Bytes by page size in bytes."""


@dataclass(frozen=True, slots=True)
class Locality:
    """A distinct non-empty cpuset of NUMANodes, with the memory attached to it."""

    logical_index: int
    cpuset: str
    """OS indices of its PUs in the kernel's list form."""
    pus: tuple[int, ...]
    packages: tuple[int, ...]
    l3s: tuple[int, ...]
    numa_nodes: tuple[int, ...]
    """OS indices of the NUMANodes attached."""


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU, NIC, NVMe or device of the caller's own class, or a partition of one."""

    name: str
    """``"gpu0"``; of a partition ``"gpu0/1"``."""
    device_class: str
    index: int
    """Among the devices of its class, or among the partitions of its parent."""
    logical_index: int
    """Among all devices of the Machine."""
    numa_nodes: tuple[int, ...]
    """OS indices, as the source says; empty is unknown."""
    localities: tuple[int, ...]
    """Logical indices; empty is unknown."""
    pci_address: str | None
    bridges: tuple[str, ...]
    """PCI bridges above it, nearest first; the host bridge last."""
    switch: int | None
    """Index of the switch that joins it with others; None where nothing does."""
    attributes: Mapping[str, bool | int | str | tuple[bool | int | str, ...]]
    capacities: Mapping[str, int]
    """Base units: bytes, bit/s, thousandths."""
    counters: Mapping[str, int]
    """What its partitions and shares draw on, in all; empty for a partition."""
    draws: Mapping[str, int]
    """What a partition draws on the counters of its parent."""
    parent: Device | None
    """The device that it is a partition or a virtual function of."""
    partition: str | None
    """The profile of a partition: ``"1g.10gb"``."""
    aliases: tuple[str, ...]
    uuid: str | None

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Machine(_core.Machine):
    """The immutable topology of one kind of node: the tree, the devices, the distances.

    It is made by `discover`, `from_xml`, `from_synthetic`, `from_dict` or `preset`, and
    is safe to read from many threads. Machines are equal when their JSON forms are.

    Examples
    --------
    >>> machine = Machine.preset("dgx-h100")
    >>> machine.distance("gpu0", "nic0")
    <Level.BRIDGES: 2>
    >>> machine.device("0000:1b:00.0").name
    'gpu0'
    """

    def __init__(self, made: _core.MachineSpec | _core.Machine) -> None:
        if not isinstance(made, _core.MachineSpec | _core.Machine):
            raise InvalidRequestError(
                f"Machine: made of {type(made).__name__}, want Machine.discover, "
                "from_xml, from_synthetic, from_dict or preset"
            )
        super().__init__(made)

    # --- where Machines come from ---

    @classmethod
    def discover(cls, *, allowed_only: bool = False) -> Self:
        """Read this host through hwloc, and of its devices what Linux knows beyond it.

        Parameters
        ----------
        allowed_only : bool, default False
            Leave out what the caller's cgroup does not allow. By default the whole host
            is read: a driver runs in a pod whose cpuset is not the node's.

        Returns
        -------
        Machine

        Raises
        ------
        TopologyError
            There is no usable libhwloc, or it refused.
        """
        return cls(discover_spec(allowed_only=allowed_only))

    @classmethod
    def from_xml(cls, source: str | os.PathLike[str] | bytes | IO[Any]) -> Self:
        """Read hwloc XML, format versions 1, 2 and 3.

        Parameters
        ----------
        source : str, path, bytes or file object
            A str or path names a file, ``"-"`` is standard input; bytes are the XML.

        Returns
        -------
        Machine

        Raises
        ------
        FormatError
            The text is damaged: source and line.
        OSError
            The file cannot be read.
        """
        if isinstance(source, bytes | bytearray | memoryview):
            return cls(_core.read_hwloc_xml(bytes(source), "XML"))
        if isinstance(source, str | os.PathLike):
            if source == "-":
                return cls._from_stream(sys.stdin.buffer, "stdin")
            try:
                file = open(source, "rb")  # noqa: PTH123, SIM115
            except ValueError:
                # A null character, or a surrogate that stands for no byte.
                raise InvalidRequestError(
                    f"source: {shown(source)}, want a path, or XML as bytes"
                ) from None
            with file:
                return cls._from_stream(file, os.fspath(source))
        if hasattr(source, "read"):
            return cls._from_stream(source, str(getattr(source, "name", "XML")))
        raise InvalidRequestError(
            f"source: {type(source).__name__}, want a path, bytes or a file object"
        )

    @classmethod
    def _from_stream(cls, stream: IO[Any], name: str) -> Self:
        text = stream.read()
        if isinstance(text, str):
            text = text.encode(errors="surrogatepass")
        if not isinstance(text, bytes):
            raise InvalidRequestError(
                f"source: {type(text).__name__} read of it, want str or bytes"
            )
        return cls(_core.read_hwloc_xml(text, _printable(name)))

    @classmethod
    def from_synthetic(cls, description: str) -> Self:
        """Read a synthetic description in hwloc's grammar.

        Parameters
        ----------
        description : str
            Such as ``"pack:2 numa:4 core:8 pu:2"``.

        Returns
        -------
        Machine

        Raises
        ------
        FormatError
            The description has no meaning.
        """
        if not isinstance(description, str):
            raise InvalidRequestError(
                f"description: {type(description).__name__}, want a str such as "
                "'pack:2 numa:1 core:8 pu:2'"
            )
        return cls(_core.read_synthetic(_printable(description)))

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Self:
        """Read the JSON form that `to_dict` writes.

        Parameters
        ----------
        document : mapping
            With ``apiVersion`` and ``kind``; ``docs/machine-json.md`` explains it.

        Returns
        -------
        Machine

        Raises
        ------
        FormatError
            With the JSON path of what is wrong.
        """
        spec = spec_from_dict(document)
        try:
            return cls(spec)
        except FormatError as error:
            raise FormatError(path_in_document(str(error), spec)) from None

    @classmethod
    def preset(cls, name: str) -> Self:
        """Make a machine that topoalloc knows.

        Parameters
        ----------
        name : str
            One of `presets`.

        Returns
        -------
        Machine
            ``info["sources"]`` says where the facts come from, and ``info["inferred"]``
            what is not a fact.

        Raises
        ------
        InvalidRequestError
            There is no preset of that name.

        Examples
        --------
        >>> Machine.preset("gb200-tray")
        <Machine gb200-tray: 2 packages, 34 NUMANodes, 144 cores, 144 PUs, 4 gpu, 8 nic>
        """
        from topoalloc import presets  # noqa: PLC0415

        return cls(spec_from_dict(presets.document(name)))

    @staticmethod
    def presets() -> tuple[str, ...]:
        """Name the presets, in alphabetical order.

        Returns
        -------
        tuple of str
            ``topoalloc.presets.SUMMARIES`` has a line about each.
        """
        from topoalloc import presets  # noqa: PLC0415

        return tuple(sorted(presets.SUMMARIES))

    def with_overrides(self, overrides: Mapping[str, object]) -> Self:
        """Correct what firmware got wrong.

        Parameters
        ----------
        overrides : mapping
            As in the JSON form: ``{"levels": [{"a": "gpu0", "b": "nic0", "level":
            "switch"}], "numa_nodes": {"gpu0": [1]}}``. Devices go by any key that
            `device` knows.

        Returns
        -------
        Machine
            A new one; this one stays as it is.

        Raises
        ------
        FormatError
            With the JSON path of what is wrong.
        """
        spec = self._spec
        index_by_name = logical_names(spec)

        def resolve(key: str) -> int | None:
            found = self._find_device(key)
            return None if found is None else index_by_name[self.devices[found].name]

        apply_overrides(spec, overrides, resolve)
        return type(self)(spec)

    # --- what is in it ---

    @cached_property
    def info(self) -> Mapping[str, str]:
        """Free text about the machine: vendor, product, host name, sources."""
        return FrozenMapping(self._spec.info)

    @cached_property
    def packages(self) -> tuple[Domain, ...]:
        """Packages in logical order."""
        return self._domains("Package", self._package_rows())

    @cached_property
    def dies(self) -> tuple[Domain, ...]:
        """Dies in logical order; where another kind stands in there is no os_index."""
        return self._domains("Die", self._die_rows())

    @cached_property
    def l3s(self) -> tuple[Domain, ...]:
        """L3 caches in logical order; where another kind stands in likewise."""
        return self._domains("L3", self._l3_rows())

    @cached_property
    def cores(self) -> tuple[Domain, ...]:
        """Cores in logical order."""
        return self._domains("Core", self._core_rows())

    @cached_property
    def pus(self) -> tuple[PU, ...]:
        """PUs in logical order, those that are not allowed included."""
        return tuple(PU(i, *row) for i, row in enumerate(self._pu_rows()))

    @cached_property
    def allowed_pus(self) -> str:
        """OS indices of the PUs that may be used, in the kernel's list form."""
        return self._cpuset(self._allowed_pus())

    @cached_property
    def numa_nodes(self) -> tuple[NumaNode, ...]:
        """NUMANodes, those included that have no PUs or are not allowed."""
        sizes = self._page_sizes()
        nodes = []
        for i, row in enumerate(self._numa_node_rows()):
            os_index, kind, pus, localities, amounts = row
            by_size = dict(zip(sizes, amounts, strict=True))
            base = by_size.pop(0, 0)
            huge = FrozenMapping({size: n for size, n in by_size.items() if n})
            nodes.append(
                NumaNode(
                    logical_index=i,
                    os_index=os_index,
                    kind=kind.name.lower(),
                    cpuset=self._cpuset(pus),
                    pus=tuple(pus),
                    localities=tuple(localities),
                    memory=base,
                    hugepages=huge,
                )
            )
        return tuple(nodes)

    @cached_property
    def allowed_numa_nodes(self) -> tuple[int, ...]:
        """OS indices of the NUMANodes whose memory may be used.

        The PUs of the others stay, and so do their localities.
        """
        nodes = self.numa_nodes
        return tuple(nodes[i].os_index for i in self._allowed_numa_nodes())

    @cached_property
    def localities(self) -> tuple[Locality, ...]:
        """Localities in logical order; they part the PUs."""
        nodes = self.numa_nodes
        return tuple(
            Locality(
                logical_index=i,
                cpuset=self._cpuset(pus),
                pus=tuple(pus),
                packages=tuple(packages),
                l3s=tuple(l3s),
                numa_nodes=tuple(nodes[node].os_index for node in attached),
            )
            for i, (pus, packages, l3s, attached) in enumerate(self._locality_rows())
        )

    @cached_property
    def devices(self) -> tuple[Device, ...]:
        """Devices in logical order: class, PCI address, parents before partitions."""
        rows = self._device_rows()
        roots = {i: _device(i, r, None) for i, r in enumerate(rows) if r["root"] == i}
        return tuple(
            roots[i] if i in roots else _device(i, row, (rows, roots))
            for i, row in enumerate(rows)
        )

    def device(self, key: str | Device) -> Device:
        """Find a device.

        Parameters
        ----------
        key : str or Device
            A name (``"gpu0"``), PCI address, uuid or alias.

        Returns
        -------
        Device

        Raises
        ------
        InvalidRequestError
            The Machine has no such device.
        """
        return self.devices[self._index_of(key, "device")]

    def distance(self, a: str | Device, b: str | Device) -> Level:
        """Return how near two devices are.

        Parameters
        ----------
        a, b : str or Device
            As for `device`.

        Returns
        -------
        Level
            ``Level.SELF`` for a device and itself.

        Raises
        ------
        InvalidRequestError
            The Machine has no such device.
        """
        index_a, index_b = self._index_of(a, "a"), self._index_of(b, "b")
        return (
            Level.SELF
            if index_a == index_b
            else Level(self._level_of(index_a, index_b))
        )

    def link(self, a: str | Device, b: str | Device) -> int:
        """Return the bandwidth of the direct link (NVLink, XGMI) of two devices.

        Parameters
        ----------
        a, b : str or Device
            As for `device`.

        Returns
        -------
        int
            MB/s (10^6 bytes), the smaller of both directions; 0 where there is none.
            A partition has none.

        Raises
        ------
        InvalidRequestError
            The Machine has no such device.
        """
        return self._link_of(self._index_of(a, "a"), self._index_of(b, "b"))

    def locality_distance(self, a: int, b: int) -> int:
        """Return the NUMA distance of two localities, given by logical index.

        Returns
        -------
        int
            The larger of both directions; 0 without a matrix.

        Raises
        ------
        InvalidRequestError
            The Machine has no such locality.
        """
        count = len(self.localities)
        for name, index in (("a", a), ("b", b)):
            if isinstance(index, bool) or not isinstance(index, int):
                raise InvalidRequestError(
                    f"{name}: {shown(index)}, want the logical index of a locality"
                )
            if not 0 <= index < count:
                raise InvalidRequestError(
                    f"{name}: {shown(index)}, want a locality, less than {count}"
                )
        return self._locality_distance(a, b)

    # --- what it is, as data ---

    def to_dict(self) -> dict[str, Any]:
        """Write the JSON form; `from_dict` makes an equal Machine of it.

        Returns
        -------
        dict
            New each time, of plain types only.
        """
        return spec_to_dict(self._spec)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of what matters for placement.

        Nodes alike but for names, MACs, serials, uuids, guids, host information and the
        speeds of PCI links have equal digests, whatever the machine was read from.
        """
        from topoalloc._canonical import digest_of  # noqa: PLC0415

        return digest_of(_canonical(self))

    def __eq__(self, other: object) -> bool:
        """Compare the JSON forms."""
        if not isinstance(other, Machine):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        """Return a hash of the digest."""
        return hash(self.digest)

    def __copy__(self) -> Self:
        """Return the Machine itself: it cannot change."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the Machine itself: it cannot change."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by way of the JSON form, which every later version reads."""
        return type(self).from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        """Show the name and the counts of what is in it."""
        counts = [
            _count(len(self.packages), "package"),
            _count(len(self.numa_nodes), "NUMANode"),
            _count(len(self.cores), "core"),
            _count(len(self.pus), "PU"),
        ]
        classes = Counter(d.device_class for d in self.devices if d.parent is None)
        counts += [f"{count} {name}" for name, count in classes.items()]
        return f"<Machine {self.name or 'without name'}: {', '.join(counts)}>"

    # --- inside ---

    def _index_of(self, key: str | Device, what: str) -> int:
        if isinstance(key, Device):
            key = key.name
        if not isinstance(key, str):
            raise InvalidRequestError(
                f"{what}: {shown(key)}, want the name of a device"
            )
        try:
            key.encode()
            index = self._find_device(key)
        except UnicodeEncodeError:  # A lone surrogate names nothing.
            index = None
        if index is None:
            raise InvalidRequestError(
                f"{what}: {shown(key)}, want a device of the Machine by name, PCI "
                "address, uuid or alias"
            )
        return index

    def _cpuset(self, pus: list[int]) -> str:
        table = self.pus
        return _core.normalize_cpuset(",".join(str(table[i].os_index) for i in pus))

    def _domains(
        self, kind: str, rows: list[tuple[int | None, list[int], list[int]]]
    ) -> tuple[Domain, ...]:
        return tuple(
            Domain(
                kind=kind,
                logical_index=i,
                os_index=os_index,
                cpuset=self._cpuset(pus),
                pus=tuple(pus),
                localities=tuple(localities),
            )
            for i, (os_index, pus, localities) in enumerate(rows)
        )


def _printable(text: str) -> str:
    # Lone surrogates stand for bytes of a file name that are no UTF-8.
    # A message of the core would end at a null character.
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _device(
    index: int,
    row: Mapping[str, Any],
    family: tuple[list[dict[str, Any]], dict[int, Device]] | None,
) -> Device:
    if family is None:
        counters = dict(zip(row["counter_names"], row["counter_totals"], strict=True))
        draws: dict[str, int] = {}
        parent = None
    else:
        rows, roots = family
        counters = {}
        names = rows[row["root"]]["counter_names"]
        drawn = zip(names, row["counter_draws"], strict=True)
        draws = {name: amount for name, amount in drawn if amount}
        parent = roots[row["root"]]
    attributes = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in row["attributes"].items()
    }
    return Device(
        name=row["name"],
        device_class=row["device_class"],
        index=row["index"],
        logical_index=index,
        numa_nodes=row["numa_nodes"],
        localities=row["localities"],
        pci_address=row["pci_address"],
        bridges=row["bridges"],
        switch=row["switch"],
        attributes=FrozenMapping(attributes),
        capacities=FrozenMapping(row["capacities"]),
        counters=FrozenMapping(counters),
        draws=FrozenMapping(draws),
        parent=parent,
        partition=row["partition"] or None,
        aliases=row["aliases"],
        uuid=row["uuid"] or None,
    )


def _is_identity(attribute: str) -> bool:
    last = attribute.rsplit("/", 1)[-1]
    return _IDENTITY.fullmatch(re.sub(r"[^a-z0-9]", "", last.lower())) is not None


def _canonical(machine: Machine) -> dict[str, Any]:
    """Say what a Machine is without what tells one unit from another.

    It holds facts of the source in the Machine's own order. Levels and switches, which
    follow from them, stay out: a better rule for those must not change the digest.
    """
    spec = machine._spec
    devices = machine.devices
    names = logical_names(spec)
    index_of = {i: machine._find_device(name) for name, i in names.items()}
    levels = {
        (*sorted((index_of[o.a] or 0, index_of[o.b] or 0)), o.level)
        for o in spec.level_overrides
    }
    linked = sorted(
        {
            index_of[end] or 0
            for link in spec.links
            for end in (link.from_device, link.to_device)
        }
    )
    return {
        "version": 1,
        "pus": [pu.os_index for pu in machine.pus],
        "allowed_pus": machine.allowed_pus,
        **{
            domains[0].kind: [(d.os_index, d.cpuset) for d in domains]
            for domains in (machine.packages, machine.dies, machine.l3s, machine.cores)
            if domains
        },
        "numa_nodes": sorted(
            (
                n.os_index,
                n.kind,
                n.cpuset,
                n.localities,
                n.memory,
                sorted(n.hugepages.items()),
            )
            for n in machine.numa_nodes
        ),
        # Left out where all are allowed, so that other Machines keep their digest.
        **(
            {"allowed_numa_nodes": machine.allowed_numa_nodes}
            if len(machine.allowed_numa_nodes) < len(machine.numa_nodes)
            else {}
        ),
        "distances": _canonical_distances(spec.distances),
        "devices": [_canonical_device(device) for device in devices],
        "links": [
            (a, b, machine._link_of(a, b))
            for a in linked
            for b in linked
            if a < b and machine._link_of(a, b)
        ],
        "levels": sorted(levels),
    }


def _canonical_distances(distances: _core.DistanceSpec | None) -> list[Any]:
    if distances is None:
        return []
    pairs = itertools.product(distances.numa_nodes, repeat=2)
    return sorted(zip(pairs, distances.values, strict=True))


def _canonical_device(device: Device) -> dict[str, Any]:
    attributes = device.attributes.items()
    return {
        "class": device.device_class,
        "pci_address": device.pci_address,
        "bridges": device.bridges,
        "numa_nodes": sorted(device.numa_nodes),
        "attributes": {
            k: v for k, v in attributes if k not in LINK_SPEEDS and not _is_identity(k)
        },
        "capacities": dict(device.capacities),
        "counters": dict(device.counters),
        "draws": dict(device.draws),
        "parent": device.parent and device.parent.logical_index,
        "partition": device.partition,
    }
