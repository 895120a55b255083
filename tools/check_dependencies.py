# SPDX-License-Identifier: Apache-2.0
"""Hold the dependencies to docs/design/dependencies.md, which gives each its reason.

A dependency is declared in pyproject.toml or by FetchContent under cmake/. Each must be
listed; each one listed must be declared and used where the table says; and each module
or C++ header of others that a source names must belong to one listed.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path("docs/design/dependencies.md")
OWN_MODULES = {"topoalloc", "_oracle", "benchmarks", "examples", "tests", "tools"}
PYTHON_FOLDERS = ("src", "tests", "tools", "docs", "benchmarks", "examples")
CPP_FOLDERS = ("csrc", "src", "benchmarks")
# Include folders of the system and of ours.
OWN_INCLUDES = {"topoalloc", "sys", "linux"}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    module: str
    places: tuple[str, ...]


def normalise(requirement: str) -> str:
    """Return the project's name as package indices compare it."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else requirement


def declared(root: Path) -> set[str]:
    """Collect the names that pyproject.toml and cmake/ ask for."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    names = {
        normalise(entry) for group in lists for entry in group if entry == str(entry)
    }
    for path in sorted((root / "cmake").glob("*.cmake")):
        names.update(
            re.findall(
                r"FetchContent_Declare\(\s*(\w+)", path.read_text(encoding="utf-8")
            )
        )
    return names


def read_table(root: Path) -> list[Row]:
    """Read the rows of the table."""
    rows = []
    for line in (root / TABLE).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            places = tuple(re.findall(r"`([^`]+)`", cells[2]))
            rows.append(Row(cells[0].strip("`"), cells[1].strip("`"), places))
    return rows


def sources(root: Path, folders: tuple[str, ...], suffixes: set[str]) -> Iterator[Path]:
    """Yield the files of these kinds, in order."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in suffixes and "_build" not in path.parts:
                yield path


def is_used(root: Path, row: Row, place: str) -> bool:
    """Tell whether a file at or below `place` names the dependency or its module."""
    top = root / place
    files = (
        [top] if top.is_file() else (path for path in top.rglob("*") if path.is_file())
    )
    words = [re.escape(word) for word in {row.name, row.module} if word]
    # Names of distributions and modules differ in separators: myst-parser, myst_parser.
    pattern = re.compile("|".join(words).replace(r"\-", "[-_]"), re.IGNORECASE)
    return any(pattern.search(path.read_text(errors="ignore")) for path in files)


def imports(path: Path) -> set[str]:
    """Return the top-level modules that a Python file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    if path.suffix == ".pyi":
        # Type checkers know it without an installation, and nothing imports a stub.
        found.discard("typing_extensions")
    return found - sys.stdlib_module_names - OWN_MODULES


def includes(path: Path) -> set[str]:
    """Return the first folder of each angle-bracket include that has one."""
    text = path.read_text(encoding="utf-8")
    return set(re.findall(r"^#\s*include <(\w+)/", text, re.MULTILINE)) - OWN_INCLUDES


def findings(root: Path) -> list[str]:
    """Return what is wrong, one sentence each."""
    rows = read_table(root)
    listed = {row.name for row in rows}
    wanted = declared(root)
    found = [f"{name}: declared, not in {TABLE}" for name in sorted(wanted - listed)]
    found += [
        f"{name}: in {TABLE}, declared nowhere" for name in sorted(listed - wanted)
    ]
    for row in rows:
        if not row.places:
            found.append(f"{row.name}: no place of use in {TABLE}, want at least one")
        found += [
            f"{row.name}: not used in {place}, want it there or the row changed"
            for place in row.places
            if not is_used(root, row, place)
        ]
    modules = {row.module for row in rows}
    # cyclonedx's own purl type comes with it.
    modules |= {"packageurl"}
    for path in sources(root, PYTHON_FOLDERS, {".py", ".pyi"}):
        found += [
            f"{path.relative_to(root)}: imports {name}, want it in {TABLE}"
            for name in sorted(imports(path) - modules)
        ]
    for path in sources(root, CPP_FOLDERS, {".cpp", ".hpp", ".h", ".c"}):
        found += [
            f"{path.relative_to(root)}: includes {name}/, want it in {TABLE}"
            for name in sorted(includes(path) - modules)
        ]
    return found


def main() -> int:
    """Print the findings; 1 where there are any."""
    found = findings(ROOT)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
