# SPDX-License-Identifier: Apache-2.0
"""The conformance cases: they are what they say, and topoalloc answers as they do."""

from __future__ import annotations

import copy
import functools
import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

import topoalloc as ta
from topoalloc import kubernetes as tk
from topoalloc.kubernetes import conformance
from topoalloc.kubernetes.conformance.__main__ import main

PACKAGE = Path(ta.__file__).parent
FILES = sorted((PACKAGE / "kubernetes/conformance/cases").glob("*.json"))
CASES = conformance.load_cases()
ASKED = [(case, version) for case in CASES for version in case.semantics]
IDS = [f"{case.id}/{version}" for case, version in ASKED]
# Cases that docs/conformance.md lists as those where topoalloc differs.
DIFFERENT = {"shared-counters/incomplete-elsewhere"}
NO = "import sys; sys.stdin.read(); print('{\"infeasible\": true}')"


def named(name: str) -> conformance.Case:
    (found,) = (case for case in CASES if case.id == name)
    return found


@functools.cache
def refusal(written: str, version: str) -> str:
    """Say why the schema of a version of Kubernetes does not take an object."""
    try:
        kubernetes_validate.validate(json.loads(written), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


@pytest.mark.parametrize(("case", "version"), ASKED, ids=IDS)
def test_topoalloc_answers_as_expected(case: conformance.Case, version: str) -> None:
    question = conformance.question_of(case, version)
    text = conformance.disagreement(case, conformance.answer_of_inventory(question))
    assert bool(text) == (case.id in DIFFERENT), text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_meet_their_schema(path: Path) -> None:
    text = (PACKAGE / "schemas/conformance_cases.json").read_text(encoding="utf-8")
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(text)).validate(document)
    assert document["feature"] == path.stem
    names = [case["name"] for case in document["cases"]]
    assert len(set(names)) == len(names)
    used = set(re.findall(r'"use": "([^"]+)"', path.read_text(encoding="utf-8")))
    assert used == set(document["fixtures"])


def test_there_are_enough_cases_of_every_version_and_answer() -> None:
    assert len(CASES) >= 150
    for version in ("1.34", "1.35", "1.36", "1.37"):
        own = [case for case in CASES if version in case.semantics]
        answers = [next(iter(case.expected)) for case in own]
        assert min(map(answers.count, ("results", "infeasible", "error"))) >= 20


@pytest.mark.parametrize(
    ("case", "version"),
    [(case, version) for case, version in ASKED if case.expected.get("by") != "api"],
    ids=lambda value: getattr(value, "id", value),
)
def test_objects_are_those_of_the_version(case: conformance.Case, version: str) -> None:
    refused = [
        refusal(json.dumps(item, sort_keys=True), version)
        for item in case.objects + case.claims
    ]
    assert [text for text in refused if text] == []


@pytest.mark.parametrize(
    ("case", "version"),
    [(case, version) for case, version in ASKED if "allocations" in case.expected],
    ids=lambda value: getattr(value, "id", value),
)
def test_what_is_expected_is_right_by_the_validator(
    case: conformance.Case, version: str
) -> None:
    question = conformance.question_of(case, version)
    inventory = tk.Inventory(version, features=question["features"])
    inventory.update({"apiVersion": "v1", "kind": "List", "items": question["objects"]})
    allocations = copy.deepcopy(case.expected["allocations"])
    results = [r for found in allocations for r in found["devices"]["results"]]
    for number, result in enumerate(results, start=100):
        if "shareID" in result:
            result["shareID"] = f"00000000-0000-4000-8000-{number:012}"
    claims = [
        {**claim, "status": {"allocation": allocation}}
        for claim, allocation in zip(question["claims"], allocations, strict=True)
    ]
    assert tk.validate(claims, inventory) == []


def allocation_of(*devices: str, **more: Any) -> dict[str, Any]:
    results = [
        {
            "request": "g",
            "driver": "gpu.example.com",
            "pool": "n1",
            "device": device,
            **more,
        }
        for device in devices
    ]
    return {"devices": {"results": results}}


SHARES = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(2)]


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        (
            "exact-count/first-of-two",
            {"allocations": [allocation_of("gpu-1")]},
            r'n1/gpu-1"\]\], want \[\["g gpu.example.com/n1/gpu-0"\]\]$',
        ),
        (
            "exact-count/first-of-two",
            {"allocations": [allocation_of("gpu-0"), allocation_of()]},
            r", want \[\[",
        ),
        ("exact-count/first-of-two", {"infeasible": True}, ", want an allocation$"),
        ("exact-count/first-of-two", {"failed": "no JSON"}, ", want an allocation$"),
        ("exact-count/first-of-two", {"allocations": [7]}, ", want each a status"),
        (
            "exact-count/first-of-two",
            {"allocations": [allocation_of("gpu-0", shareID="7")]},
            r'^share ids \["7"\], want UUIDs in small letters, each once$',
        ),
        (
            "exact-count/two-of-four",
            {"allocations": [allocation_of("gpu-0", "gpu-1", shareID=SHARES[0])]},
            "each once$",
        ),
        ("exact-count/one-too-few", {"allocations": []}, ", want no allocation$"),
        ("exact-count/one-too-few", {"infeasible": False}, ", want no allocation$"),
        ("all-devices/thirty-three", {"infeasible": True}, ", want an error at claims"),
        (
            "all-devices/thirty-three",
            {"error": "claims[0].spec.devices.requestsAll: one"},
            r", want an error at claims\[0\]\.spec\.devices\.requests$",
        ),
    ],
)
def test_disagreement_says_what_is_wrong(
    name: str, answer: dict[str, Any], message: str
) -> None:
    assert re.search(message, conformance.disagreement(named(name), answer))


