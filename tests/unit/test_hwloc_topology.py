# SPDX-License-Identifier: Apache-2.0
"""What `topoalloc.hwloc` reads out of a topology: a small document, and this host."""

from __future__ import annotations

import dataclasses
import errno
import gc
import os
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from topoalloc import hwloc
from topoalloc._errors import InvalidRequestError, StateError, TopologyError
from topoalloc.hwloc import _library
from topoalloc.hwloc._topology import write_bitmap

if TYPE_CHECKING:
    from collections.abc import Iterator


def length(text: str) -> str:
    return f'length="{len(text)}">{text}'


# Two Packages of two Cores; PU 4 is offline, PU 3 not allowed. NUMANodes 0 and 2. A GPU
# and a NIC below a switch port at Package 0, two NVSwitch ports, a second GPU.
SETS_ALL = (
    'cpuset="0x0000000f" complete_cpuset="0x0000001f" nodeset="0x00000005" '
    'complete_nodeset="0x00000005"'
)
SETS_0 = (
    'cpuset="0x00000003" complete_cpuset="0x00000003" nodeset="0x00000001" '
    'complete_nodeset="0x00000001"'
)
SETS_1 = (
    'cpuset="0x0000000c" complete_cpuset="0x0000001c" nodeset="0x00000004" '
    'complete_nodeset="0x00000004"'
)


def core(pu: int, node: int) -> str:
    sets = (
        f'cpuset="{1 << pu:#010x}" complete_cpuset="{1 << pu:#010x}" '
        f'nodeset="{1 << node:#010x}" complete_nodeset="{1 << node:#010x}"'
    )
    return f"""
      <object type="Core" os_index="{pu}" {sets} gp_index="{100 + pu}">
        <object type="PU" os_index="{pu}" {sets} gp_index="{200 + pu}"/>
      </object>"""


DOCUMENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" {SETS_ALL} allowed_cpuset="0x00000007"
      allowed_nodeset="0x00000005" gp_index="1">
    <info name="Backend" value="Linux"/>
    <info name="HostName" value="node &amp; co"/>
    <object type="Package" os_index="0" {SETS_0} gp_index="2">
      <info name="CPUModel" value="Example 1"/>
      <object type="NUMANode" os_index="0" {SETS_0} gp_index="3"
          local_memory="8589934592">
        <page_type size="4096" count="1048576"/>
        <page_type size="2097152" count="2048"/>
      </object>
      <object type="L3Cache" {SETS_0} gp_index="4" cache_size="33554432" depth="3"
          cache_linesize="64" cache_associativity="16" cache_type="0">
        {core(0, 0)}{core(1, 0)}
      </object>
      <object type="Bridge" gp_index="10" bridge_type="0-1" depth="0"
          bridge_pci="0000:[00-1f]">
        <object type="Bridge" gp_index="11" bridge_type="1-1" depth="1"
            bridge_pci="0000:[01-03]" pci_busid="0000:00:01.0"
            pci_type="0604 [8086:1901] [8086:0002] 07" pci_link_speed="31.507692">
          <object type="PCIDev" gp_index="12" pci_busid="0000:01:00.0"
              pci_type="0302 [10de:20b0] [10de:134f] a1" pci_link_speed="31.5">
            <object type="OSDev" gp_index="13" name="nvml0" subtype="NVML"
                osdev_type="1">
              <info name="NVIDIAUUID" value="GPU-1"/>
            </object>
          </object>
          <object type="PCIDev" gp_index="14" pci_busid="0000:02:00.1"
              pci_type="0207 [15b3:101b] [15b3:0007] 00" pci_link_speed="15.75">
            <object type="OSDev" gp_index="15" name="ib0" osdev_type="2"/>
            <object type="OSDev" gp_index="16" name="mlx5_0" osdev_type="3"/>
          </object>
          <object type="PCIDev" gp_index="17" subtype="NVSwitch"
              pci_busid="0000:03:00.0" pci_type="0680 [10de:1af1] [10de:0000] a1"/>
          <object type="PCIDev" gp_index="18" subtype="NVSwitch"
              pci_busid="0000:03:00.1" pci_type="0680 [10de:1af1] [10de:0000] a1"/>
        </object>
      </object>
    </object>
    <object type="Package" os_index="1" {SETS_1} gp_index="5">
      <object type="NUMANode" os_index="2" {SETS_1} gp_index="6"
          local_memory="4294967296"/>
      {core(2, 2)}{core(3, 2)}
      <object type="Bridge" gp_index="20" bridge_type="0-1" depth="0"
          bridge_pci="0001:[80-81]">
        <object type="PCIDev" gp_index="21" pci_busid="0001:80:1f.7"
            pci_type="0302 [10de:20b0] [10de:134f] a1">
          <object type="OSDev" gp_index="22" name="nvml1" subtype="NVML"
              osdev_type="1"/>
        </object>
      </object>
    </object>
  </object>
  <distances2 type="NUMANode" nbobjs="2" kind="5" name="NUMALatency" indexing="os">
    <indexes {length("0 2 ")}</indexes>
    <u64values {length("10 21 22 10 ")}</u64values>
  </distances2>
  <distances2hetero nbobjs="4" kind="25" name="NVLinkBandwidth">
    <indexes {length("OSDev:22 OSDev:13 PCIDev:17 PCIDev:18 ")}</indexes>
    <u64values {length("0 0 25000 25000 0 0 25000 50000 ")}</u64values>
    <u64values {length("25000 25000 0 0 25000 50000 0 0 ")}</u64values>
  </distances2hetero>
