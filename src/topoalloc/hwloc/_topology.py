# SPDX-License-Identifier: Apache-2.0
"""hwloc's own view of a machine, as plain Python objects, and its XML.

This is the reader that topoalloc's own is compared with, and the way the live host is
read. hwloc's structs end here: what leaves this module belongs to Python.
"""

from __future__ import annotations

import enum
import errno
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from topoalloc._constraints import check_count, check_text
from topoalloc._errors import InvalidRequestError, StateError, TopologyError
from topoalloc._quantity import shown

from ._bitmap import Bitmap
from ._library import CData, Library, check, library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

__all__ = [
    "BridgeAttributes",
    "CacheAttributes",
    "Distances",
    "DistancesTransform",
    "GroupAttributes",
    "MemoryAttributes",
    "Object",
    "OsDeviceAttributes",
    "PciAttributes",
    "Topology",
    "discover_xml",
    "load",
    "make_handle",
    "read_bitmap",
    "read_host",
    "write_bitmap",
]

_OSDEV_TYPES: Final = (
    "storage",
    "memory",
    "gpu",
    "coproc",
    "network",
    "openfabrics",
    "dma",
)


@dataclass(frozen=True)
class MemoryAttributes:
    """Of a NUMANode: bytes, and (page size in bytes, pages) pairs; none in hwloc 3."""

    local_memory: int
    page_types: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CacheAttributes:
    """Of a cache: sizes in bytes; ways, -1 for full, 0 for unknown; what it holds."""

    size: int
    depth: int
    linesize: int
    associativity: int
    cache_type: str


@dataclass(frozen=True)
class GroupAttributes:
    """Of a Group: its depth among Groups, and hwloc's internal kinds."""

    depth: int
    kind: int
    subkind: int


@dataclass(frozen=True)
class PciAttributes:
    """Of a PCI device, or of the upstream side of a bridge; linkspeed is in GB/s."""

    domain: int
    bus: int
    dev: int
    func: int
    class_id: int
    vendor_id: int
    device_id: int
    subvendor_id: int
    subdevice_id: int
    revision: int
    linkspeed: float

    @property
    def address(self) -> str:
        """The address as sysfs writes it: "0000:1b:00.0"."""
        return f"{self.domain:04x}:{self.bus:02x}:{self.dev:02x}.{self.func:x}"


@dataclass(frozen=True)
class BridgeAttributes:
    """Of a Bridge; `upstream` is None for a host bridge, buses are those below it."""

    upstream: PciAttributes | None
    domain: int | None
    secondary_bus: int | None
    subordinate_bus: int | None
    depth: int


@dataclass(frozen=True)
class OsDeviceAttributes:
    """Of an OS device: what it is, in hwloc 3's words ("gpu", "network", ...)."""

    types: frozenset[str]


Attributes = (
    MemoryAttributes
    | CacheAttributes
    | GroupAttributes
    | PciAttributes
    | BridgeAttributes
    | OsDeviceAttributes
)


@dataclass(eq=False)
class Object:
    """One object of a topology, copied out of hwloc; compared by identity.

    Attributes
    ----------
    type : str
        hwloc's word: "Machine", "Package", "L3Cache", "NUMANode", "PCIDev", ...
    os_index : int or None
        Index that the operating system uses; None where it has none.
    logical_index : int
        Index among all objects of this type and depth.
    gp_index : int
        Unique in the topology.
    depth : int
        Level in the tree; negative for memory, I/O and Misc objects.
    name, subtype : str or None
        As hwloc has them.
    total_memory : int
        Bytes in the NUMANodes below.
    cpuset, complete_cpuset, nodeset, complete_nodeset : Bitmap or None
        By os_index; None for I/O and Misc objects.
    infos : tuple of (str, str)
        Names and values, in hwloc's order; a name may come twice.
    attributes : object or None
        What hwloc holds for this type of object; None for Machine, Core, PU, ...
    parent : Object or None
        None for the root.
    children : list of Object
        Normal, then memory, I/O and Misc children, each in hwloc's order.
    """

    type: str
    os_index: int | None
    logical_index: int
    gp_index: int
    depth: int
    name: str | None
    subtype: str | None
    total_memory: int
    cpuset: Bitmap | None
    complete_cpuset: Bitmap | None
    nodeset: Bitmap | None
    complete_nodeset: Bitmap | None
    infos: tuple[tuple[str, str], ...]
    attributes: Attributes | None
    parent: Object | None = field(repr=False)
    children: list[Object] = field(default_factory=list, repr=False)

    def non_io_ancestor(self) -> Object:
        """Return the nearest object above that has a cpuset: the locality of a device.

        Returns
        -------
        Object
            This object itself where it has one.
        """
        obj = self
        while obj.cpuset is None and obj.parent is not None:
            obj = obj.parent
        return obj


