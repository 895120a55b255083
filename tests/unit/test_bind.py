# SPDX-License-Identifier: Apache-2.0
"""Placement.bind(), judged by the kernel: affinity, /proc and the memory policy."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import topoalloc as ta
from topoalloc import hwloc

MIB = 2**20


def kernel_refuses_policies() -> bool:
    """Tell whether the kernel or a sandbox (seccomp) refuses set_mempolicy."""
    number = {"x86_64": 238, "aarch64": 237}[os.uname().machine]
    # MPOL_DEFAULT without nodes changes nothing in a thread that has the default.
    return bool(ctypes.CDLL(None).syscall(number, 0, None, 0))


def assert_refused(request: str) -> None:
    lines = run(
        f"p = a.allocate({request}, owner='x')\n"
        "try:\n    p.bind()\nexcept ta.TopologyError as e:\n    print(e.errno)\n"
    )
    assert len(lines) == 1


def run(program: str) -> list[str]:
    """Run Python in a process of its own, which a binding ends with; return its lines.

    `m` is this host and `a` an Allocator of it.
    """
    head = (
        "import os, re, sys, threading\n"
        "from pathlib import Path\n"
        "import topoalloc as ta\n"
        "m = ta.Machine.discover()\n"
        "a = ta.Allocator(m)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def field(pid: int | str, name: str) -> set[int]:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(rf"^{name}:\s*(\S+)$", text, re.MULTILINE)
    assert match is not None
    return set(hwloc.Bitmap.from_list(match[1]))


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def allocator() -> ta.Allocator:
    return ta.Allocator(ta.Machine.discover())


def test_process_runs_on_its_placement() -> None:
    lines = run(
        "p = a.allocate(ta.Request(cores=1), owner='x')\n"
        "p.bind()\n"
        "print(sorted(p.pus))\n"
        "print(sorted(os.sched_getaffinity(0)))\n"
        "text = Path('/proc/self/status').read_text()\n"
        "print(re.search(r'Cpus_allowed_list:\\s*(\\S+)', text)[1] == p.cpuset)\n"
        "x = [os.sched_getaffinity(int(t)) for t in os.listdir('/proc/self/task')]\n"
        "print(all(each == set(p.pus) for each in x))\n"
        "got = []\n"
        "t = threading.Thread(target=lambda: got.append(os.sched_getaffinity(0)))\n"
        "t.start(); t.join()\n"
        "print(got == [set(p.pus)])\n"
        "import subprocess\n"
        "print(subprocess.run(['grep', 'Cpus_allowed_list', '/proc/self/status'],\n"
        "      capture_output=True, text=True).stdout.split()[1] == p.cpuset)\n"
    )
    assert lines[0] == lines[1]
    assert lines[2:] == ["True"] * 4


def test_each_owner_has_pus_of_its_own() -> None:
    lines = run(
        "n = len(m.cores)\n"
        "for i in range(n):\n"
        "    a.allocate(ta.Request(cores=1), owner=f'{i}').bind()\n"
        "    print(*sorted(os.sched_getaffinity(0)))\n"
    )
    found = [tuple(map(int, line.split())) for line in lines]
    machine = ta.Machine.discover()
    assert sorted(pu for pus in found for pu in pus) == sorted(
        pu.os_index for pu in machine.pus
    )


def test_memory_comes_from_its_numa_nodes() -> None:
    """The policy that the kernel shows, and where pages that are touched then lie."""
    if kernel_refuses_policies():
        assert_refused("ta.Request(cores=1, memory='64Mi')")
        return
    lines = run(
        "p = a.allocate(ta.Request(cores=1, memory='64Mi'), owner='x')\n"
        "p.bind()\n"
        "import mmap\n"
        "area = mmap.mmap(-1, 32 * 2**20, mmap.MAP_PRIVATE)\n"
        "area.write(b'x' * len(area))\n"
        "print(*sorted(p.memory))\n"
        "for line in Path('/proc/self/numa_maps').read_text().splitlines():\n"
        "    print(line)\n"
    )
    nodes = set(map(int, lines[0].split()))
    policies = {line.split()[1] for line in lines[1:]}
    bound = [policy for policy in policies if policy.startswith("bind")]
    assert bound, policies
    assert {n for p in bound for n in hwloc.Bitmap.from_list(p.split(":")[1])} == nodes
    # The area of 32 MiB: its pages by NUMANode.
    area = next(
        line
        for line in lines[1:]
        if re.search(r" anon=(\d+)", line)
        and 4096 * int(re.findall(r" anon=(\d+)", line)[0]) >= 32 * MIB
    )
    assert {int(n) for n in re.findall(r" N(\d+)=", area)} <= nodes


def test_memory_alone_leaves_the_pus() -> None:
    if kernel_refuses_policies():
        assert_refused("ta.Request(memory='64Mi')")
        return
    lines = run(
        "before = os.sched_getaffinity(0)\n"
        "p = a.allocate(ta.Request(memory='64Mi'), owner='x')\n"
        "p.bind()\n"
        "print(os.sched_getaffinity(0) == before)\n"
        "from topoalloc import hwloc\n"
        "print(hwloc.get_membind().policy.name)\n"
        "print(set(hwloc.get_membind().nodeset) == set(p.memory))\n"
    )
    assert lines == ["True", "BIND", "True"]


def test_child_is_bound_by_pid(child: int) -> None:
    placement = allocator().allocate(ta.Request(cores=1, memory="64Mi"), owner="x")
    own = os.sched_getaffinity(0)
    policy = hwloc.get_membind()
    placement.bind(pid=child)
    assert os.sched_getaffinity(child) == set(placement.pus)
    assert field(child, "Cpus_allowed_list") == set(placement.pus)
    # Nothing of the caller's changes; Linux lets nobody bind another's memory.
    assert os.sched_getaffinity(0) == own
    assert hwloc.get_membind() == policy


def test_process_that_is_not_there() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    placement = allocator().allocate(ta.Request(cores=1), owner="x")
    with pytest.raises(ta.TopologyError, match=f"no process {process.pid}"):
        placement.bind(pid=process.pid)


def test_placement_of_a_part_of_this_host() -> None:
    """A Machine of the cgroup, and one stored without devices: both are this host."""
    lines = run(
        "spec = m.to_dict()\n"
        "spec.pop('devices', None); spec.pop('bridges', None)\n"
        "spec.pop('links', None)\n"
        "for other in (ta.Machine.discover(allowed_only=True),\n"
        "              ta.Machine.from_dict(spec)):\n"
        "    p = ta.Allocator(other).allocate(ta.Request(pus=1), owner='x')\n"
        "    p.bind()\n"
        "    print(os.sched_getaffinity(0) == set(p.pus))\n"
    )
    assert lines == ["True", "True"]


def other_nodes(document: dict[str, Any]) -> None:
    document["numa_nodes"][0]["os_index"] += 1
    document.pop("distances", None)


def more_pus(document: dict[str, Any]) -> None:
    document["cores"][0]["cpuset"] += ",1000"
    document.pop("pus", None)
    for field_name in ("packages", "dies", "l3s", "numa_nodes", "groups"):
        for entry in document.get(field_name, []):
            held = hwloc.Bitmap.from_list(document["cores"][0]["cpuset"][:-5])
            if held <= hwloc.Bitmap.from_list(entry["cpuset"]):
                entry["cpuset"] += ",1000"


def other_cores(document: dict[str, Any]) -> None:
    for core in document["cores"]:
        core["os_index"] += 100


@pytest.mark.parametrize(
    ("change", "kind"),
    [(other_nodes, "NUMANode"), (more_pus, "PU 1000"), (other_cores, "Core 1")],
)
def test_machine_that_is_not_this_host_is_refused(change: Any, kind: str) -> None:
    document = ta.Machine.discover().to_dict()
    for name in ("devices", "bridges", "links"):
        document.pop(name, None)
    document.pop("allowed_pus", None)
    change(document)
    other = ta.Machine.from_dict(document)
    before = os.sched_getaffinity(0), hwloc.get_membind()
    for request in (ta.Request(pus=1), ta.Request(memory="1Mi")):
        placement = ta.Allocator(other).allocate(request, owner="x")
        with pytest.raises(ta.StateError, match=f"has {kind}.* want a Machine of this"):
            placement.bind()
    assert (os.sched_getaffinity(0), hwloc.get_membind()) == before


@pytest.mark.parametrize("preset", ["dgx-h100", "gb200-tray", "workstation-sys"])
def test_preset_is_not_this_host(preset: str) -> None:
    machine = ta.Machine.preset(preset)
    placement = ta.Allocator(machine).allocate(ta.Request(cores=1), owner="x")
    with pytest.raises(ta.StateError, match="want a Machine of this host"):
        placement.bind()
