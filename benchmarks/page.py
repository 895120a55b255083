# SPDX-License-Identifier: Apache-2.0
"""Fill the tables of docs/benchmarks.md.

``python -m benchmarks.page [RESULTS]`` takes what ``nox -s bench`` wrote
(build/bench/results.json), keeps it as benchmarks/results.json and writes its tables
between the markers of the page. A test holds the page to the kept results.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "benchmarks.md"
KEPT = HERE / "results.json"
WRITTEN = ROOT / "build" / "bench" / "results.json"

MEANS = ("steps", "heap_blocks")

Row = dict[str, Any]
Results = dict[str, Any]


class Goal(NamedTuple):
    """A row that is to be at most so long: nanoseconds, times its floor, or bytes."""

    what: str
    row: str
    at_most: float
    of: str = "median"
    elsewhere: str = ""


DRA_YES = (
    "21 to 74 us first fit without cores, 86 to 186 us with (Kubernetes DRA allocator)"
)
GOALS = (
    Goal(
        "allocate and release 2 GPU + 2 NIC + 16 cores, DGX H100, from Python",
        "test_allocate_release",
        1e3,
        elsewhere=DRA_YES,
    ),
    Goal(
        "the same from C++",
        "allocate_release/dgx_h100/fill_30/paired",
        300,
        elsewhere=DRA_YES,
    ),
    *(
        Goal(
            f"the same on {words}, random fill",
            f"allocate_release/{machine}/fill_{fill}/paired",
            at_most,
            of,
        )
        for machine, words in (("8_localities", "8 localities"), ("768_pus", "768 PUs"))
        for fill in (30, 50)
        for of, at_most in (("median", 2e3), ("p99", 20e3))
    ),
    Goal(
        '"no" to 8 GPU-NIC pairs with 7 free NICs, from C++',
        "check_no/8_pairs_of_7_nics",
        100,
        elsewhere="0.19 to 1.24 s (Kubernetes DRA allocator)",
    ),
    Goal("the same from Python", "test_check_no_8_pairs_of_7_nics", 300),
    Goal(
        '"no" to 32 cores of one NUMANode, one short, from C++',
        "check_no/32_cores_numa_of_1_less",
        100,
        elsewhere="doubles with each core; over 10 s at 13 to 22 cores (Kubernetes DRA "
        "allocator)",
    ),
    Goal("the same from Python", "test_check_no_32_cores_numa_of_31", 300),
    Goal(
        'whole Explanation of that "no", 2 localities: pairs',
        "explain_no/8_pairs_of_7_nics",
        20e3,
        elsewhere="none",
    ),
    Goal(
        "the same: cores",
        "explain_no/32_cores_numa_of_1_less",
        20e3,
        elsewhere="none",
    ),
    Goal(
        "8 localities: pairs",
        "explain_no/8_pairs_of_7_nics_on_8_localities",
        200e3,
        elsewhere="none",
    ),
    Goal(
        "8 localities: cores",
        "explain_no/12_cores_numa_of_1_less_on_8_localities",
        200e3,
        elsewhere="none",
    ),
    *(
        Goal(
            f"{gpus} GPUs of 16 over a switch, a fifth taken",
            f"links/{gpus}_gpus_of_16/switch/fill_20",
            at_most,
        )
        for gpus, at_most in ((4, 5e3), (8, 50e3))
    ),
    Goal(
        "4 GPUs of 16 by unequal links",
        "links/4_gpus_of_16/ring",
        5e3,
        elsewhere="2.8 to 4.1 s (go-gpuallocator, all partitions)",
    ),
    Goal("4 GPUs of 16, a fifth taken", "links/4_gpus_of_16/ring/fill_20", 5e3),
    Goal(
        "8 GPUs of 16 by unequal links",
        "links/8_gpus_of_16/ring",
        50e3,
        elsewhere="12 to 15 ms (go-gpuallocator, all partitions)",
    ),
    Goal("8 GPUs of 16, a fifth taken", "links/8_gpus_of_16/ring/fill_20", 50e3),
    *(
        Goal(
            f"{cores} of 384 cores, fragmented, fewest L3s",
            f"cores/{cores}_of_384/fill_70",
            3e3,
            elsewhere="27 to 151 ms, and more L3s than needed in 39 to 63 % of cases "
            "(kubelet CPU manager)",
        )
        for cores in (1, 64)
    ),
    *(
        Goal(
            f"check of a Gang of 1,000 pods, registered shape, {words} nodes",
            f"check_registered/{nodes}_nodes/one_state/yes",
            at_most,
            elsewhere=elsewhere,
        )
        for nodes, words, at_most, elsewhere in (
            (10_000, "10,000", 5e3, "6.5 to 8.2 ms at 10,240 nodes (Kueue)"),
            (100_000, "100,000", 10e3, "34 to 37 ms at 40,960 nodes (Kueue)"),
        )
    ),
    Goal(
        "the same of a new shape, 5,000 nodes in 100 states",
        "check_new/5000_nodes/100_states/yes",
        80e3,
        elsewhere="36 ms for a Gang of 4 pods (kube-scheduler)",
    ),
    Goal(
        "place and commit of 1,000 pods, 10,000 nodes in one state",
        "place_commit/10000_nodes/one_state/1000_pods",
        300e3,
    ),
    Goal(
        "in 100 states",
        "place_commit/10000_nodes/100_states/1000_pods",
        300e3,
    ),
    Goal(
        "all different",
        "place_commit/10000_nodes/all_different/1000_pods",
        2e6,
    ),
    Goal(
        "15,000 Gangs come to 640 nodes and go",
        "stream/15000_gangs_640_nodes",
        0.25e9,
        elsewhere="401 s with all that is around it (Kueue)",
    ),
    Goal(
        "fork of 100,000 nodes",
        "fork/100000_nodes",
        1e3,
        elsewhere="28 ms at 40,960 nodes (Kueue), 2.2 s (KAI)",
    ),
    Goal(
        "bytes a node of a fork in which all have changed",
        "bytes_a_node/fork_of_100000_nodes_all_changed",
        64,
        "bytes",
    ),
    Goal(
        "bytes of a Placement that a pod holds",
        "bytes_a_placement/10000_nodes",
        128,
        "bytes",
    ),
    *(
        Goal(
            f"a pod's claims on a node of 8 GPUs to `status.allocation`, {words}",
            f"test_allocation_of_a_pod[by_name-{choose}]",
            20e3,
            elsewhere=elsewhere,
        )
        for choose, words, elsewhere in (
            (
                "first_fit",
                "first fit",
                "21 to 25 us without CEL (Kubernetes DRA allocator)",
            ),
            ("optimal", "the best", "none"),
        )
    ),
    *(
        Goal(
            f"the same asked of 1,000 nodes, {words}",
            f"test_sweep_of_1000_nodes[{choose}]",
            2e6,
            elsewhere=elsewhere,
        )
        for choose, words, elsewhere in (
            ("first_fit", "first fit", "24 ms and more (Kubernetes DRA allocator)"),
            ("optimal", "the best", "none"),
        )
    ),
    Goal(
        "discover this host",
        "test_discover",
        1.2,
        "ratio",
        elsewhere="hwloc_topology_load is the floor",
    ),
    Goal(
        "read hwloc XML of 348 KB and build the Machine",
        "read_and_build/xml_of_348_kb",
        500e3,
        elsewhere="1.7 to 3.6 ms (libhwloc)",
    ),
)


def as_time(nanoseconds: float) -> str:
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.0f} ns"


def ratio_of(row: Row) -> float:
    return float(row["median_ns"] / row["floor_ns"])


def as_ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def measured(results: Results) -> str:
    """Say when and where it was measured."""
    of = results["circumstances"]
    kind = "virtual CPUs" if of["is_virtual"] else "CPUs"
    return (
        f"Measured on {of['date']} with {of['cpus']} {kind} of {of['cpu']}, "
        f"{of['system']}; load average {of['load_before']} before and "
        f"{of['load_after']} after. topoalloc {of['topoalloc']}, {of['compiler']}, "
        f"CPython {of['python']}, libhwloc {of['libhwloc']}."
    )


def goals_table(rows: list[Row]) -> str:
    by_name = {row["row"]: row for row in rows}
    lines = [
        "| what | row | goal | measured | times its floor | met | elsewhere |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for goal in GOALS:
        row = by_name[goal.row]
        ratio = ratio_of(row)
        if goal.of == "ratio":
            value, want, found = (
                ratio,
                f"{goal.at_most} x floor",
                f"{ratio:.2f} x floor",
            )
        elif goal.of == "bytes":
            value = row["bytes"]
            want, found = f"{goal.at_most:.0f} bytes", f"{value:.1f} bytes"
        else:
            value = row[f"{goal.of}_ns"]
            want = f"{as_time(goal.at_most)} {goal.of}"
            found = as_time(value)
        met = "yes" if value <= goal.at_most else "no"
        cells = (goal.what, f"`{goal.row}`", want, found, as_ratio(ratio), met)
        lines.append(f"| {' | '.join(cells)} | {goal.elsewhere} |")
    return "\n".join(lines)


def rows_table(rows: list[Row]) -> str:
    has_bytes = any("bytes" in row for row in rows)
    lines = [
        "| row | median | p99 | floor | ratio | steps | heap blocks |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    if has_bytes:
        lines = [
            line + end for line, end in zip(lines, (" bytes |", " --- |"), strict=True)
        ]
    for row in rows:
        if "error" in row:
            lines.append(f"| `{row['row']}` | {row['error']} | | | | | |")
            continue
        cells = (
            f"`{row['row']}`",
            as_time(row["median_ns"]),
            as_time(row["p99_ns"]) if "p99_ns" in row else "",
            as_time(row["floor_ns"]),
            as_ratio(ratio_of(row)),
            *(
                f"{row[key]:.1f}" if key in row else ""
                for key in ("steps", "heap_blocks", *(("bytes",) if has_bytes else ()))
            ),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def blocks(results: Results) -> dict[str, str]:
    """Return what is between each pair of markers: the text, by name."""
    rows = results["rows"]
    found = {"measured": measured(results), "goals": goals_table(rows)}
    for program in dict.fromkeys(row["program"] for row in rows):
        found[program] = rows_table([row for row in rows if row["program"] == program])
    return found


def fill(page: str, results: Results) -> str:
    """Return the page with the results between its markers.

    Raises
    ------
    ValueError
        The markers of the page are not those of the results.
    """
    new = blocks(results)
    pattern = re.compile(r"(<!-- (\w+): begin -->\n).*?(<!-- \2: end -->)", re.DOTALL)
    names = [match[2] for match in pattern.finditer(page)]
    if sorted(names) != sorted(new):
        raise ValueError(f"markers: {sorted(names)}, want {sorted(new)}")
    return pattern.sub(lambda match: f"{match[1]}{new[match[2]]}\n\n{match[3]}", page)


def differences(results: Results) -> list[str]:
    """Name the rows that only the results or only the page's own results have."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    # A file read besides is a row of that run alone.
    besides = re.compile(r"\.xml\]?$")
    now, then = (
        {
            (row["program"], row["row"])
            for row in each["rows"]
            if not besides.search(row["row"]) or "348_kb" in row["row"]
        }
        for each in (results, kept)
    )
    return [
        f"{program}: {row}: {'not ' if (program, row) in now else 'only '}in the page, "
        f"want python -m benchmarks.page"
        for program, row in sorted(now ^ then)
    ]


def main() -> int:
    """Fill the page and keep the results."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else WRITTEN
    text = source.read_text(encoding="utf-8")
    filled = fill(PAGE.read_text(encoding="utf-8"), json.loads(text))
    PAGE.write_text(filled, encoding="utf-8")
    KEPT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