@dataclass(frozen=True)
class Distances:
    """A matrix between objects.

    Attributes
    ----------
    name : str or None
        "NUMALatency", "NVLinkBandwidth" (MB/s), "XGMIHops", ...; None for unnamed ones.
    kinds : frozenset of str
        Of "from_os", "from_user", "latency", "bandwidth", "hops",
        "heterogeneous_types".
    objects : tuple of Object
        Rows and columns; not in the order of any index.
    values : tuple of tuple of int
        ``values[i][j]`` is from ``objects[i]`` to ``objects[j]``.
    """

    name: str | None
    kinds: frozenset[str]
    objects: tuple[Object, ...]
    values: tuple[tuple[int, ...], ...]


class DistancesTransform(enum.Enum):
    """What hwloc can do to a matrix; the value is the name of hwloc's constant."""

    REMOVE_NULL = "HWLOC_DISTANCES_TRANSFORM_REMOVE_NULL"
    LINKS = "HWLOC_DISTANCES_TRANSFORM_LINKS"
    MERGE_SWITCH_PORTS = "HWLOC_DISTANCES_TRANSFORM_MERGE_SWITCH_PORTS"
    TRANSITIVE_CLOSURE = "HWLOC_DISTANCES_TRANSFORM_TRANSITIVE_CLOSURE"