</topology>
""".encode()


@pytest.fixture(scope="module")
def document() -> Iterator[hwloc.Topology]:
    with hwloc.load(DOCUMENT) as topology:
        yield topology


def by_gp_index(topology: hwloc.Topology, gp_index: int) -> hwloc.Object:
    (found,) = (o for o in topology.objects if o.gp_index == gp_index)
    return found


def test_walk_is_in_order(document: hwloc.Topology) -> None:
    assert [o.type for o in document.objects] == [
        "Machine",
        *("Package", "L3Cache", "Core", "PU", "Core", "PU", "NUMANode"),
        *("Bridge", "Bridge", "PCIDev", "OSDev", "PCIDev", "OSDev", "OSDev"),
        *("PCIDev", "PCIDev"),
        *("Package", "Core", "PU", "Core", "PU", "NUMANode"),
        *("Bridge", "PCIDev", "OSDev"),
    ]
    assert document.root is document.objects[0]
    assert document.root.parent is None
    seen = set()
    for obj in document.objects:
        assert obj.parent is None or obj.parent in seen
        seen.add(obj)
        for child in obj.children:
            assert child.parent is obj


def test_indices_and_sets(document: hwloc.Topology) -> None:
    root = document.root
    assert str(root.cpuset) == "0-3"
    assert str(root.complete_cpuset) == "0-4"
    assert str(root.nodeset) == "0,2"
    assert str(root.complete_nodeset) == "0,2"
    assert str(document.allowed_cpuset) == "0-2"
    assert str(document.allowed_nodeset) == "0,2"
    node = by_gp_index(document, 6)
    assert (node.type, node.os_index, node.logical_index) == ("NUMANode", 2, 1)
    assert (str(node.cpuset), str(node.nodeset)) == ("2-3", "2")
    gpu = by_gp_index(document, 12)
    assert (gpu.os_index, gpu.cpuset, gpu.nodeset) == (None, None, None)
    assert gpu.non_io_ancestor() is by_gp_index(document, 2)
    assert root.non_io_ancestor() is root
    assert not document.is_thissystem


def test_allowed_only_leaves_out_the_rest() -> None:
    with hwloc.load(DOCUMENT, allowed_only=True) as topology:
        assert [o.os_index for o in topology.objects if o.type == "PU"] == [0, 1, 2]
        assert str(topology.root.complete_cpuset) == "0-4"


def test_io_false_leaves_out_devices() -> None:
    with hwloc.load(DOCUMENT, io=False) as topology:
        kinds = {o.type for o in topology.objects}
    assert kinds == {"Machine", "Package", "L3Cache", "Core", "PU", "NUMANode"}


def test_infos_keep_order_and_text(document: hwloc.Topology) -> None:
    assert document.infos[:2] == (("Backend", "Linux"), ("HostName", "node & co"))
    assert by_gp_index(document, 2).infos == (("CPUModel", "Example 1"),)
    assert by_gp_index(document, 13).infos == (("NVIDIAUUID", "GPU-1"),)


def test_memory_and_cache_attributes(document: hwloc.Topology) -> None:
    assert by_gp_index(document, 3).attributes == hwloc.MemoryAttributes(
        8589934592, ((4096, 1048576), (2097152, 2048))
    )
    assert document.root.total_memory == 8589934592 + 4294967296
    assert by_gp_index(document, 4).attributes == hwloc.CacheAttributes(
        33554432, 3, 64, 16, "unified"
    )
    assert by_gp_index(document, 100).attributes is None


def test_pci_attributes(document: hwloc.Topology) -> None:
    gpu = by_gp_index(document, 12).attributes
    assert gpu == hwloc.PciAttributes(
        domain=0,
        bus=1,
        dev=0,
        func=0,
        class_id=0x0302,
        vendor_id=0x10DE,
        device_id=0x20B0,
        subvendor_id=0x10DE,
        subdevice_id=0x134F,
        revision=0xA1,
        linkspeed=31.5,
    )
    other = by_gp_index(document, 21).attributes
    assert isinstance(other, hwloc.PciAttributes)
    assert (other.address, other.linkspeed) == ("0001:80:1f.7", 0.0)


def test_bridge_attributes(document: hwloc.Topology) -> None:
    assert by_gp_index(document, 20).attributes == hwloc.BridgeAttributes(
        None, 1, 0x80, 0x81, 0
    )
    port = by_gp_index(document, 11).attributes
    assert isinstance(port, hwloc.BridgeAttributes)
    assert port.upstream is not None
    assert (port.upstream.address, port.upstream.class_id) == ("0000:00:01.0", 0x0604)
    assert port.upstream.linkspeed == pytest.approx(31.507692)
    buses = (port.domain, port.secondary_bus, port.subordinate_bus, port.depth)
    assert buses == (0, 1, 3, 1)


def test_os_devices(document: hwloc.Topology) -> None:
    found = {
        o.name: (o.subtype, o.attributes.types)
        for o in document.objects
        if isinstance(o.attributes, hwloc.OsDeviceAttributes)
    }
    assert found == {
        "nvml0": ("NVML", frozenset({"gpu"})),
        "nvml1": ("NVML", frozenset({"gpu"})),
        "ib0": (None, frozenset({"network"})),
        "mlx5_0": (None, frozenset({"openfabrics"})),
    }


def test_distances_as_they_are(document: hwloc.Topology) -> None:
    latency, links = document.distances()
    assert latency.name == "NUMALatency"
    assert latency.kinds == {"from_os", "latency"}
    assert latency.objects == (by_gp_index(document, 3), by_gp_index(document, 6))
    assert latency.values == ((10, 21), (22, 10))
    assert links.name == "NVLinkBandwidth"
    assert links.kinds == {"from_os", "bandwidth", "heterogeneous_types"}
    assert [o.gp_index for o in links.objects] == [22, 13, 17, 18]
    assert links.values[0] == (0, 0, 25000, 25000)
    assert document.distances("NoSuchName") == ()


def test_distances_through_switches(document: hwloc.Topology) -> None:
    (links,) = document.distances(
        "NVLinkBandwidth",
        [
            hwloc.DistancesTransform.MERGE_SWITCH_PORTS,
            hwloc.DistancesTransform.TRANSITIVE_CLOSURE,
        ],
    )
    # nvml1 has 2 x 25000 to the switch, nvml0 has 25000 + 50000: the least of both.
    assert links.name == "NVLinkBandwidth"
    assert [o.gp_index for o in links.objects] == [22, 13, 17]
    assert links.values[0][1] == links.values[1][0] == 50000
    # What hwloc holds is unchanged.
    assert document.distances("NVLinkBandwidth")[0].values[0][1] == 0


def test_transform_that_does_not_apply_is_an_error(document: hwloc.Topology) -> None:
    with pytest.raises(TopologyError, match="hwloc_distances_transform") as caught:
        document.distances("NUMALatency", [hwloc.DistancesTransform.MERGE_SWITCH_PORTS])
    assert caught.value.errno in {errno.EINVAL, errno.ENOENT}


def test_export_reads_back_the_same(document: hwloc.Topology) -> None:
    text = document.export_xml()
    assert text.startswith(b"<?xml")
    assert b"\0" not in text
    with hwloc.load(text) as again:
        assert again.export_xml() == text
        assert [(o.type, o.gp_index) for o in again.objects] == [
            (o.type, o.gp_index) for o in document.objects
        ]


def test_export_of_other_versions(document: hwloc.Topology) -> None:
    newest = hwloc.library().lib.TOPOALLOC_HWLOC_XML_VERSION
    assert document.export_xml(newest - 1) != document.export_xml(newest)
    with pytest.raises(TopologyError, match="export_xmlbuffer") as caught:
        document.export_xml(newest + 1)
    assert caught.value.errno == errno.ENOTSUP


def test_objects_outlive_the_topology() -> None:
    with hwloc.load(DOCUMENT) as topology:
        objects = topology.objects
    topology.close()
    gc.collect()
    assert objects[0].infos[0] == ("Backend", "Linux")
    assert topology.objects is objects
    for use in (
        topology.export_xml,
        topology.distances,
        lambda: topology.infos,
        lambda: topology.allowed_cpuset,
        lambda: topology.allowed_nodeset,
        lambda: topology.is_thissystem,
    ):
        with pytest.raises(StateError, match="topology: it is closed"):
            use()


@pytest.mark.parametrize("text", [b"", b"\0", b"<topology/>\0<a/>"])
def test_document_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=r"xml: \d+ bytes, want a document"):
        hwloc.load(text)


def test_document_that_hwloc_refuses() -> None:
    with pytest.raises(TopologyError, match="hwloc_topology_") as caught:
        hwloc.load(b"<no/>")
    assert caught.value.errno == errno.EINVAL


def test_unchecked_file_of_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HWLOC_XMLFILE", "/nonexistent.xml")
    with pytest.raises(TopologyError, match="HWLOC_XMLFILE: it is set"):
        hwloc.load()
    with hwloc.load(DOCUMENT) as topology:
        assert str(topology.root.cpuset) == "0-3"


def test_host_is_what_the_kernel_says() -> None:
    with hwloc.load() as topology:
        assert topology.is_thissystem
        online = Path("/sys/devices/system/cpu/online").read_text(encoding="ascii")
        assert topology.root.cpuset == hwloc.Bitmap.from_list(online)
        # The kernel keeps what a process is bound to within its cgroup.
        assert hwloc.Bitmap(os.sched_getaffinity(0)) <= topology.allowed_cpuset
        pus = [o.os_index for o in topology.objects if o.type == "PU"]
        assert sorted(i for i in pus if i is not None) == list(
            hwloc.Bitmap.from_list(online)
        )
        nodes = {o.os_index for o in topology.objects if o.type == "NUMANode"}
        folder = Path("/sys/devices/system/node")
        there = {int(p.name[4:]) for p in folder.glob("node[0-9]*")}
        assert nodes == (there or {0})
        found = {
            o.attributes.address
            for o in topology.objects
            if isinstance(o.attributes, hwloc.PciAttributes)
        } | {
            o.attributes.upstream.address
            for o in topology.objects
            if isinstance(o.attributes, hwloc.BridgeAttributes)
            and o.attributes.upstream is not None
        }
    devices = Path("/sys/bus/pci/devices")
    assert found == ({p.name for p in devices.iterdir()} if devices.exists() else set())


def test_discovered_xml_is_the_host() -> None:
    text = hwloc.discover_xml()
    with hwloc.load(text) as read, hwloc.load() as live:
        assert [(o.type, o.os_index, o.name) for o in read.objects] == [
            (o.type, o.os_index, o.name) for o in live.objects
        ]
        assert not read.is_thissystem
    allowed = hwloc.discover_xml(allowed_only=True)
    with hwloc.load(allowed) as read:
        assert read.root.cpuset == read.allowed_cpuset


def test_threads_share_the_library_and_a_topology() -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    with hwloc.load(DOCUMENT) as shared:

        def work() -> None:
            try:
                start.wait()
                for _ in range(10):
                    assert len(shared.distances()) == 2
                    assert len(shared.objects) == 26
                    shared.export_xml()
                    with hwloc.load(DOCUMENT) as own:
                        assert len(own.objects) == 26
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


class Counting:
    """hwloc's functions, each call counted by name."""

    def __init__(self, real: object) -> None:
        self.real = real
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> object:
        value = getattr(self.real, name)
        if not callable(value):
            return value

        def call(*arguments: object) -> object:
            self.calls[name] += 1
            return value(*arguments)

        return call


