# SPDX-License-Identifier: Apache-2.0
"""Where a Cluster and a Gang come from: files, or the options that make a Gang."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from topoalloc import Cluster, GangPlan, GangVerdict
from topoalloc._cluster_document import text_of
from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc._gang import (
    Balanced,
    Gang,
    GangConstraint,
    PodSet,
    Rails,
    Slice,
    Spread,
    Within,
)
from topoalloc._node_names import names_in
from topoalloc.cli._output import naming
from topoalloc.cli._question import Question
from topoalloc.cli._source import read_document

__all__ = [
    "ClusterFile",
    "GangQuestion",
    "node_names",
    "read_gang",
    "write_cluster",
    "write_record",
]

_STDIN: Final = "-"
_MANY_NODES: Final = 20_000
"""Fewer are read before anybody wonders."""


@dataclass(frozen=True)
class ClusterFile:
    """The argument that says which Cluster is meant."""

    cluster: Annotated[
        str,
        typer.Argument(
            metavar="CLUSTER", help="A Cluster in JSON; - is standard input."
        ),
    ]

    def read(self) -> Cluster:
        """Return the Cluster, or raise FormatError with the file and the path."""
        content = _content_of("CLUSTER", self.cluster, "a Cluster in JSON")
        document = read_document(content, _shown(self.cluster))
        folder = Path() if self.cluster == _STDIN else Path(self.cluster).parent
        try:
            return Cluster.from_dict(document, folder=folder, progress=_progress())
        except FormatError as error:
            raise FormatError(f"{_shown(self.cluster)}: {error}") from None


@dataclass(frozen=True)
class GangQuestion:
    """The options that make a Gang; those of a Request are of each of its pods."""

    gang: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A Gang in JSON, - for standard input, instead of the options below.",
        ),
    ] = None
    pods: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Pods of one PodSet.")
    ] = None
    min_pods: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Pods that are enough; N of --pods."),
    ] = None
    within: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL", help="All pods in one Domain. May be repeated."),
    ] = None
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="LEVEL=N",
            help="Every N pods in one Domain, from coarse to fine. May be repeated.",
        ),
    ] = None
    spread: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL[=N]", help="At most N pods, or 1, in each Domain."),
    ] = None
    balanced: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVEL", help="As many pods in each Domain used, or one more."
        ),
    ] = None
    rails: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="The same indices of such devices on every node. May be repeated.",
        ),
    ] = None
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the Gang; gang if left out.")
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether any of the options is."""
        return self != GangQuestion()

    def make(self, question: Question) -> Gang:
        """Return the Gang, or raise InvalidRequestError or FormatError."""
        if self.gang is not None:
            rest = replace(self, gang=None).is_given
            steps = question.max_steps
            if rest or question != Question(max_steps=steps):
                raise InvalidRequestError(
                    "--gang: beside options that make a Gang, want one of the two"
                )
            return read_gang("--gang", self.gang)
        if self.pods is None:
            raise InvalidRequestError("--gang, --pods: neither, want one of them")
        require: list[GangConstraint] = [Within(level) for level in self.within or ()]
        require += [Spread(*row) for row in _levels("--spread", self.spread or (), 1)]
        require += [Balanced(level) for level in self.balanced or ()]
        require += [Rails(name) for name in self.rails or ()]
        podset = PodSet(
            "worker",
            question.make(),
            self.pods,
            self.min_pods,
            require=require,
            slices=[Slice(*row) for row in _levels("--slice", self.slices or ())],
        )
        return Gang("gang" if self.name is None else self.name, [podset])


def read_gang(option: str, path: str) -> Gang:
    """Read a Gang in JSON.

    Parameters
    ----------
    option : str
        What messages call the argument.
    path : str
        Of the file; ``-`` is standard input.

    Returns
    -------
    Gang

    Raises
    ------
    InvalidRequestError
        The file cannot be read.
    FormatError
        It holds no Gang.
    """
    document = read_document(_content_of(option, path, "a Gang in JSON"), _shown(path))
    if document.get("kind") == "GangPlan" and isinstance(document.get("gang"), dict):
        # What `topoalloc cluster place --json` has printed.
        document = document["gang"]  # type: ignore[assignment]
    try:
        return Gang.from_dict(document)
    except FormatError as error:
        raise FormatError(f"{_shown(path)}: {error}") from None


def write_cluster(cluster: Cluster, path: str) -> None:
    """Write a Cluster in JSON; ``-`` is standard output."""
    text = text_of(cluster.to_dict())
    if path == _STDIN:
        sys.stdout.write(text)
        return
    with naming("--output", "a file that can be written, or -"):
        Path(path).write_text(text, encoding="utf-8")


def write_record(
    cluster: Cluster, answer: GangVerdict | GangPlan, path: str | None, *, json_: bool
) -> None:
    """Write the Decision record of an answer, where one is asked for."""
    if path is None:
        return
    if path == _STDIN and json_:
        raise InvalidRequestError(
            "--record: - beside --json, want a file: both go to standard output"
        )
    text = json.dumps(cluster.record(answer), indent=2) + "\n"
    if path == _STDIN:
        sys.stdout.write(text)
        return
    with naming("--record", "a file that can be written, or -"):
        Path(path).write_text(text, encoding="utf-8")


def node_names(option: str, text: str) -> list[str]:
    """Return the names in a list such as ``"n[001-016],n020"``.

    Examples
    --------
    >>> node_names("drain", "n[01-02],n7")
    ['n01', 'n02', 'n7']
    """
    try:
        return [name for part in text.split(",") for name in names_in(option, part)]
    except FormatError as error:
        raise InvalidRequestError(str(error)) from None


def _content_of(option: str, path: str, want: str) -> bytes:
    if path == _STDIN:
        return sys.stdin.buffer.read()
    if Path(path).is_dir():
        raise InvalidRequestError(f"{option}: {path!r} is a folder, want {want}")
    with naming(option, want):
        return Path(path).read_bytes()


def _shown(path: str) -> str:
    return "stdin" if path == _STDIN else path


def _levels(
    option: str, texts: Iterable[str], default: int | None = None
) -> Iterator[tuple[str, int]]:
    for text in texts:
        level, equals, count = text.partition("=")
        if not equals and default is not None:
            yield level, default
            continue
        if not (level and count.isascii() and count.isdigit() and len(count) < 11):  # noqa: PLR2004
            want = "LEVEL=N" if default is None else "LEVEL or LEVEL=N"
            raise InvalidRequestError(f"{option}: {text!r}, want {want}")
        yield level, int(count)


def _progress() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def tell(done: int, total: int) -> None:
        if total < _MANY_NODES:
            return
        sys.stderr.write(f"\r{done} of {total} nodes")
        if done == total:
            sys.stderr.write("\r\033[K")
        sys.stderr.flush()

    return tell