class Topology:
    """A loaded topology. Made by `load`; a context manager that closes it.

    Objects and matrices are copies: they stay valid after `close`. Calls from several
    threads are safe; each waits for the one before.
    """

    def __init__(self, handle: CData, lib: Library) -> None:
        self._handle = handle
        self._library = lib
        self._lock = threading.RLock()
        self._objects: tuple[Object, ...] | None = None
        self._by_gp_index: dict[int, Object] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free hwloc's memory; a second call does nothing."""
        with self._lock:
            if self._handle is not None:
                handle, self._handle = self._handle, None
                self._library.ffi.release(handle)

    def _live(self) -> CData:
        if self._handle is None:
            msg = "topology: it is closed, want one that is open"
            raise StateError(msg)
        return self._handle

    @property
    def is_thissystem(self) -> bool:
        """Whether it describes this host as it runs, so that binding is possible."""
        with self._lock:
            return bool(self._library.lib.hwloc_topology_is_thissystem(self._live()))

    @property
    def allowed_cpuset(self) -> Bitmap:
        """The PUs that this process's cgroup may use."""
        with self._lock:
            get = self._library.lib.hwloc_topology_get_allowed_cpuset
            return read_bitmap(self._library, get(self._live()))

    @property
    def allowed_nodeset(self) -> Bitmap:
        """The NUMANodes that this process's cgroup may use."""
        with self._lock:
            get = self._library.lib.hwloc_topology_get_allowed_nodeset
            return read_bitmap(self._library, get(self._live()))

    @property
    def infos(self) -> tuple[tuple[str, str], ...]:
        """Names and values for the whole topology; before hwloc 3 those of its root."""
        with self._lock:
            lib = self._library.lib
            handle = self._live()
            return tuple(
                (
                    self._text(lib.topoalloc_hwloc_topology_info_name(handle, i)) or "",
                    self._text(lib.topoalloc_hwloc_topology_info_value(handle, i))
                    or "",
                )
                for i in range(lib.topoalloc_hwloc_topology_infos_count(handle))
            )

    @property
    def root(self) -> Object:
        """The Machine."""
        return self.objects[0]

    @property
    def objects(self) -> tuple[Object, ...]:
        """All objects, each after its parent; normal children, memory, I/O, Misc."""
        with self._lock:
            if self._objects is None:
                handle = self._live()
                found = list(self._walk(handle))
                self._by_gp_index = {obj.gp_index: obj for obj in found}
                self._objects = tuple(found)
            return self._objects

    def export_xml(self, version: int = 2) -> bytes:
        """Write the topology as XML.

        Parameters
        ----------
        version : int
            Version of the format. hwloc 2 writes 1 and 2, hwloc 3 writes 2 and 3.

        Returns
        -------
        bytes
            The document, without a zero byte at its end.

        Raises
        ------
        TopologyError
            This hwloc does not write that version (ENOTSUP), or the export failed.
        StateError
            The topology is closed.
        """
        check_count("version", version, 0)
        ffi, lib = self._library.ffi, self._library.lib
        with self._lock:
            handle = self._live()
            buffer = ffi.new("char **")
            length = ffi.new("int *")
            result = lib.topoalloc_hwloc_export_xml(handle, version, buffer, length)
            check(result, self._library, "hwloc_topology_export_xmlbuffer")
            try:
                # hwloc counts the zero byte.
                return bytes(ffi.buffer(buffer[0], length[0])).rstrip(b"\0")
            finally:
                lib.hwloc_free_xmlbuffer(handle, buffer[0])

    def distances(
        self,
        name: str | None = None,
        transforms: Sequence[DistancesTransform] = (),
    ) -> tuple[Distances, ...]:
        """Read the distance matrices.

        Parameters
        ----------
        name : str, optional
            Only those of this name.
        transforms : sequence of DistancesTransform
            Applied in this order to each matrix. MERGE_SWITCH_PORTS, then
            TRANSITIVE_CLOSURE makes "NVLinkBandwidth" what two GPUs get through
            NVSwitches.

        Returns
        -------
        tuple of Distances
            In hwloc's order; empty where there are none.

        Raises
        ------
        TopologyError
            A transform does not apply to a matrix (EINVAL, ENOENT).
        StateError
            The topology is closed.
        """
        if name is not None:
            check_text("name", name)
        wanted = transforms if isinstance(transforms, list | tuple) else (transforms,)
        for transform in wanted:
            if not isinstance(transform, DistancesTransform):
                msg = f"transforms: {shown(transforms)}, want DistancesTransforms"
                raise InvalidRequestError(msg)
        ffi, lib = self._library.ffi, self._library.lib
        with self._lock:
            handle = self._live()
            # The objects that a matrix names are looked up among these.
            _ = self.objects
            count = ffi.new("unsigned *", 0)

            def get(out: CData) -> None:
                if name is None:
                    call = "hwloc_distances_get"
                    result = lib.hwloc_distances_get(handle, count, out, 0, 0)
                else:
                    call = "hwloc_distances_get_by_name"
                    result = lib.hwloc_distances_get_by_name(
                        handle, os.fsencode(name), count, out, 0
                    )
                check(result, self._library, call)

            get(ffi.NULL)
            found = ffi.new("struct hwloc_distances_s *[]", max(1, count[0]))
            get(found)
            # Each is released on its own, so that an error on the way frees the rest.
            owned = [
                ffi.gc(found[i], lambda d: lib.hwloc_distances_release(handle, d))
                for i in range(count[0])
            ]
            try:
                return tuple(self._matrix(handle, d, wanted) for d in owned)
            finally:
                for distances in owned:
                    ffi.release(distances)

    def _matrix(
        self, handle: CData, distances: CData, transforms: Sequence[DistancesTransform]
    ) -> Distances:
        ffi, lib = self._library.ffi, self._library.lib
        # The name is that of the original: a transform loses it.
        name = self._text(lib.hwloc_distances_get_name(handle, distances))
        for transform in transforms:
            result = lib.hwloc_distances_transform(
                handle, distances, getattr(lib, transform.value), ffi.NULL, 0
            )
            check(result, self._library, "hwloc_distances_transform")
        size = int(distances.nbobjs)
        kinds = {
            "from_os": lib.HWLOC_DISTANCES_KIND_FROM_OS,
            "from_user": lib.HWLOC_DISTANCES_KIND_FROM_USER,
            "latency": lib.TOPOALLOC_HWLOC_DISTANCES_LATENCY,
            "bandwidth": lib.TOPOALLOC_HWLOC_DISTANCES_BANDWIDTH,
            "hops": lib.TOPOALLOC_HWLOC_DISTANCES_HOPS,
            "heterogeneous_types": lib.HWLOC_DISTANCES_KIND_HETEROGENEOUS_TYPES,
        }
        values = ffi.unpack(distances.values, size * size) if size else []
        return Distances(
            name,
            frozenset(word for word, bit in kinds.items() if distances.kind & bit),
            tuple(
                self._by_gp_index[int(distances.objs[i].gp_index)] for i in range(size)
            ),
            tuple(tuple(values[i * size : (i + 1) * size]) for i in range(size)),
        )

    def _walk(self, handle: CData) -> Iterator[Object]:
        ffi = self._library.ffi
        # A stack, not recursion: the depth of a tree is the document's to choose.
        stack: list[tuple[CData, Object | None]] = [
            (self._library.lib.hwloc_get_obj_by_depth(handle, 0, 0), None)
        ]
        while stack:
            raw, parent = stack.pop()
            obj = self._copy(raw, parent)
            if parent is not None:
                parent.children.append(obj)
            yield obj
            below = []
            for first in (
                raw.first_child,
                raw.memory_first_child,
                raw.io_first_child,
                raw.misc_first_child,
            ):
                child = first
                while child != ffi.NULL:
                    below.append((child, obj))
                    child = child.next_sibling
            stack.extend(reversed(below))

    def _copy(self, raw: CData, parent: Object | None) -> Object:
        lib = self._library.lib
        return Object(
            type=self._text(lib.hwloc_obj_type_string(raw.type)) or "",
            os_index=None if raw.os_index == lib.HWLOC_UNKNOWN_INDEX else raw.os_index,
            logical_index=raw.logical_index,
            gp_index=raw.gp_index,
            depth=raw.depth,
            name=self._text(raw.name),
            subtype=self._text(raw.subtype),
            total_memory=raw.total_memory,
            cpuset=self._set(raw.cpuset),
            complete_cpuset=self._set(raw.complete_cpuset),
            nodeset=self._set(raw.nodeset),
            complete_nodeset=self._set(raw.complete_nodeset),
            infos=tuple(
                (
                    self._text(lib.topoalloc_hwloc_info_name(raw, i)) or "",
                    self._text(lib.topoalloc_hwloc_info_value(raw, i)) or "",
                )
                for i in range(lib.topoalloc_hwloc_infos_count(raw))
            ),
            attributes=self._attributes(raw),
            parent=parent,
        )

    def _attributes(self, raw: CData) -> Attributes | None:
        lib = self._library.lib
        if raw.attr == self._library.ffi.NULL:
            return None
        readers: dict[int, Callable[[CData], Attributes]] = {
            lib.HWLOC_OBJ_NUMANODE: self._memory,
            lib.HWLOC_OBJ_GROUP: self._group,
            lib.HWLOC_OBJ_PCI_DEVICE: self._pci_device,
            lib.HWLOC_OBJ_BRIDGE: self._bridge,
            lib.HWLOC_OBJ_OS_DEVICE: self._os_device,
        }
        readers.update(dict.fromkeys(_cache_types(lib), self._cache))
        reader = readers.get(raw.type)
        return None if reader is None else reader(raw)

    def _memory(self, raw: CData) -> MemoryAttributes:
        lib = self._library.lib
        return MemoryAttributes(
            raw.attr.numanode.local_memory,
            tuple(
                (
                    lib.topoalloc_hwloc_page_size(raw, i),
                    lib.topoalloc_hwloc_page_count(raw, i),
                )
                for i in range(lib.topoalloc_hwloc_page_types_count(raw))
            ),
        )

    def _group(self, raw: CData) -> GroupAttributes:
        group = raw.attr.group
        return GroupAttributes(group.depth, group.kind, group.subkind)

    def _pci_device(self, raw: CData) -> PciAttributes:
        out = self._library.ffi.new("struct topoalloc_hwloc_pci *")
        self._library.lib.topoalloc_hwloc_get_pci(raw, out)
        return _pci(out)

    def _os_device(self, raw: CData) -> OsDeviceAttributes:
        lib = self._library.lib
        bits = lib.topoalloc_hwloc_osdev_types(raw)
        return OsDeviceAttributes(
            frozenset(
                word
                for word in _OSDEV_TYPES
                if bits & getattr(lib, f"TOPOALLOC_HWLOC_OSDEV_{word.upper()}")
            )
        )

    def _cache(self, raw: CData) -> CacheAttributes:
        lib = self._library.lib
        words = {
            lib.HWLOC_OBJ_CACHE_UNIFIED: "unified",
            lib.HWLOC_OBJ_CACHE_DATA: "data",
            lib.HWLOC_OBJ_CACHE_INSTRUCTION: "instruction",
        }
        cache = raw.attr.cache
        return CacheAttributes(
            cache.size,
            cache.depth,
            cache.linesize,
            cache.associativity,
            words[cache.type],
        )

    def _bridge(self, raw: CData) -> BridgeAttributes:
        out = self._library.ffi.new("struct topoalloc_hwloc_bridge *")
        self._library.lib.topoalloc_hwloc_get_bridge(raw, out)
        below = bool(out.has_downstream)
        return BridgeAttributes(
            _pci(out.upstream) if out.has_upstream else None,
            out.domain if below else None,
            out.secondary_bus if below else None,
            out.subordinate_bus if below else None,
            out.depth,
        )

    def _text(self, pointer: CData) -> str | None:
        if pointer == self._library.ffi.NULL:
            return None
        raw: bytes = self._library.ffi.string(pointer)
        # Firmware's strings need not be UTF-8.
        return raw.decode("utf-8", "surrogateescape")

    def _set(self, pointer: CData) -> Bitmap | None:
        if pointer == self._library.ffi.NULL:
            return None
        return read_bitmap(self._library, pointer)


