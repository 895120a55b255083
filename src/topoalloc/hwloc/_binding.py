# SPDX-License-Identifier: Apache-2.0
"""Binding processes and threads, and their memory, and asking where they run.

hwloc answers "done" where the kernel did only a part (PUs that the cgroup or hot-plug
took away are dropped without a word), so every binding is read back from the kernel.
"""

from __future__ import annotations

import enum
import errno
import os
import threading
from pathlib import Path
from typing import Final, NamedTuple

from topoalloc._constraints import check_pid
from topoalloc._errors import InvalidRequestError, TopologyError
from topoalloc._quantity import shown

from ._bitmap import Bitmap
from ._library import CData, Library, check, library
from ._topology import Object, Topology, make_handle, read_bitmap, write_bitmap

__all__ = [
    "MemoryBinding",
    "MemoryPolicy",
    "bind_memory",
    "bind_process",
    "get_cpubind",
    "get_last_cpu_location",
    "get_membind",
    "host_objects",
]


class MemoryPolicy(enum.Enum):
    """Where a thread's new pages go; the value is the name of hwloc's constant."""

    DEFAULT = "HWLOC_MEMBIND_DEFAULT"
    FIRSTTOUCH = "HWLOC_MEMBIND_FIRSTTOUCH"
    BIND = "HWLOC_MEMBIND_BIND"
    INTERLEAVE = "HWLOC_MEMBIND_INTERLEAVE"
    #: Read only: several of them, or one that this binding does not know.
    MIXED = "HWLOC_MEMBIND_MIXED"


class MemoryBinding(NamedTuple):
    """What `get_membind` found: NUMANodes by os_index, and the policy."""

    nodeset: Bitmap
    policy: MemoryPolicy


class _Live:
    """The host without devices: hwloc binds relative to a topology. Loaded once."""

    lock: Final = threading.Lock()
    handle: CData = None
    objects: tuple[Object, ...] | None = None


def _live(lib: Library) -> CData:
    if _Live.handle is None:
        with _Live.lock:
            if _Live.handle is None:
                _Live.handle = _load_live(lib)
    return _Live.handle


def _load_live(lib: Library) -> CData:
    # The cgroup's limits change while the process runs: the whole host is kept.
    flags = (
        lib.lib.HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED
        | lib.lib.HWLOC_TOPOLOGY_FLAG_NO_DISTANCES
        | lib.lib.HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS
        | lib.lib.HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS
    )
    handle = make_handle(lib, flags, xml=None, io=False)
    if not lib.lib.hwloc_topology_is_thissystem(handle):
        # hwloc's binding calls then do nothing and return success.
        raise TopologyError(
            errno.ENOTSUP,
            "hwloc: its environment variables show it another machine than this one, "
            "want HWLOC_XMLFILE, HWLOC_SYNTHETIC and HWLOC_FSROOT unset",
        )
    return handle


def host_objects() -> tuple[Object, ...]:
    """Return the host that hwloc binds relative to: without devices, read once.

    Raises
    ------
    TopologyError
        There is no usable libhwloc, or its environment shows it another machine.
    """
    if _Live.objects is None:
        lib = library()
        _Live.objects = Topology(_live(lib), lib).objects
    return _Live.objects


def _as_bitmap(name: str, value: Bitmap | str) -> Bitmap:
    bitmap = Bitmap.from_list(value) if isinstance(value, str) else value
    if not isinstance(bitmap, Bitmap):
        msg = f"{name}: {type(value).__name__}, want a Bitmap or a list such as 0-3"
        raise InvalidRequestError(msg)
    if not bitmap:
        msg = f"{name}: it is empty, want at least one index"
        raise InvalidRequestError(msg)
    return bitmap


