# SPDX-License-Identifier: Apache-2.0
"""Binding, judged by the kernel: sched_getaffinity, /proc/PID/status and numa_maps."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from topoalloc import hwloc
from topoalloc._errors import InvalidRequestError, TopologyError

# A process with a second thread, that waits for the end of its input.
SLEEPER = """
import sys, threading
threading.Thread(target=sys.stdin.read).start()
print("ready", flush=True)
"""


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def in_thread(work: Callable[[], None]) -> None:
    """Run where a binding ends with the thread."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def status(pid: int | str, field: str) -> hwloc.Bitmap:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(rf"^{field}:\s*(\S+)$", text, re.MULTILINE)
    assert match is not None
    return hwloc.Bitmap.from_list(match[1])


def tasks(pid: int) -> list[int]:
    return [int(p.name) for p in Path(f"/proc/{pid}/task").iterdir()]


def kernel_policy() -> str:
    """Return the memory policy that the kernel holds for the calling thread."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/numa_maps")
    # Mappings without a policy of their own show that of the thread.
    line = path.read_text(encoding="ascii").splitlines()[0]
    match = re.match(r"[0-9a-f]+ (default|local|[a-z() ]+:[0-9,-]+)", line)
    assert match is not None
    return match[1]


def kernel_refuses_policies() -> bool:
    """Tell whether the kernel or a sandbox (seccomp) refuses set_mempolicy."""
    number = {"x86_64": 238, "aarch64": 237}[os.uname().machine]
    # MPOL_DEFAULT without nodes changes nothing in a thread that has the default.
    return bool(ctypes.CDLL(None).syscall(number, 0, None, 0))


def own_pus() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def own_nodes() -> hwloc.Bitmap:
    return status("self", "Mems_allowed_list")


def test_process_is_bound_with_all_its_threads(child: int) -> None:
    last = own_pus()[-1]
    hwloc.bind_process(hwloc.Bitmap([last]), pid=child)
    assert len(tasks(child)) == 2
    for tid in tasks(child):
        assert os.sched_getaffinity(tid) == {last}
        assert status(tid, "Cpus_allowed_list") == hwloc.Bitmap([last])
        assert hwloc.get_cpubind(tid, thread=True) == hwloc.Bitmap([last])
    assert hwloc.get_cpubind(child) == hwloc.Bitmap([last])
    assert hwloc.get_last_cpu_location(child) <= hwloc.Bitmap(own_pus())
    everywhere = hwloc.Bitmap(own_pus())
    hwloc.bind_process(str(everywhere), pid=child)
    assert status(child, "Cpus_allowed_list") == everywhere


def test_one_thread_of_a_process_is_bound(child: int) -> None:
    first = own_pus()[0]
    (other,) = set(tasks(child)) - {child}
    before = os.sched_getaffinity(child)
    hwloc.bind_process(f"{first}", pid=other, thread=True)
    assert os.sched_getaffinity(other) == {first}
    assert os.sched_getaffinity(child) == before
    assert hwloc.get_cpubind(child) == hwloc.Bitmap(before)


def test_calling_thread_is_bound_alone() -> None:
    before = own_pus()
    last = before[-1]

    def work() -> None:
        hwloc.bind_process(f"{last}", thread=True)
        assert os.sched_getaffinity(0) == {last}
        assert hwloc.get_cpubind(thread=True) == hwloc.Bitmap([last])
        assert hwloc.get_last_cpu_location(thread=True) == hwloc.Bitmap([last])

    in_thread(work)
    assert own_pus() == before


def test_own_process_is_bound_and_children_inherit() -> None:
    last = own_pus()[-1]
    program = f"""
