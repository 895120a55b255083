# SPDX-License-Identifier: Apache-2.0
"""Read case files: fixtures are put where they are used."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc.kubernetes._features import features_of

__all__ = ["Case", "load_cases", "question_of"]

_FOLDER = Path(__file__).parent / "cases"
_VERSION = "topoalloc.dev/v1alpha1"
_KIND = "ConformanceCases"


@dataclass(frozen=True)
class Case:
    """A question with its answer.

    Attributes
    ----------
    feature : str
        What it is about: the name of its file.
    name : str
        One of its file.
    title : str
        What happens, in a line.
    follows : str
        The text that says so, in words of ours.
    semantics : tuple of str
        The versions of Kubernetes of which it holds.
    features : tuple of str
        Options of those versions that are on.
    objects : list of dict
        ResourceSlices, DeviceClasses, Nodes, DeviceTaintRules, and ResourceClaims that
        are allocated.
    claims : list of dict
        ResourceClaims that are to be allocated together.
    node : str
        Where.
    expected : dict
        ``results``, ``allocations``, ``infeasible`` or ``error``.
    """

    feature: str
    name: str
    title: str
    follows: str
    semantics: tuple[str, ...]
    features: tuple[str, ...]
    objects: list[dict[str, Any]]
    claims: list[dict[str, Any]]
    node: str
    expected: dict[str, Any]

    @property
    def id(self) -> str:
        """`feature/name`."""
        return f"{self.feature}/{self.name}"


def load_cases(folder: str | Path | None = None) -> list[Case]:
    """Return the cases of a folder.

    Parameters
    ----------
    folder : str or Path, optional
        Holds files that ``schemas/conformance_cases.json`` describes; those that come
        with topoalloc by default.

    Returns
    -------
    list of Case
        File by file, by name.

    Raises
    ------
    FormatError
        A file is none, or refers to a fixture that it has not.
    InvalidRequestError
        There is no file.
    """
    files = sorted(Path(_FOLDER if folder is None else folder).glob("*.json"))
    if not files:
        message = f"folder: {str(folder)!r:.80} has no *.json, want files of cases"
        raise InvalidRequestError(message)
    return [case for path in files for case in _read(path)]


def question_of(case: Case, semantics: str) -> dict[str, Any]:
    """Return what an allocator is asked.

    Parameters
    ----------
    case : Case
        The case.
    semantics : str
        The version of Kubernetes, one of `case.semantics`.

    Returns
    -------
    dict
        Plain values, a copy: ``name``, ``semantics``, ``features`` (all that are on),
        ``node``, ``choose``, ``objects`` and ``claims``.

    Raises
    ------
    InvalidRequestError
        The case is not about that version.
    """
    if semantics not in case.semantics:
        message = f"semantics: {semantics!r:.80}, want one of {case.semantics}"
        raise InvalidRequestError(message)
    is_on = features_of(semantics, case.features)
    return {
        "apiVersion": _VERSION,
        "kind": "ConformanceQuestion",
        "name": case.id,
        "semantics": semantics,
        "features": [name for name, on in is_on.items() if on],
        "node": case.node,
        "choose": "first_fit",
        "objects": copy.deepcopy(case.objects),
        "claims": copy.deepcopy(case.claims),
    }


def _read(path: Path) -> list[Case]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if (document["apiVersion"], document["kind"]) != (_VERSION, _KIND):
            message = f"kind: want {_KIND} of {_VERSION}"
            raise FormatError(message)
        fixtures: dict[str, Any] = {}
        for name, value in document.get("fixtures", {}).items():
            fixtures[name] = _expanded(value, fixtures)
        return [
            _case(document["feature"], found, fixtures) for found in document["cases"]
        ]
    except FormatError as error:
        message = f"{path.name}: {error}"
        raise FormatError(message) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{path.name}: {type(error).__name__} {error}, want a file of cases"
        raise FormatError(message) from None


def _case(feature: str, found: Mapping[str, Any], fixtures: Mapping[str, Any]) -> Case:
    objects, claims, expected = (
        _expanded(found[key], fixtures) for key in ("objects", "claims", "expected")
    )
    return Case(
        feature,
        found["name"],
        found["title"],
        found["follows"],
        tuple(found["semantics"]),
        tuple(found.get("features", ())),
        objects,
        claims,
        found.get("node", "n1"),
        expected,
    )


def _expanded(value: object, fixtures: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return a value with fixtures in the place of what refers to them."""
    if isinstance(value, list):
        found: list[Any] = []
        for item in value:
            inner = _expanded(item, fixtures)
            # A list that a list refers to becomes part of it.
            is_spliced = isinstance(inner, list) and isinstance(item, dict)
            found.extend(inner if is_spliced else [inner])
        return found
    if not isinstance(value, dict):
        return value
    if value.keys() == {"each", "of"}:
        of = _expanded(value["of"], fixtures)
        return [_numbered(of, number) for number in range(value["each"])]
    if value.keys() != {"use"}:
        return {key: _expanded(item, fixtures) for key, item in value.items()}
    if value["use"] not in fixtures:
        message = f"fixtures: no {value['use']!r:.80}, want one that is there before"
        raise FormatError(message)
    return copy.deepcopy(fixtures[value["use"]])


def _numbered(value: object, number: int) -> Any:  # noqa: ANN401
    """Return a copy with the number in the place of each # in its texts."""
    if isinstance(value, str):
        return value.replace("#", str(number))
    if isinstance(value, list):
        return [_numbered(item, number) for item in value]
    if isinstance(value, dict):
        return {key: _numbered(inner, number) for key, inner in value.items()}
    return value