def bind_process(
    cpuset: Bitmap | str,
    nodeset: Bitmap | str | None = None,
    pid: int = 0,
    *,
    thread: bool = False,
) -> None:
    """Bind a process or a thread to PUs and, if given, its memory to NUMANodes.

    Memory is bound with `bind_memory` (strictly, for the calling thread and what it
    starts), which Linux offers for oneself only; CPUs come first. After an error the
    part before it stays done.

    Parameters
    ----------
    cpuset : Bitmap or str
        PUs by os_index; a str is in list form.
    nodeset : Bitmap or str, optional
        NUMANodes by os_index.
    pid : int
        The process; 0 is the caller's. With `thread`, a thread id.
    thread : bool
        Bind this one thread (0: the calling one) instead of all threads of a process.

    Raises
    ------
    InvalidRequestError
        A set is empty, or `nodeset` is given for another process.
    TopologyError
        There is no such process (ESRCH) or PU (EINVAL), the kernel refused (EPERM), or
        it kept a part of the PUs away (EXDEV): the cgroup does not allow them, or they
        are offline.
    """
    cpus = _as_bitmap("cpuset", cpuset)
    nodes = None if nodeset is None else _as_bitmap("nodeset", nodeset)
    check_pid(pid)
    if nodes is not None and pid not in _own_ids(thread=thread):
        msg = f"nodeset: given for pid {pid}, want pid 0: Linux binds one's own memory"
        raise InvalidRequestError(msg)
    lib = library()
    _require_on_host(lib, "cpuset", cpus)
    _require_process(pid)
    handle = write_bitmap(lib, cpus)
    flags = _cpu_flags(lib, thread=thread)
    if pid == 0:
        result = lib.lib.hwloc_set_cpubind(_live(lib), handle, flags)
        check(result, lib, "hwloc_set_cpubind")
    else:
        result = lib.lib.hwloc_set_proc_cpubind(_live(lib), pid, handle, flags)
        check(result, lib, "hwloc_set_proc_cpubind")
    threads = Path("/proc", str(pid or "self"), "task")
    for tid in [pid] if thread else [int(entry.name) for entry in threads.iterdir()]:
        try:
            kept = Bitmap(os.sched_getaffinity(tid))
        except ProcessLookupError:
            # A thread may end at any time; one that is there was bound.
            continue
        if kept != cpus:
            raise TopologyError(
                errno.EXDEV,
                f"hwloc_set_cpubind: the kernel keeps thread {tid} on PUs "
                f"{kept or 'none'}, want {cpus}",
            )
    if nodes is not None:
        bind_memory(nodes)


def _own_ids(*, thread: bool) -> tuple[int, ...]:
    return (0, threading.get_native_id() if thread else os.getpid())


def _require_process(pid: int) -> None:
    check_pid(pid)
    # hwloc says EINVAL where there is no such process.
    try:
        os.sched_getaffinity(pid)
    except ProcessLookupError as error:
        raise TopologyError(errno.ESRCH, f"pid: no process {pid}") from error


def _require_on_host(lib: Library, name: str, asked: Bitmap) -> None:
    # hwloc says EINVAL, and not which.
    root = lib.lib.hwloc_get_obj_by_depth(_live(lib), 0, 0)
    there = read_bitmap(lib, getattr(root, f"complete_{name}"))
    if not asked <= there:
        message = f"{name}: this host has no {asked - there}, want some of {there}"
        raise TopologyError(errno.EINVAL, message)


def _cpu_flags(lib: Library, *, thread: bool) -> int:
    name = "HWLOC_CPUBIND_THREAD" if thread else "HWLOC_CPUBIND_PROCESS"
    return int(getattr(lib.lib, name))


def _require_policy(policy: object) -> None:
    if not isinstance(policy, MemoryPolicy) or policy is MemoryPolicy.MIXED:
        found = policy.name if isinstance(policy, MemoryPolicy) else shown(policy)
        msg = f"policy: {found}, want BIND, INTERLEAVE, FIRSTTOUCH or DEFAULT"
        raise InvalidRequestError(msg)


