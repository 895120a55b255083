# SPDX-License-Identifier: Apache-2.0
"""The version of topoalloc, which the installed package alone knows."""

from __future__ import annotations

from functools import cache

__all__ = ["library_version"]


@cache
def library_version() -> str:
    """Return the version of the installed package, or of a tree without one."""
    # Reading the metadata costs more than importing topoalloc.
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version("topoalloc")
    except metadata.PackageNotFoundError:
        return "unknown"
