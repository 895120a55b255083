# SPDX-License-Identifier: Apache-2.0
"""Every program in examples/ runs, and prints what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
PRINTS = {
    "demo.py": [
        "1. This machine",
        "Bound; the kernel says:  PU ",
        "OPTIMAL in ",
        "pair     gpu0 - nic0: bridges (PXB)",
        "It does not fit: PairUnsatisfiable.",
        "It fits if nic4 is uncordoned.",
        "INFEASIBLE is a proof",
    ],
    "gb200_nvl72.py": [
        "train-3: OPTIMAL, 128 pods in r01, r02, r03, r04, r05, r06, r07, r08\n",
        "train-4: OPTIMAL, 128 pods in r09, ",
        "OPTIMAL, and all other pods stay:\n  train-3/worker/6: t007 -> t017\n",
        "eval-9: INFEASIBLE, PodSetConflict\n29 trays are free, and yet:\n",
        "worker: 2 of 8 fit in nvl d02.",
        "It fits if Gang train-3 leaves, 128 pods.",
        "eval-9: OPTIMAL, 8 pods in r09\nOn the cluster itself run train-3, train-4.",
        "    rack r01  AAAAAAxAAAAxAAAAAA  18 nodes, 0 of 72 gpus free, 2 cordoned\n",
        "    rack r16  BBBBBBBBBBBBBBBB..  18 nodes, 8 of 72 gpus free\n",
    ],
    "draw_node.py": ["node.svg: serve, train on dgx-h100"],
    "pin_workers.py": ["worker-0: PUs ["],
    "what_if.py": [
        "four GPUs beside each other: INFEASIBLE",
        "without train-2: OPTIMAL",
    ],
}


def test_every_example_is_listed() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*PRINTS}


@pytest.mark.parametrize("name", PRINTS)
def test_example_runs(name: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (run.returncode, run.stderr) == (0, "")
    for text in PRINTS[name]:
        assert text in run.stdout