@pytest.mark.parametrize("close", [True, False])
def test_what_hwloc_gives_is_given_back(
    monkeypatch: pytest.MonkeyPatch, *, close: bool
) -> None:
    library = hwloc.library()
    counting = Counting(library.lib)
    monkeypatch.setattr(
        _library._State, "library", dataclasses.replace(library, lib=counting)
    )
    topology = hwloc.load(DOCUMENT)
    assert len(topology.distances()) == 2
    with pytest.raises(TopologyError, match="hwloc_distances_transform"):
        topology.distances(transforms=[hwloc.DistancesTransform.MERGE_SWITCH_PORTS] * 2)
    topology.export_xml()
    write_bitmap(hwloc.library(), hwloc.Bitmap([1]))
    with pytest.raises(TopologyError, match="hwloc_topology_"):
        hwloc.load(b"<no/>")
    if close:
        topology.close()
        topology.close()
    del topology
    gc.collect()
    calls = counting.calls
    assert calls["hwloc_topology_init"] == calls["hwloc_topology_destroy"] == 2
    assert calls["hwloc_distances_release"] == 4
    assert calls["topoalloc_hwloc_export_xml"] == calls["hwloc_free_xmlbuffer"] == 1
    assert calls["hwloc_bitmap_alloc"] == calls["hwloc_bitmap_free"] == 1