def _pci(pci: CData) -> PciAttributes:
    return PciAttributes(
        domain=pci.domain,
        bus=pci.bus,
        dev=pci.dev,
        func=pci.func,
        class_id=pci.class_id,
        vendor_id=pci.vendor_id,
        device_id=pci.device_id,
        subvendor_id=pci.subvendor_id,
        subdevice_id=pci.subdevice_id,
        revision=pci.revision,
        linkspeed=pci.linkspeed,
    )


def _cache_types(lib: CData) -> tuple[int, ...]:
    return (
        lib.HWLOC_OBJ_L1CACHE,
        lib.HWLOC_OBJ_L2CACHE,
        lib.HWLOC_OBJ_L3CACHE,
        lib.HWLOC_OBJ_L4CACHE,
        lib.HWLOC_OBJ_L5CACHE,
        lib.HWLOC_OBJ_L1ICACHE,
        lib.HWLOC_OBJ_L2ICACHE,
        lib.HWLOC_OBJ_L3ICACHE,
        lib.HWLOC_OBJ_MEMCACHE,
    )


def read_bitmap(lib: Library, pointer: CData) -> Bitmap:
    """Copy one of hwloc's bitmaps.

    Parameters
    ----------
    lib : Library
        The library that it comes from.
    pointer : object
        An hwloc_const_bitmap_t.

    Returns
    -------
    Bitmap
        Its value.
    """
    word_bits = 8 * lib.ffi.sizeof("unsigned long")
    # An infinite one has no last member; what counts is its last hole. -1: none.
    infinite = lib.lib.hwloc_bitmap_weight(pointer) < 0
    edge = lib.lib.hwloc_bitmap_last_unset if infinite else lib.lib.hwloc_bitmap_last
    size = int(edge(pointer)) // word_bits + 1
    words = lib.ffi.new("unsigned long[]", max(1, size))
    call = "hwloc_bitmap_to_ulongs"
    check(lib.lib.hwloc_bitmap_to_ulongs(pointer, size, words), lib, call)
    bits = sum(words[i] << i * word_bits for i in range(size))
    return Bitmap.from_int(bits - (1 << size * word_bits) if infinite else bits)


