# SPDX-License-Identifier: Apache-2.0
"""Rough edges that newcomers met: slips of the pen, amounts, plurals, copies."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import topoalloc as ta
from topoalloc import _core
from topoalloc.cli import main

SMALL = "pack:2 numa:1 core:4 pu:2"
GI = 2**30


@pytest.fixture
def mig() -> ta.Allocator:
    return ta.Allocator(ta.Machine.preset("dgx-h100-mig"))


@pytest.fixture
def small() -> ta.Allocator:
    return ta.Allocator(ta.Machine.from_synthetic(SMALL))


def partition(profile: str) -> ta.Request:
    return ta.Request(devices={"gpu": ta.DeviceRequest(1, partition=profile)})


# --- names that the machine does not know ---


def test_unknown_profile_names_the_profiles(mig: ta.Allocator) -> None:
    explanation = mig.check(partition("1g.9gb")).explanation
    (item,) = explanation.conflict
    assert item.path == "devices.gpu"
    assert "the machine has no profile 1g.9gb, it has 1g.10gb, " in item.text
    assert "(did you mean 1g.10gb?)" in item.text
    assert item.text in str(explanation)
    first = explanation.relaxations[0]
    assert (first.path, first.change) == ("devices.gpu.partition", "drop")
    assert first.text == "fits without partition 1g.9gb, with whole devices"


def test_known_profile_is_a_shortage(mig: ta.Allocator) -> None:
    request = ta.Request(devices={"gpu": ta.DeviceRequest(999, partition="1g.10gb")})
    explanation = mig.check(request).explanation
    assert "the machine has no" not in str(explanation)
    assert all(r.path != "devices.gpu.partition" for r in explanation.relaxations)


def test_profile_where_there_are_no_partitions() -> None:
    allocator = ta.Allocator(ta.Machine.preset("dgx-h100"))
    explanation = allocator.check(partition("1g.10gb")).explanation
    assert "the machine has no partitions of gpu" in explanation.conflict[0].text
    assert explanation.relaxations[0].change == "drop"


def test_profile_is_not_dropped_where_whole_devices_are_held(mig: ta.Allocator) -> None:
    mig.take(owner="a", devices=[f"gpu{i}" for i in range(8)])
    explanation = mig.check(partition("1g.9gb")).explanation
    assert all(r.path != "devices.gpu.partition" for r in explanation.relaxations)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gpus", "has no class gpus, it has gpu and nic (did you mean gpu?)"),
        ("infiniband", "has no class infiniband, it has gpu and nic"),
    ],
)
def test_unknown_class_names_the_classes(name: str, text: str) -> None:
    allocator = ta.Allocator(ta.Machine.preset("hgx-h100-2gpu2nic"))
    explanation = allocator.check(ta.Request(devices={name: 1})).explanation
    assert explanation.conflict[0].text.endswith(text)


def test_class_where_there_are_no_devices(small: ta.Allocator) -> None:
    explanation = small.check(ta.Request(devices={"gpu": 1})).explanation
    assert explanation.conflict[0].text.endswith("; the machine has no devices")


def test_keep_of_what_is_not_asked_for_is_refused() -> None:
    with pytest.raises(
        ta.InvalidRequestError,
        match=r"^keep: 'gpu', which the Request does not ask for, want one of pus, nic",
    ):
        ta.Request(cores=1, devices={"nic": 1}, keep=["gpu"])


def test_keep_binds_a_resize_alone(small: ta.Allocator) -> None:
    request = ta.Request(cores=1, keep=["pus"])
    assert small.check(request)
    held = small.allocate(request, owner="a")
    small.cordon(held.pus[0])
    with pytest.raises(ta.InfeasibleError):
        small.resize("a", ta.Request(cores=2, keep=["pus"]))
    assert small.placements["a"] == held
    assert small.resize("a", ta.Request(cores=2)).pus[0] != held.pus[0]


# --- amounts and plurals ---


@pytest.mark.parametrize(
    ("amounts", "texts"),
    [
        ([64 * GI, 63 * GI + GI // 2, 0], ["64Gi", "63.5Gi", "0"]),
        ([64 * GI, 2**41], ["64Gi", "2048Gi"]),
        ([3 * 2**39, 2**40], ["1.5Ti", "1Ti"]),
        # What rounding would make equal is told in a smaller unit.
        ([64 * GI, 64 * GI - 4096], ["67108864Ki", "67108860Ki"]),
        ([10**11, 2 * 10**11], ["93.13Gi", "186.26Gi"]),
        ([1100 * GI, 2**40], ["1100Gi", "1024Gi"]),
        ([2 * GI, 1], ["2147483648 bytes", "1 byte"]),
        ([0, 0], ["0", "0"]),
        ([2**63 - 1], ["8388608Ti"]),
        ([], []),
    ],
)
def test_amounts_of_one_sentence_have_one_unit(
    amounts: list[int], texts: list[str]
) -> None:
    assert _core.describe_amounts(amounts) == texts


def test_explanation_has_no_raw_bytes(
    small: ta.Allocator, capsys: pytest.CaptureFixture[str]
) -> None:
    text = str(small.check(ta.Request(memory=10**12)).explanation)
    assert "Needed: 931.32Gi memory; there are 2Gi on the machine" in text
    assert "fits with 2Gi of memory instead of 931.32Gi" in text
    assert main(["explain", "-i", SMALL, "--memory", "1000G"]) == 1
    out = capsys.readouterr().out
    assert "of the kind asked for 2Gi, free 2Gi" in out
    assert out.count("931.32Gi") == 3


def test_one_of_a_kind_is_singular(
    small: ta.Allocator, capsys: pytest.CaptureFixture[str]
) -> None:
    small.take(owner="a", pus="0-13")
    small.cordon(14)
    verdict = small.check(ta.Request(cores=1))
    text = str(verdict.explanation)
    assert "Needed: 1 core; there are 8 on the machine" in text
    small.uncordon(14)
    small.allocate(ta.Request(cores=1), owner="b")
    small.release("a")
    small.take(owner="c", pus="0-11")
    text = str(small.check(ta.Request(cores=2)).explanation)
    assert "It fits with 1 core instead of 2." in text
    assert main(["explain", "-i", SMALL, "--cores", "9"]) == 1
    assert "1 steps" not in capsys.readouterr().out
    undecided = small.check(ta.Request(cores=1), max_steps=1)
    assert "1 steps" not in repr(undecided)


# --- what errors say ---


def test_error_of_allocate_says_the_reason(small: ta.Allocator) -> None:
    with pytest.raises(
        ta.InfeasibleError,
        match=r"^a: INFEASIBLE, NotEnoughCores: fewer whole cores are free than asked "
        r"for; verdict\.explanation says more \(\d+ steps?\)$",
    ):
        small.allocate(ta.Request(cores=9), owner="a")
    with pytest.raises(
        ta.InfeasibleError, match=r"^2 owners: INFEASIBLE, \w+: .+; verdict"
    ):
        small.allocate_many({"a": ta.Request(cores=5), "b": ta.Request(cores=5)})


def test_every_reason_has_words() -> None:
    texts = {
        _core.not_placed_message("a", ta.Status.INFEASIBLE, reason, 1)
        for reason in _core.reason_names()
    }
    assert len(texts) == len(_core.reason_names())
    assert all(text.endswith("(1 step)") for text in texts)


def test_policy_without_a_packing_or_a_name_says_what_to_add() -> None:
    with pytest.raises(
        ta.InvalidRequestError,
        match=r"^policy\.packing: not given for 'mine', want pack or spread with",
    ):
        ta.Policy("mine")
    with pytest.raises(
        ta.InvalidRequestError,
        match=r"^policy\.order: not that of pack, want a name of your own with it",
    ):
        ta.Policy(order=reversed(ta.Policy().order))


# --- copies ---


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_copy_of_an_allocator_is_independent(duplicate: Any) -> None:
    allocator = ta.Allocator(
        ta.Machine.preset("dgx-h100"), reserved_pus="0", policy="spread"
    )
    allocator.allocate(ta.Request(cores=2, devices={"gpu": 1}), owner="a")
    allocator.cordon("gpu7")
    made = duplicate(allocator)
    assert type(made) is ta.Allocator
    assert made.snapshot() == allocator.snapshot()
    made.release("a")
    assert "a" in allocator.placements
    made.check_consistency()


def test_copies_of_a_machine_are_equal() -> None:
    machine = ta.Machine.preset("dgx-h100")
    assert copy.deepcopy(machine) is machine
    assert pickle.loads(pickle.dumps(machine)) == machine


def test_error_reaches_another_process(small: ta.Allocator) -> None:
    with pytest.raises(ta.InfeasibleError) as caught:
        small.allocate(ta.Request(cores=9), owner="a")
    there = pickle.loads(pickle.dumps(caught.value))
    assert (type(there), str(there)) == (ta.InfeasibleError, str(caught.value))
    assert there.verdict is None


# --- JSON forms ---


def test_placement_says_its_status(small: ta.Allocator, repository: Path) -> None:
    schema = json.loads(
        (repository / "src/topoalloc/schemas/placement.json").read_bytes()
    )
    validator = Draft202012Validator(schema)
    best = small.allocate(ta.Request(cores=1), owner="a").to_dict()
    taken = small.take(owner="b", pus="8").to_dict()
    assert (best["status"], taken["status"]) == ("OPTIMAL", "FEASIBLE")
    validator.validate(best)
    # Documents of before it was written stay valid.
    del taken["status"]
    validator.validate(taken)


def test_headroom_says_whether_it_was_proved(small: ta.Allocator) -> None:
    # Of a Request with bytes no count tells how many copies fit.
    request = ta.Request(cores=3, memory="1Mi")
    proved = small.headroom(request)
    cut = small.headroom(request, max_steps=1)
    assert (proved.complete, str(proved)) == (
        True,
        "2 copies fit at once, and no more",
    )
    assert (cut.complete, cut.status) == (False, ta.Status.FEASIBLE)
    assert str(cut).endswith(": the search ended before its proof")
    assert cut.to_dict() == {
        "apiVersion": "topoalloc.dev/v1alpha1",
        "kind": "Headroom",
        "n": cut.n,
        "upper": cut.upper,
        "status": "FEASIBLE",
        "complete": False,
    }


# --- the command line ---


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "node: empty, want hwloc XML, a JSON spec or a snapshot"),
        (b" \n", "node: empty, want"),
        (b"[]", "node: list, want an object"),
        (b"pack:2 core:4", "node:1: starts with 'pack:2 core:4', want hwloc XML"),
        (b"[" * 100_000, "node: nested too deeply, want JSON"),
        (b'{"a":' * 100_000, "node: nested too deeply, want JSON"),
        (b'{"kind": ' + b"9" * 5000 + b"}", "node: a number of too many digits, want"),
        (b'{"kind": "\xff"}', "node: no UTF-8 text, want JSON"),
        (b"topoalloc-snapshot 9 x\n{}", "node: snapshot: format '9', want 1"),
    ],
)
def test_input_is_called_what_it_is(
    content: bytes,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("node").write_bytes(content)
    assert main(["show", "-i", "node"]) == 2
    assert capsys.readouterr().err.startswith(f"topoalloc: {complaint}")


@pytest.mark.parametrize("form", ["json", "xml"])
def test_byte_order_mark_is_no_content(
    form: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    repository: Path,
) -> None:
    path = tmp_path / "node"
    content = (
        json.dumps(ta.Machine.from_synthetic(SMALL).to_dict()).encode()
        if form == "json"
        else (repository / "csrc/tests/data/hwloc_v2.xml").read_bytes()
    )
    path.write_bytes(b"\xef\xbb\xbf" + content)
    assert main(["show", "-i", str(path)]) == 0
    assert capsys.readouterr().out.startswith("Machine (")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["show", "--class", "gpu"], "--class: 'gpu' alone, want --matrix too"),
        (["show", "--own-words"], "--own-words: given alone, want --matrix too"),
        (["show", "--matrix", "--own-words", "--json"], "--own-words: beside --json"),
        (["show", "--json", "--no-collapse"], "--no-collapse: beside --json, want it"),
        (["plan", "--cores", "1", "--host", "n1"], "--host: 'n1' without a rankfile"),
    ],
)
def test_option_that_changes_nothing_is_refused(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "-i", "dgx-h100"]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith(f"topoalloc: {complaint}")
