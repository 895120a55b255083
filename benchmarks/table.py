# SPDX-License-Identifier: Apache-2.0
"""Run every benchmark, print one table and write what was measured.

::

    python -m benchmarks.table PROGRAMS OUTPUT [file.xml ...]

PROGRAMS is the folder of the `bench_*` programs; the files are hwloc XML, read besides.
OUTPUT gets results.json, which `page.py` shows in docs/benchmarks.md. Fails where a
benchmark does: those of C++ refuse to time what they cannot verify.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.page import differences, measured, rows_table

HERE = Path(__file__).resolve().parent
# What google-benchmark adds to a name.
SUFFIX = re.compile(r"(/iterations:\d+|/manual_time)+$")
KEPT = ("p99_ns", "steps", "heap_blocks", "answered", "bytes")

Row = dict[str, Any]


def run_program(program: Path, output: Path, files: list[str]) -> list[Row]:
    """Run one program of C++; return its rows."""
    report = output / f"{program.name}.json"
    command = [str(program), f"--benchmark_out={report}"]
    command += files if program.name == "bench_read" else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    runs = json.loads(report.read_text(encoding="utf-8"))["benchmarks"]
    return [row_of(program.name, run) for run in runs]


def row_of(program: str, run: dict[str, Any]) -> Row:
    row: Row = {"program": program, "row": SUFFIX.sub("", run["name"])}
    if run.get("error_occurred"):
        return row | {"error": run["error_message"]}
    row |= {"median_ns": run["median_ns"], "floor_ns": run["floor_ns"]}
    return row | {name: run[name] for name in KEPT if name in run}


def run_python(output: Path, files: list[str]) -> list[Row]:
    """Run the calls from Python; return their rows."""
    report = output / "python.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run(
        [*command, "--benchmark-only", f"--benchmark-json={report}", str(HERE)],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=HERE.parent,
        env=os.environ | {"TOPOALLOC_BENCH_XML": ":".join(files)},
    )
    runs = json.loads(report.read_text(encoding="utf-8"))["benchmarks"]
    return [row_of_call(run) for run in runs]


def row_of_call(run: dict[str, Any]) -> Row:
    info = run["extra_info"]
    row: Row = {
        "program": Path(run["fullname"].partition("::")[0]).stem,
        "row": run["name"],
        "median_ns": run["stats"]["median"] * 1e9 / info["calls"],
        "floor_ns": info["floor_ns"],
    }
    return row | {name: info[name] for name in KEPT if name in info}


def rounded(row: Row) -> Row:
    """Keep four digits of each number: there are no more in it."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in row.items()
    }


def cpu_model() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def compiler_of(programs: Path) -> str:
    """Return the first line of what the compiler of the programs says of itself."""
    cache = (programs.parents[1] / "CMakeCache.txt").read_text(encoding="utf-8")
    found = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", cache, re.MULTILINE)
    command = [found[1] if found else "c++", "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    return said.stdout.splitlines()[0]


def libhwloc_version() -> str:
    from topoalloc.hwloc import library

    version = library().api_version
    return f"{version >> 16}.{version >> 8 & 255}"


def circumstances(programs: Path) -> dict[str, Any]:
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "is_virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(encoding="utf-8"),
        "load_before": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "compiler": compiler_of(programs),
        "libhwloc": libhwloc_version(),
        "topoalloc": metadata.version("topoalloc"),
    }


def main() -> int:
    """Run all, print the table, keep the results."""
    # Else the system's would be taken, which may be too old to read every file.
    for path in sys.path:
        library = Path(path, "cmeel.prefix", "lib", "libhwloc.so.15")
        if library.exists():
            os.environ.setdefault("TOPOALLOC_HWLOC_LIBRARY", str(library))
    programs, output = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    output.mkdir(parents=True, exist_ok=True)
    found = circumstances(programs)
    document = output / "348_kb.xml"
    subprocess.run([programs / "bench_read", f"--write_xml={document}"], check=True)
    files = [str(Path(name).resolve()) for name in sys.argv[3:]]
    rows: list[Row] = []
    for program in sorted(programs.glob("bench_*")):
        if program.is_file() and os.access(program, os.X_OK):
            rows += run_program(program, output, files)
    rows += run_python(output, [str(document), *files])
    found["load_after"] = round(os.getloadavg()[0], 1)
    results: dict[str, Any] = {
        "circumstances": found,
        "rows": [rounded(row) for row in rows],
    }
    written = json.dumps(results, indent=1) + "\n"
    (output / "results.json").write_text(written, encoding="utf-8")

    sys.stdout.write(f"{measured(results)}\n\n{rows_table(results['rows'])}\n")
    wrong = [f"{row['row']}: {row['error']}" for row in rows if "error" in row]
    wrong += differences(results)
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