def write_bitmap(lib: Library, bitmap: Bitmap) -> CData:
    """Make one of hwloc's bitmaps.

    Parameters
    ----------
    lib : Library
        The library to make it in.
    bitmap : Bitmap
        The value.

    Returns
    -------
    object
        An hwloc_bitmap_t that is freed with its last reference.

    Raises
    ------
    TopologyError
        No memory.
    """
    pointer = lib.lib.hwloc_bitmap_alloc()
    if pointer == lib.ffi.NULL:
        raise TopologyError(errno.ENOMEM, "hwloc_bitmap_alloc")
    handle = lib.ffi.gc(pointer, lib.lib.hwloc_bitmap_free)
    word_bits = 8 * lib.ffi.sizeof("unsigned long")
    bits = bitmap.to_int()
    size = bits.bit_length() // word_bits + 1
    mask = (1 << word_bits) - 1
    words = [bits >> i * word_bits & mask for i in range(size)]
    array = lib.ffi.new("unsigned long[]", words)
    call = "hwloc_bitmap_from_ulongs"
    check(lib.lib.hwloc_bitmap_from_ulongs(handle, size, array), lib, call)
    if bitmap.is_infinite:
        call = "hwloc_bitmap_set_range"
        begin = size * word_bits
        check(lib.lib.hwloc_bitmap_set_range(handle, begin, -1), lib, call)
    return handle


