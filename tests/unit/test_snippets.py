# SPDX-License-Identifier: Apache-2.0
"""The Python of the README and of the pages runs, block after block of one page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def python_of(page: Path) -> str:
    """Return the Python of a page, each block on its own lines of the page."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        first = text.count("\n", 0, block.start(1))
        for offset, line in enumerate(block[1].splitlines()):
            lines[first + offset] = line
    return "\n".join(lines)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if python_of(page).strip()],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = compile(python_of(page), str(page), "exec", dont_inherit=True)
    exec(code, {"__name__": f"page_{page.stem}"})


def test_readme_is_among_the_pages() -> None:
    assert "ta.Machine" in python_of(ROOT / "README.md")
