# SPDX-License-Identifier: Apache-2.0
"""docs/cli.md says what the command does: options as in --help, outputs as they come.

``python tests/unit/test_cli_docs.py`` writes the tables and outputs into the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest

from topoalloc.cli import COMMANDS, main
from topoalloc.cli._command import make_command

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs/cli.md"
TABLE = re.compile(r"<!-- options: ([\w -]+) -->\n(.*?)<!-- end -->", re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def options_of(name: str) -> str:
    """Return the table of the options of a command."""
    lines = ["| option | meaning |", "| --- | --- |"]
    for parameter in make_command(name).params:
        is_option = parameter.param_type_name == "option"
        words = [*parameter.opts, *parameter.secondary_opts] if is_option else []
        words = [f"`{word}`" for word in words]
        metavar = parameter.metavar or ("" if is_option else parameter.name)
        if metavar:
            words.append(f"`{metavar}`".replace("|", "\\|"))
        text = parameter.help.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {' '.join(words)} | {text} |")
    return "\n".join(lines) + "\n"


def copy_examples(folder: Path) -> None:
    """Put the files that commands of the page read into a folder."""
    for path in (ROOT / "examples").glob("*.json"):
        shutil.copy(path, folder)


def outputs_of(block: str) -> str:
    """Run the commands of a console block; return it with what they print."""
    lines = []
    for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE):
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            main(shlex.split(command)[1:])
        lines.append(f"$ {command}\n{stream.getvalue()}")
    return "".join(lines)


def without_steps(text: str) -> str:
    """Leave out step counts: tests of the solver pin those, once."""
    return re.sub(r"\d+ steps?", "N steps", text)


def test_page_has_the_options_of_every_command() -> None:
    found = dict(TABLE.findall(PAGE.read_text(encoding="utf-8")))
    assert found == {name: options_of(name) for name in COMMANDS}


@pytest.mark.parametrize("block", CONSOLE.findall(PAGE.read_text(encoding="utf-8")))
def test_page_shows_what_is_printed(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_examples(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert without_steps(block) == without_steps(outputs_of(block))


def write() -> None:
    """Write tables and outputs into the page."""
    text = PAGE.read_text(encoding="utf-8")
    text = TABLE.sub(
        lambda m: f"<!-- options: {m[1]} -->\n{options_of(m[1])}<!-- end -->", text
    )
    with tempfile.TemporaryDirectory() as folder:
        copy_examples(Path(folder))
        os.chdir(folder)
        text = CONSOLE.sub(lambda m: f"```console\n{outputs_of(m[1])}```", text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