import os, subprocess, sys
from topoalloc import hwloc
hwloc.bind_process("{last}")
ask = ["grep", "s_allowed_list", "/proc/self/status"]
print(subprocess.check_output(ask, text=True).split())
"""
    out = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert (
        out
        == f"['Cpus_allowed_list:', '{last}', 'Mems_allowed_list:', '{own_nodes()}']\n"
    )


def test_memory_policies_are_the_kernels() -> None:
    nodes = own_nodes()
    if kernel_refuses_policies():
        with pytest.raises(TopologyError, match="hwloc_set_membind"):
            hwloc.bind_memory(nodes)
        return

    def work() -> None:
        policy = hwloc.MemoryPolicy
        assert kernel_policy() == "default"
        hwloc.bind_memory(nodes)
        assert kernel_policy() == f"bind:{nodes}"
        assert hwloc.get_membind() == (nodes, policy.BIND)
        hwloc.bind_memory(str(nodes), policy.INTERLEAVE)
        assert kernel_policy() == f"interleave:{nodes}"
        assert hwloc.get_membind() == (nodes, policy.INTERLEAVE)
        hwloc.bind_memory(nodes, strict=False)
        assert kernel_policy().startswith("prefer")
        hwloc.bind_memory(nodes, migrate=True)
        assert kernel_policy() == f"bind:{nodes}"
        hwloc.bind_memory(None, policy.FIRSTTOUCH)
        assert kernel_policy() in {"local", "default"}
        assert hwloc.get_membind().policy is policy.FIRSTTOUCH
        hwloc.bind_memory(None, policy.DEFAULT)
        assert kernel_policy() == "default"

    in_thread(work)
    assert kernel_policy() == "default"


def test_process_and_memory_are_bound_together() -> None:
    first = own_pus()[0]
    nodes = own_nodes()
    if kernel_refuses_policies():
        with pytest.raises(TopologyError, match="hwloc_set_membind"):
            in_thread(lambda: hwloc.bind_process(f"{first}", nodes, thread=True))
        return

    def work() -> None:
        hwloc.bind_process(f"{first}", nodes, thread=True)
        assert os.sched_getaffinity(0) == {first}
        assert kernel_policy() == f"bind:{nodes}"

    in_thread(work)


def test_pus_that_the_host_lacks_are_refused() -> None:
    before = own_pus()
    with pytest.raises(
        TopologyError, match="cpuset: this host has no 1000000"
    ) as caught:
        hwloc.bind_process(f"{before[0]},1000000")
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(
        TopologyError, match="nodeset: this host has no 1000-"
    ) as caught:
        hwloc.bind_memory("1000-")
    assert caught.value.errno == errno.EINVAL
    assert own_pus() == before


def test_part_that_the_kernel_keeps_away_is_an_error(
    child: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cgroup narrows a binding without an error from the kernel or hwloc."""
    first = own_pus()[0]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {first, 999})
    with pytest.raises(
        TopologyError, match=f"keeps thread .* on PUs {first},999"
    ) as caught:
        hwloc.bind_process(f"{first}", pid=child)
    assert caught.value.errno == errno.EXDEV


def test_process_that_is_not_there() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for call in (
        lambda: hwloc.bind_process("0", pid=process.pid),
        lambda: hwloc.get_cpubind(process.pid),
        lambda: hwloc.get_last_cpu_location(process.pid),
    ):
        with pytest.raises(
            TopologyError, match=f"pid: no process {process.pid}"
        ) as caught:
            call()
        assert caught.value.errno == errno.ESRCH


def test_arguments_that_cannot_be_right() -> None:
    with pytest.raises(InvalidRequestError, match="cpuset: it is empty"):
        hwloc.bind_process("")
    with pytest.raises(InvalidRequestError, match="nodeset: it is empty"):
        hwloc.bind_process("0", hwloc.Bitmap())
    with pytest.raises(
        InvalidRequestError, match="nodeset: given for pid 1, want pid 0"
    ):
        hwloc.bind_process("0", "0", 1)
    with pytest.raises(
        InvalidRequestError, match="nodeset: None, want NUMANodes for BIND"
    ):
        hwloc.bind_memory(None)
    with pytest.raises(InvalidRequestError, match="policy: MIXED"):
        hwloc.bind_memory("0", hwloc.MemoryPolicy.MIXED)


def test_another_machine_is_not_bound_to() -> None:
    """hwloc's calls do nothing, with success, where its topology is not this host."""
    program = """
from topoalloc import hwloc
try:
    hwloc.bind_process("0")
except OSError as error:
    print(error.errno, error)
"""
    out = subprocess.check_output(
        [sys.executable, "-c", program],
        text=True,
        env={**os.environ, "HWLOC_SYNTHETIC": "core:2 pu:1"},
    )
    assert out.startswith(f"{errno.ENOTSUP} ")
    assert "want HWLOC_XMLFILE, HWLOC_SYNTHETIC and HWLOC_FSROOT unset" in out
