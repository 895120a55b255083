# SPDX-License-Identifier: Apache-2.0
"""Write the C source of `topoalloc.hwloc._hwloc` from `cdef.h`.

The build runs this with the Python of the build environment::

    python build_hwloc.py OUTPUT.c
"""

from __future__ import annotations

import sys
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
MODULE = "topoalloc.hwloc._hwloc"


def write_source(output: str) -> None:
    """Write the C source of the extension.

    Parameters
    ----------
    output : str
        Path of the file to write; left alone where it is already right.
    """
    ffi = cffi.FFI()
    ffi.cdef((HERE / "cdef.h").read_text(encoding="ascii"))
    ffi.set_source(MODULE, '#include "shim.h"')
    ffi.emit_c_code(output)


if __name__ == "__main__":
    write_source(sys.argv[1])