@pytest.mark.parametrize(
    ("requests", "agrees"),
    [(None, True), (["a", "b"], True), (["b", "a"], True), (["a"], False)],
)
def test_configuration_for_all_may_name_them(
    requests: list[str] | None, agrees: bool
) -> None:
    case = named("configuration/class-of-two-requests")
    allocations = copy.deepcopy(case.expected["allocations"])
    if requests is not None:
        allocations[0]["devices"]["config"][0]["requests"] = requests
    text = conformance.disagreement(case, {"allocations": allocations})
    assert bool(text) != agrees


def test_any_error_may_be_enough() -> None:
    case = named("all-devices/thirty-three")
    for more in ("", ": too many", "[1]: too many", ".count: too many"):
        error = {"error": f"claims[0].spec.devices.requests{more}"}
        assert conformance.disagreement(case, error) == ""
    wrong = {"error": "too many"}
    assert conformance.disagreement(case, wrong)
    assert conformance.disagreement(case, wrong, error_paths=False) == ""
    assert conformance.disagreement(case, {"infeasible": True}, error_paths=False)


def test_a_question_says_all_that_is_on() -> None:
    case = named("exact-count/first-of-two")
    question = conformance.question_of(case, "1.36")
    assert question["features"] == [
        "taints",
        "counters",
        "consumable_capacity",
        "binding_conditions",
    ]
    assert conformance.question_of(case, "1.34")["features"] == []
    question["objects"].clear()
    assert case.objects
    with pytest.raises(ta.InvalidRequestError, match=r"^semantics: '1\.33', want one"):
        conformance.question_of(case, "1.33")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"apiVersion": "v1", "kind": "List"}', "kind: want ConformanceCases of"),
        (
            (
                '{"apiVersion": "topoalloc.dev/v1alpha1", "kind": "ConformanceCases", '
                '"fixtures": {"a": {"use": "b"}}}'
            ),
            "fixtures: no 'b', want one",
        ),
    ],
)
def test_files_that_are_none_are_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ta.FormatError, match=rf"^a\.json: .*{message}"):
        conformance.load_cases(tmp_path)


def test_the_command_asks_topoalloc(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--feature", "exact-count", "--semantics", "1.37"]) == 0
    count = sum(case.feature == "exact-count" for case in CASES)
    text = f"{count} of {count} answers are as expected\n"
    assert capsys.readouterr().out == text


def test_what_the_api_server_refuses_may_be_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--list", "--allocator-only"]) == 0
    count = sum(case.expected.get("by") != "api" for case in CASES)
    assert len(capsys.readouterr().out.splitlines()) == count < len(CASES)


def test_the_page_counts_the_cases(repository: Path) -> None:
    page = (repository / "docs/conformance.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `([\w-]+)`: (.+) \| (\d+) \| ([\d.]+) to ([\d.]+) \|$", page, re.MULTILINE
    )
    found = []
    for path in FILES:
        document = json.loads(path.read_text(encoding="utf-8"))
        versions = [v for case in document["cases"] for v in case["semantics"]]
        count = str(len(document["cases"]))
        found.append((document["feature"], count, min(versions), max(versions)))
    assert [(row[0], *row[2:]) for row in rows] == found


def test_the_page_names_what_differs(repository: Path) -> None:
    page = (repository / "docs/conformance.md").read_text(encoding="utf-8")
    part = page.split("## Where topoalloc differs")[1].split("\n## ")[0]
    assert set(re.findall(r"^- `([\w/-]+)`: ", part, re.MULTILINE)) == DIFFERENT


def test_the_page_names_every_option(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (repository / "docs/conformance.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["--help"])
    known = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert sorted(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE)) == sorted(known)


def test_the_command_asks_another_allocator(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--name", "exact-count/one-too-few", "--semantics", "1.35", "--"]
    assert main([*options, sys.executable, "-c", NO]) == 0
    options[1] = "exact-count/first-of-two"
    assert main([*options, sys.executable, "-c", NO]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 of 1 answers are as expected"
    assert lines[1].startswith("exact-count/first-of-two (1.35): One of two equal")
    assert lines[3] == '  {"infeasible": true}, want an allocation'
    assert lines[4] == "0 of 1 answers are as expected"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('broken')", "exit code 1: broken"),
        ("print('x')", "no JSON: "),
        ("print('[]')", "no JSON object"),
        ("import time; time.sleep(60)", "no answer after 0.2 s"),
    ],
)
def test_a_command_that_fails_is_no_answer(code: str, message: str) -> None:
    question = conformance.question_of(CASES[0], "1.37")
    answer = conformance.answer_of_command(
        question, [sys.executable, "-c", code], timeout_s=0.2 if "sleep" in code else 60
    )
    assert answer["failed"].startswith(message)


def test_the_command_says_what_it_cannot_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--cases", str(tmp_path)]) == 2
    assert main(["--name", "first-of-two", "--", str(tmp_path / "none")]) == 2
    assert main(["--name", "no case has this name"]) == 1
    captured = capsys.readouterr()
    assert "want files of cases" in captured.err
    assert "No such file" in captured.err


def test_cases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--feature", "all-devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("all-devices/every-device (1.34, 1.35, 1.36, 1.37): ")
    assert len(lines) == sum(case.feature == "all-devices" for case in CASES)