def make_handle(lib: Library, flags: int, *, xml: bytes | None, io: bool) -> CData:
    """Load a topology.

    Parameters
    ----------
    lib : Library
        The library to load it with.
    flags : int
        HWLOC_TOPOLOGY_FLAG_* bits.
    xml : bytes or None
        The document; None for this host.
    io : bool
        Whether to keep all I/O objects, or none.

    Returns
    -------
    object
        An hwloc_topology_t that is destroyed with its last reference.

    Raises
    ------
    TopologyError
        hwloc refused.
    """
    ffi, calls = lib.ffi, lib.lib
    out = ffi.new("hwloc_topology_t *")
    check(calls.hwloc_topology_init(out), lib, "hwloc_topology_init")
    handle = ffi.gc(out[0], calls.hwloc_topology_destroy)
    check(
        calls.hwloc_topology_set_flags(handle, flags), lib, "hwloc_topology_set_flags"
    )
    keep = "HWLOC_TYPE_FILTER_KEEP_ALL" if io else "HWLOC_TYPE_FILTER_KEEP_NONE"
    check(
        calls.hwloc_topology_set_io_types_filter(handle, getattr(calls, keep)),
        lib,
        "hwloc_topology_set_io_types_filter",
    )
    if xml is not None:
        # hwloc wants the zero byte counted; it copies the document.
        document = ffi.new("char[]", xml)
        result = calls.hwloc_topology_set_xmlbuffer(handle, document, len(xml) + 1)
        check(result, lib, "hwloc_topology_set_xmlbuffer")
    check(calls.hwloc_topology_load(handle), lib, "hwloc_topology_load")
    return handle


def load(
    xml: bytes | None = None, *, allowed_only: bool = False, io: bool = True
) -> Topology:
    """Load this host, or an XML document, with hwloc.

    Only a document that topoalloc's own reader has accepted may be passed: libhwloc
    before 2.14 crashes the process on many malformed ones. Use `Machine.from_xml` for
    what comes from outside.

    Parameters
    ----------
    xml : bytes, optional
        A checked document; None for this host.
    allowed_only : bool
        Leave out the PUs and NUMANodes that the cgroup (or the document) does not
        allow.
    io : bool
        Keep bridges, PCI and OS devices.

    Returns
    -------
    Topology
        A context manager: leaving it frees hwloc's memory.

    Raises
    ------
    InvalidRequestError
        The document is empty or has a zero byte within.
    TopologyError
        There is no usable libhwloc, hwloc refused, or HWLOC_XMLFILE is set, which would
        have hwloc read an unchecked file in place of this host.

    Examples
    --------
    >>> with load(io=False) as topology:
    ...     topology.root.type
    'Machine'
    """
    # hwloc's own exports end in a zero byte.
    if xml is not None and not isinstance(xml, bytes | bytearray):
        msg = f"xml: {type(xml).__name__}, want bytes"
        raise InvalidRequestError(msg)
    document = None if xml is None else bytes(xml).rstrip(b"\0")
    if document is not None and (not document or b"\0" in document):
        msg = f"xml: {len(document)} bytes, want a document without zero bytes"
        raise InvalidRequestError(msg)
    # It would bring an unchecked file to hwloc; a document given here goes before it.
    if xml is None and os.environ.get("HWLOC_XMLFILE"):
        message = "HWLOC_XMLFILE: it is set, want it unset; use Machine.from_xml"
        raise TopologyError(errno.EINVAL, message)
    lib = library()
    flags = 0 if allowed_only else int(lib.lib.HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED)
    return Topology(make_handle(lib, flags, xml=document, io=io), lib)


def discover_xml(*, allowed_only: bool = False) -> bytes:
    """Read this host with all its I/O objects.

    Parameters
    ----------
    allowed_only : bool
        Leave out what the cgroup of this process does not allow.

    Returns
    -------
    bytes
        XML of the newest version that this hwloc writes: 2, or 3 from hwloc 3 on.

    Raises
    ------
    TopologyError
        As for `load`.
    """
    return read_host(allowed_only=allowed_only)[0]


def read_host(*, allowed_only: bool = False) -> tuple[bytes, bool]:
    """Return what `discover_xml` does, and whether it is this host as it runs.

    It is another one where hwloc's environment variables say so (HWLOC_SYNTHETIC,
    HWLOC_FSROOT).
    """
    with load(allowed_only=allowed_only) as topology:
        version = int(library().lib.TOPOALLOC_HWLOC_XML_VERSION)
        return topology.export_xml(version), topology.is_thissystem
