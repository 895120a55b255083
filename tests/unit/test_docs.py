# SPDX-License-Identifier: Apache-2.0
"""Pictures and shell lines of README.md and docs/ are what the code gives."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from topoalloc.cli import EXIT_NO, EXIT_YES, main

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def pictures() -> ModuleType:
    path = ROOT / "tools" / "draw_docs.py"
    spec = importlib.util.spec_from_file_location("draw_docs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shell_lines() -> list[str]:
    """Return the calls of topoalloc that name their machine; the others need a host."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(
            r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
        ):
            lines = re.findall(r"^\$ topoalloc (.*? -i .*)$", block, re.MULTILINE)
            found += [line for line in lines if line not in found]
    return found


def test_pictures_are_those_that_the_code_draws() -> None:
    drawn = {name: draw() for name, draw in pictures().PICTURES.items()}
    kept = {
        path.name: path.read_text(encoding="utf-8")
        for path in (ROOT / "docs" / "_static").glob("*.svg")
    }
    assert kept.keys() == drawn.keys()
    stale = [name for name, text in drawn.items() if kept[name] != text]
    assert stale == [], "want python tools/draw_docs.py"


def test_pictures_are_shown() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert all(f"_static/{name})" in text for name in pictures().PICTURES)


@pytest.mark.parametrize("line", shell_lines())
def test_shell_line_runs(
    line: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # Some lines write a file.
    assert main(shlex.split(line, comments=True)) in (EXIT_YES, EXIT_NO)
    written = capsys.readouterr()
    assert (written.out + written.err).strip()


def test_shell_lines_are_found() -> None:
    assert {line.split()[0] for line in shell_lines()} >= {"show", "plan", "explain"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [
        target
        for target in targets
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert missing == []
