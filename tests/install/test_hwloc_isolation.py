# SPDX-License-Identifier: Apache-2.0
"""Right answers beside another hwloc in the process, whichever comes first.

pyhwloc (Python 3.12 or later) brings hwloc 3 and loads it with RTLD_GLOBAL. Run with
`-m pyhwloc` where it is installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.pyhwloc

# An NVLink pair and an I/O tree: read by the wrong hwloc, the numbers of object types
# are others, and NUMANodes and devices vanish.
PROGRAM = '''
import sys

DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x1" complete_cpuset="0x1"
      allowed_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1" allowed_nodeset="0x1"
      gp_index="1">
    <object type="NUMANode" os_index="0" cpuset="0x1" complete_cpuset="0x1"
        nodeset="0x1" complete_nodeset="0x1" gp_index="2" local_memory="4096"/>
    <object type="Core" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1"
        complete_nodeset="0x1" gp_index="3">
      <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1" nodeset="0x1"
          complete_nodeset="0x1" gp_index="4"/>
    </object>
    <object type="Bridge" gp_index="5" bridge_type="0-1" depth="0"
        bridge_pci="0000:[00-01]">
      <object type="PCIDev" gp_index="6" pci_busid="0000:01:00.0"
          pci_type="0302 [10de:20b0] [10de:134f] a1" pci_link_speed="31.5">
        <object type="OSDev" gp_index="7" name="nvml0" subtype="NVML"
            osdev_type="1"/>
      </object>
    </object>
  </object>
</topology>
"""


def ours():
    from topoalloc import hwloc

    with hwloc.load(DOCUMENT) as topology:
        found = [o.type for o in topology.objects]
        assert sorted(found) == [
            "Bridge", "Core", "Machine", "NUMANode", "OSDev", "PCIDev", "PU"
        ], found
        gpu = topology.objects[found.index("PCIDev")].attributes
        assert gpu.address == "0000:01:00.0" and gpu.linkspeed == 31.5, gpu
        device = topology.objects[found.index("OSDev")].attributes
        assert device.types == {"gpu"}, device
        assert b"nvml0" in topology.export_xml()
    with hwloc.load(hwloc.discover_xml()) as topology:
        pus = [o.os_index for o in topology.objects if o.type == "PU"]
        online = open("/sys/devices/system/cpu/online").read()
        assert sorted(pus) == list(hwloc.Bitmap.from_list(online)), pus
        nodes = [o for o in topology.objects if o.type == "NUMANode"]
        assert nodes, "no NUMANode"
    before = hwloc.get_cpubind(thread=True)
    hwloc.bind_process(before, thread=True)
    assert hwloc.get_cpubind(thread=True) == before
    host()
    print("ours", hwloc.library().api_version >> 16, hwloc.library().path)


def host():
    """The face: this host as a Machine, and a Placement that the kernel knows of."""
    import os

    import topoalloc as ta
    from topoalloc import hwloc

    machine = ta.Machine.discover()
    machine.check_consistency()
    online = open("/sys/devices/system/cpu/online").read()
    pus = sorted(pu.os_index for pu in machine.pus)
    assert pus == list(hwloc.Bitmap.from_list(online)), pus
    nodes = open("/sys/devices/system/node/online").read()
    found = sorted(node.os_index for node in machine.numa_nodes)
    assert found == list(hwloc.Bitmap.from_list(nodes)), found
    functions = os.listdir("/sys/bus/pci/devices") if os.path.isdir(
        "/sys/bus/pci/devices"
    ) else []
    network = [
        name
        for name in functions
        if open(f"/sys/bus/pci/devices/{name}/class").read().startswith("0x02")
    ]
    nics = [d.pci_address for d in machine.devices if d.device_class == "nic"]
    assert set(network) <= set(nics), (network, nics)
    before = os.sched_getaffinity(0)
    placement = ta.Allocator(machine).allocate(ta.Request(pus=1), owner="x")
    placement.bind()
    assert os.sched_getaffinity(0) == set(placement.pus)
    os.sched_setaffinity(0, before)


def theirs():
    from pyhwloc.topology import Topology, TypeFilter

    with Topology.from_this_system().set_io_types_filter(
        TypeFilter.KEEP_ALL
    ) as topology:
        online = open("/sys/devices/system/cpu/online").read()
        last = int(online.strip().replace("-", ",").split(",")[-1])
        assert topology.n_cpus() == last + 1, topology.n_cpus()
    print("theirs")


for who in sys.argv[1].split():
    {"ours": ours, "theirs": theirs}[who]()
'''

# The folder of the package; an environment may be named after it too.
PYHWLOC = "/site-packages/pyhwloc/"
ORDERS = ["ours theirs", "theirs ours", "ours theirs ours", "theirs ours theirs"]


def run(order: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, order],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("order", ORDERS)
def test_answers_are_right_in_any_order(order: str) -> None:
    done = run(order)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == order.split()
    assert PYHWLOC not in done.stdout


@pytest.mark.parametrize("order", ORDERS)
def test_no_symbol_crosses(order: str) -> None:
    """The loader's own record: our functions are ours, and theirs are theirs."""
    done = run(order, LD_DEBUG="bindings")
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = {
        line.split(" ", 2)[2]
        for line in done.stdout.splitlines()
        if line.startswith("ours")
    }
    pattern = re.compile(
        r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: .* `(hwloc_\w+)'"
    )
    bound = [match.groups() for match in pattern.finditer(done.stderr)]
    ours = [b for b in bound if b[0] == path or "/topoalloc/" in b[0]]
    theirs = [b for b in bound if PYHWLOC in b[0]]
    # At least what cdef.h declares, and what libpyhwloc's shims call.
    assert len(ours) > 30
    assert len(theirs) > 10
    assert {to for _, to, _ in ours} == {path}
    assert all(PYHWLOC in to for _, to, _ in theirs)


def test_without_deepbind_the_wrong_hwloc_is_refused() -> None:
    done = run("theirs ours", TOPOALLOC_HWLOC_DEEPBIND="0")
    assert done.returncode != 0
    assert re.search(
        rf"TopologyError: .*{PYHWLOC}.* has API 3\.0, want 2\.x", done.stderr
    )