def bind_memory(
    nodeset: Bitmap | str | None,
    policy: MemoryPolicy = MemoryPolicy.BIND,
    *,
    strict: bool = True,
    migrate: bool = False,
) -> None:
    """Choose the NUMANodes for memory that the calling thread touches from now on.

    Threads and processes that it starts inherit the choice.

    Parameters
    ----------
    nodeset : Bitmap or str, optional
        NUMANodes by os_index; a str is in list form. None only with DEFAULT and
        FIRSTTOUCH, which go by where the thread runs.
    policy : MemoryPolicy
        BIND, INTERLEAVE, FIRSTTOUCH or DEFAULT.
    strict : bool
        With BIND: fail rather than use other NUMANodes when these are full; otherwise
        they are only preferred.
    migrate : bool
        Move what is already there.

    Raises
    ------
    InvalidRequestError
        The set is empty or missing, or the policy is MIXED.
    TopologyError
        The kernel refused, cannot do it, or kept some NUMANodes away (EXDEV).
    """
    _require_policy(policy)
    lib = library()
    by_place = policy in {MemoryPolicy.DEFAULT, MemoryPolicy.FIRSTTOUCH}
    if nodeset is None and not by_place:
        msg = f"nodeset: None, want NUMANodes for {policy.name}"
        raise InvalidRequestError(msg)
    live = _live(lib)
    if nodeset is None:
        root = lib.lib.hwloc_get_obj_by_depth(live, 0, 0)
        nodes = read_bitmap(lib, root.complete_nodeset)
    else:
        nodes = _as_bitmap("nodeset", nodeset)
        _require_on_host(lib, "nodeset", nodes)
    flags = lib.lib.HWLOC_MEMBIND_BYNODESET | lib.lib.HWLOC_MEMBIND_THREAD
    if strict and policy is MemoryPolicy.BIND:
        flags |= lib.lib.HWLOC_MEMBIND_STRICT
    if migrate:
        flags |= lib.lib.HWLOC_MEMBIND_MIGRATE
    value = getattr(lib.lib, policy.value)
    result = lib.lib.hwloc_set_membind(live, write_bitmap(lib, nodes), value, flags)
    check(result, lib, "hwloc_set_membind")
    if strict and not by_place:
        kept = get_membind().nodeset
        if kept != nodes:
            raise TopologyError(
                errno.EXDEV,
                f"hwloc_set_membind: the kernel keeps NUMANodes {kept or 'none'}, "
                f"want {nodes}",
            )


def get_cpubind(pid: int = 0, *, thread: bool = False) -> Bitmap:
    """Return the PUs that a process or thread is bound to.

    Parameters
    ----------
    pid : int
        The process; 0 is the caller's. With `thread`, a thread id.
    thread : bool
        Ask for this one thread; otherwise for the union over the process's threads.

    Returns
    -------
    Bitmap
        PUs by os_index.

    Raises
    ------
    TopologyError
        There is no such process, or no usable libhwloc.
    """
    return _ask_cpus("cpubind", pid, thread=thread)


def get_last_cpu_location(pid: int = 0, *, thread: bool = False) -> Bitmap:
    """Return the PUs that a process's threads, or one thread, ran on last.

    The answer may be old when it arrives: a thread that is not bound moves.

    Parameters
    ----------
    pid : int
        The process; 0 is the caller's. With `thread`, a thread id.
    thread : bool
        Ask for this one thread.

    Returns
    -------
    Bitmap
        PUs by os_index.

    Raises
    ------
    TopologyError
        There is no such process, or no usable libhwloc.
    """
    return _ask_cpus("last_cpu_location", pid, thread=thread)


def _ask_cpus(what: str, pid: int, *, thread: bool) -> Bitmap:
    lib = library()
    _require_process(pid)
    out = write_bitmap(lib, Bitmap())
    flags = _cpu_flags(lib, thread=thread)
    if pid == 0:
        call = f"hwloc_get_{what}"
        result = getattr(lib.lib, call)(_live(lib), out, flags)
    else:
        call = f"hwloc_get_proc_{what}"
        result = getattr(lib.lib, call)(_live(lib), pid, out, flags)
    check(result, lib, call)
    return read_bitmap(lib, out)


def get_membind() -> MemoryBinding:
    """Return the memory policy of the calling thread and its NUMANodes.

    Returns
    -------
    MemoryBinding
        For DEFAULT and FIRSTTOUCH the NUMANodes are all of the host.

    Raises
    ------
    TopologyError
        The kernel cannot say, or there is no usable libhwloc.
    """
    lib = library()
    out = write_bitmap(lib, Bitmap())
    policy = lib.ffi.new("hwloc_membind_policy_t *")
    flags = lib.lib.HWLOC_MEMBIND_BYNODESET | lib.lib.HWLOC_MEMBIND_THREAD
    result = lib.lib.hwloc_get_membind(_live(lib), out, policy, flags)
    check(result, lib, "hwloc_get_membind")
    words = {getattr(lib.lib, word.value): word for word in MemoryPolicy}
    return MemoryBinding(
        read_bitmap(lib, out), words.get(policy[0], MemoryPolicy.MIXED)
    )
