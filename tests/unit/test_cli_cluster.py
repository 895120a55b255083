# SPDX-License-Identifier: Apache-2.0
"""``topoalloc cluster``: answers, exit codes, what goes to which stream."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import jsonschema
import pytest

import topoalloc as ta
from topoalloc._cluster_document import text_of
from topoalloc.cli import COMMANDS, main, overview
from topoalloc.cli._cluster_changes import make_change

SCHEMAS = Path(ta.__file__).parent / "schemas"
DOCUMENT: dict[str, Any] = {
    "apiVersion": "topoalloc.dev/v1alpha1",
    "kind": "Cluster",
    "trees": [
        {"name": "network", "levels": ["block", "rack"]},
        {"name": "nvlink", "levels": ["nvl"]},
    ],
    "machines": {"h100": {"preset": "dgx-h100"}},
    "nodes": [
        {
            "names": f"n[{4 * r}-{4 * r + 3}]",
            "machine": "h100",
            "domains": {"block": f"b{r // 2}", "rack": f"r{r}", "nvl": f"d{r}"},
        }
        for r in range(4)
    ],
}
NO_SVG = (
    "topoalloc: --svg: no/c.svg: No such file or directory, want a file that can be "
    "written\n"
)
WHOLE = ta.Request(devices={"gpu": 8})


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Result:
        code = main(["cluster", *words])
        return Result(code, *self._capsys.readouterr())

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").out)


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """Return a shell in a folder with a Cluster and some Gangs."""
    monkeypatch.chdir(tmp_path)
    write("c.json", DOCUMENT)
    for name, count, level in (("train", 4, "rack"), ("wide", 5, "rack")):
        pods = ta.PodSet("worker", WHOLE, count, require=[ta.Within(level)])
        write(f"{name}.json", ta.Gang(name, [pods]).to_dict())
    return Shell(capsys)


def write(path: str, document: Any) -> None:
    Path(path).write_text(json.dumps(document), "utf-8")


def read(path: str) -> ta.Cluster:
    return ta.Cluster.from_dict(json.loads(Path(path).read_text("utf-8")))


def feed(monkeypatch: pytest.MonkeyPatch, document: Any) -> None:
    content = json.dumps(document).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def validate(document: Any, name: str) -> None:
    parts = {
        path.stem: json.loads(path.read_text("utf-8")) for path in SCHEMAS.iterdir()
    }
    schema = parts.pop(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    # Those that it refers to are found by their $id.
    schema.setdefault("$defs", {}).update(
        {part["$id"]: part for part in parts.values()}
    )
    jsonschema.Draft202012Validator(schema).validate(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(document | {"spare": 1})


# --- the group ---


def test_group_has_a_help_of_its_own(shell: Shell) -> None:
    assert shell("--help") == (0, overview("cluster"), "")
    assert shell() == (2, overview("cluster"), "")
    for name in COMMANDS:
        first, _, second = name.partition(" ")
        if first == "cluster":
            assert f"  {second} " in overview("cluster")


def test_unknown_command_names_those_of_the_group(shell: Shell) -> None:
    result = shell("lode")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "topoalloc: command: 'cluster lode', want one of cluster load, cluster check, "
        "cluster place, cluster headroom, cluster what-if\n"
    )
    assert shell("--version").code == 2


def test_help_of_the_group_loads_neither_typer_nor_the_core() -> None:
    code = (
        "import sys, topoalloc.cli as c; c.main(['cluster', '--help']);"
        "sys.exit(bool({'typer', 'rich', 'topoalloc._core'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")


# --- load ---


def test_load_says_what_there_is(shell: Shell) -> None:
    assert shell("place", "c.json", "--gang", "train.json", "--commit", "-o", "d.json")
    write(
        "e.json",
        json.loads(Path("d.json").read_text("utf-8"))
        | {"states": [{"node": "n15", "cordoned_devices": ["gpu0"]}]},
    )
    result = shell("load", "e.json")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Cluster: 16 nodes, 12 empty, 0 cordoned, 3 distinct, policy pack\n"
        "\n"
        "tree     level  domains  nodes without\n"
        "network  block  2        0\n"
        "network  rack   4        0\n"
        "nvlink   nvl    4        0\n"
        "\n"
        "Machine   nodes  digest\n"
        f"dgx-h100  16     {ta.Machine.preset('dgx-h100').digest[:12]}\n"
        "\n"
        "class  total  held  out  free\n"
        "gpu    128    32    1    95\n"
        "nic    192    0     0    192\n"
        "pu     3584   0     0    3584\n"
        "\n"
        "Gang   pods  nodes  priority  queue\n"
        "train  4     4      0         -\n"
    )


def test_load_as_json_has_the_same_numbers(shell: Shell) -> None:
    document = shell.json("load", "c.json")
    validate(document, "cluster_summary")
    assert document["nodes"] == document["nodes_empty"] == 16
    assert document["classes"]["gpu"] == {
        "total": 128,
        "held": 0,
        "out": 0,
        "free": 128,
    }
    assert [level["domains"] for level in document["levels"]] == [2, 4, 4]
    assert document["gangs"] == []


def test_summary_counts_what_is_out(shell: Shell) -> None:
    cluster = ta.Cluster(levels=["rack"])
    small = ta.Machine.from_synthetic("pack:1 core:4 pu:2")
    cluster.add_nodes(["a", "b", "c"], small, reserved_pus="0-1")
    cluster.node("a").cordon(2)
    cluster.node("a").take(owner="x", pus="3-4")
    cluster.cordon("b")
    cluster.node("b").cordon(5)
    write("s.json", cluster.to_dict())
    document = shell.json("load", "s.json")
    validate(document, "cluster_summary")
    assert document["classes"] == {
        # a: 2 held, 3 out; b: all 8 out; c: 2 out.
        "pu": {"total": 24, "held": 2, "out": 13, "free": 9}
    }
    assert (document["nodes_cordoned"], document["nodes_empty"]) == (1, 2)
    assert document["levels"][0]["nodes_without"] == 3


def test_names_do_nothing_to_a_terminal(shell: Shell) -> None:
    cluster = ta.Cluster(levels=["rack"])
    evil = "\x1b[31mn"
    cluster.add_node(evil, ta.Machine.preset("dgx-h100"), domains={"rack": evil})
    pods = ta.PodSet(evil, WHOLE, 1)
    cluster.commit(cluster.place(ta.Gang(evil, [pods])))
    write("evil.json", cluster.to_dict())
    words = ("--gpus", "1", "--level", "rack")
    for result in (
        shell("load", "evil.json", "--picture"),
        shell("headroom", "evil.json", *words),
        shell("what-if", "evil.json", f"release:{evil}", "--pods", "1", *words[:2]),
    ):
        assert "\x1b" not in result.out + result.err
        assert result.out


def test_load_writes_one_form(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell("load", "c.json", "-o", "new.json").code == 0
    assert read("new.json").to_dict() == read("c.json").to_dict()
    feed(monkeypatch, DOCUMENT)
    result = shell("load", "-", "-o", "-")
    assert result == (0, text_of(read("c.json").to_dict()), "")
    validate(json.loads(result.out), "cluster")


def test_load_draws(shell: Shell) -> None:
    result = shell("load", "c.json", "--picture", "--svg", "c.svg", "--tree", "nvlink")
    assert "\n  nvl d3: 4 nodes, 32 of 32 gpus free\n    n12  ........\n" in result.out
    ET.parse("c.svg")
    text = shell("load", "c.json").out
    assert shell("load", "c.json", "--svg", "no/c.svg") == (2, text, NO_SVG)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("load", "none.json"), "CLUSTER: none.json: No such file or directory, want"),
        (("load", "."), "CLUSTER: '.' is a folder, want a Cluster in JSON"),
        (("load", "bad.json"), "bad.json:1: "),
        (("load", "list.json"), "list.json: list, want an object"),
        (("load", "train.json"), "train.json: Cluster.kind: 'Gang', want 'Cluster'"),
        (
            ("load", "level.json"),
            "level.json: Cluster.nodes[0].domains.zone: no such level, want one of",
        ),
        (("load",), "CLUSTER: missing, want it"),
        (("load", "c.json", "--tree", "nvlink"), "--tree: 'nvlink' alone, want --pict"),
        (("load", "c.json", "--class", "gpu"), "--class: 'gpu' alone, want --picture"),
        (("load", "c.json", "--json", "--picture"), "--picture: beside --json, want"),
        (("load", "c.json", "--json", "-o", "-"), "--output: - beside --json, want a"),
        (("load", "c.json", "-o", "-", "--picture"), "--output: - beside --picture"),
        (("load", "c.json", "-o", "no/x"), "--output: no/x: No such file or directory"),
        (("load", "c.json", "--picture", "--tree", "x"), "tree: 'x', want one of"),
        (("check", "c.json"), "--gang, --pods: neither, want one of them"),
        (
            ("check", "c.json", "--gang", "train.json", "--gpus", "1"),
            "--gang: beside options that make a Gang, want one of the two",
        ),
        (
            ("check", "c.json", "--gang", "train.json", "--pods", "1"),
            "--gang: beside options that make a Gang, want one of the two",
        ),
        (("check", "c.json", "--gang", "c.json"), "c.json: Gang.kind: 'Cluster', want"),
        (("check", "c.json", "--gang", "none.json"), "--gang: none.json: No such file"),
        (("check", "c.json", "--pods", "0"), "--pods: '0', want a whole number, 1 or"),
        (
            ("check", "c.json", "--pods", "3", "--gpus", "1", "--slice", "rack"),
            "--slice: 'rack', want LEVEL=N",
        ),
        (
            ("check", "c.json", "--pods", "3", "--gpus", "1", "--slice", "rack=2"),
            "PodSet.slices[0].size: 2, want a divisor of 3",
        ),
        (
            ("check", "c.json", "--pods", "3", "--spread", "rack=x"),
            "--spread: 'rack=x', want LEVEL or LEVEL=N",
        ),
        (
            ("check", "c.json", "--pods", "3", "--gpus", "1", "--within", "zone"),
            "gang.podsets[0].require: level 'zone' is not declared, want one of",
        ),
        (("place", "c.json", "--pods", "1", "--commit"), "--commit: given alone, want"),
        (("place", "c.json", "--pods", "1", "-o", "x"), "--output: given alone, want"),
        (
            ("place", "c.json", "--pods", "1", "--commit", "-o", "-", "--json"),
            "--output: - beside --json, want a file",
        ),
        (
            ("place", "c.json", "--pods", "1", "--full", "--json"),
            "--full: beside --json",
        ),
        (("headroom", "c.json"), "request: nothing asked for, want cores"),
        (("headroom", "c.json", "--gpus", "1", "--level", "zone"), "level: 'zone'"),
        (("what-if", "c.json"), "CHANGE...: missing, want it"),
        (("what-if", "c.json", "break:n1"), "CHANGE: 'break:n1', want KIND:WHAT with"),
        (("what-if", "c.json", "cordon"), "CHANGE: 'cordon', want KIND:WHAT with"),
        (("what-if", "c.json", "cordon:"), "CHANGE: 'cordon:', want something after"),
        (("what-if", "c.json", "cordon:n[2-1]"), "CHANGE: 'n[2-1]', want a range"),
        (("what-if", "c.json", "cordon:n77"), "node: 'n77' is not in the Cluster"),
        (("what-if", "c.json", "add:n20"), "CHANGE: add:n20, want add:NODES=LIKE"),
        (
            ("what-if", "c.json", "release:a/b"),
            "CHANGE: release:a/b, want release:GANG",
        ),
        (("what-if", "c.json", "release:a"), "gang: 'a' does not run, want one"),
        (("what-if", "c.json", "place:none.json"), "CHANGE: none.json: No such file"),
        (("what-if", "c.json", "cordon:n1", "--gpus", "1"), "--gang, --pods: neither"),
        (
            ("what-if", "c.json", "cordon:n1", "--place"),
            "--place: without a Gang, want",
        ),
    ],
)
def test_bad_input_is_named(words: tuple[str, ...], message: str, shell: Shell) -> None:
    Path("bad.json").write_text("{", "utf-8")
    write("list.json", [])
    write(
        "level.json",
        DOCUMENT
        | {"nodes": [{"name": "n", "machine": "h100", "domains": {"zone": "z"}}]},
    )
    result = shell(*words)
    assert result.code == 2
    assert result.err.startswith(f"topoalloc: {message}"), result.err
    assert result.err.count("\n") == 1


# --- check ---


def test_check_of_a_yes(shell: Shell) -> None:
    result = shell("check", "c.json", "--gang", "train.json")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"FEASIBLE: Fits, \d+ steps?\n", result.out)


def test_check_of_a_no_says_why(shell: Shell) -> None:
    result = shell("check", "c.json", "--gang", "wide.json")
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith("INFEASIBLE: PodSetConflict of worker, ")
    for line in (
        "Conflict: without any one of these it fits",
        "podsets[0].count       worker: 5 pods",
        "The Domains that come nearest",
        "podsets[0].require[0]  worker  rack   b0/r0   5       4    -",
        "It fits with one of these",
        "podsets[0].count       count=4",
    ):
        assert line in result.out


def test_check_as_json_is_the_verdict_with_its_reason(shell: Shell) -> None:
    yes = shell.json("check", "c.json", "--gang", "train.json")
    validate(yes, "gang_verdict")
    assert "explanation" not in yes
    no = shell.json("check", "c.json", "--gang", "wide.json")
    validate(no, "gang_verdict")
    validate(no["explanation"], "gang_explanation")
    assert no["explanation"]["relaxations"][-1]["change"] == "count=4"


def test_place_prints_the_rails(shell: Shell) -> None:
    words = ("--pods", "4", "--gpus", "2", "--spread", "node=2", "--rails", "gpu")
    result = shell("place", "c.json", *words)
    assert "\nrails of worker: gpu 0+1, 2+3\n" in result.out


def test_options_make_the_gang(shell: Shell) -> None:
    words: tuple[str, ...] = (
        "--pods",
        "6",
        "--min-pods",
        "4",
        "--gpus",
        "8",
        "--name",
        "x",
    )
    words += ("--slice", "rack=2", "--within", "block", "--spread", "node")
    words += ("--spread", "rack=4", "--balanced", "rack", "--require", "align:package")
    words += ("--rails", "gpu")
    document = shell.json("check", "c.json", *words, "--cores", "2")
    assert (
        document["gang"]
        == ta.Gang(
            "x",
            [
                ta.PodSet(
                    "worker",
                    ta.Request(
                        cores=2, devices={"gpu": 8}, require=[ta.Align("package")]
                    ),
                    6,
                    4,
                    require=[
                        ta.Within("block"),
                        ta.Spread("node"),
                        ta.Spread("rack", 4),
                        ta.Balanced("rack"),
                        ta.Rails("gpu"),
                    ],
                    slices=[ta.Slice("rack", 2)],
                )
            ],
        ).to_dict()
    )


def test_undecided_is_an_exit_code_of_its_own(shell: Shell) -> None:
    words = ("--pods", "6", "--gpus", "8", "--balanced", "rack", "--max-steps", "0")
    for command in ("check", "place"):
        result = shell(command, "c.json", *words)
        assert result.code == 3
        assert "UNKNOWN" in result.out + result.err


# --- place ---


def test_place_shows_the_plan_by_domain(shell: Shell) -> None:
    result = shell(
        "place", "c.json", "--pods", "12", "--gpus", "4", "--slice", "rack=6"
    )
    assert (result.code, result.err) == (0, "")
    table, _, rest = result.out.partition("\n\n")
    assert table == (
        "podset  ranks  block/rack  nodes   pods a node\n"
        "worker  0-5    b0/r0       n[0-2]  2\n"
        "worker  6-11   b0/r1       n[4-6]  2"
    )
    assert rest.startswith("OPTIMAL: 12 pods on 6 nodes, the best there is; ")
    assert "cost: domains block 1 rack 2 nvl 2, nodes 6, waste 4, opened " in rest


def test_place_shows_each_pod_when_asked(shell: Shell) -> None:
    words = ("--pods", "2", "--gpus", "2", "--cores", "4", "--memory", "1Gi", "--full")
    result = shell("place", "c.json", *words)
    assert result.out.splitlines()[:3] == [
        "podset  rank  block/rack  node  PUs          memory  devices",
        "worker  0     b0/r0       n0    0-3,112-115  1Gi@0   gpu0,gpu1",
        "worker  1     b0/r0       n0    4-7,116-119  1Gi@0   gpu2,gpu3",
    ]


def test_place_commits_into_a_new_file(shell: Shell) -> None:
    words = ("--gang", "train.json", "--commit", "-o")
    before = Path("c.json").read_text("utf-8")
    assert shell("place", "c.json", *words, "new.json").code == 0
    assert Path("c.json").read_text("utf-8") == before
    cluster = read("new.json")
    assert {pod.node for pod in cluster.gangs["train"].pods} == {"n0", "n1", "n2", "n3"}
    result = shell("place", "new.json", *words, "more.json")
    assert result.code == 2
    assert "gang: 'train' runs already" in result.err
    result = shell("place", "c.json", *words, "-")
    assert json.loads(result.out) == cluster.to_dict()


def test_place_as_json_is_the_decision_record(shell: Shell) -> None:
    document = shell.json("place", "c.json", "--gang", "train.json")
    validate(document, "gang_plan")
    assert [pod["node"] for pod in document["pods"]] == ["n0", "n1", "n2", "n3"]
    # What was printed is a Gang file, too.
    write("plan.json", document)
    assert shell("check", "c.json", "--gang", "plan.json").code == 0


def test_place_draws_the_cluster_with_the_gang(shell: Shell) -> None:
    result = shell("place", "c.json", "--gang", "train.json", "--picture")
    assert "      n0  AAAAAAAA\n" in result.out
    assert result.out.endswith("A train  . free\n")


def test_place_of_a_no_goes_to_standard_error(shell: Shell) -> None:
    result = shell("place", "c.json", "--gang", "wide.json", "--svg", "c.svg")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("topoalloc: wide: INFEASIBLE, PodSetConflict\n")
    assert "worker: 4 of 5 fit in rack b0/r0." in result.err
    assert not Path("c.svg").exists()
    document = shell.json("place", "c.json", "--gang", "wide.json")
    validate(document, "gang_plan")
    assert document["explanation"]["reason"] == "PodSetConflict"


def test_recorded_answers_are_replayed(shell: Shell) -> None:
    yes, no = ("c.json", "--gang", "train.json"), ("c.json", "--gang", "wide.json")
    result = shell("check", *no, "--record", "-")
    assert (result.code, result.err) == (1, "")
    validate(json.loads(result.out), "cluster_decision")
    assert json.loads(shell("place", *yes, "--record", "-").out)["status"] == "OPTIMAL"
    for command in ("place", "check"):
        result = shell(command, *yes, "--record", "-", "--json")
        assert result.code == 2
        assert "--record: - beside --json, want a file" in result.err
    assert shell("place", *yes, "--record", "yes.json").code == 0
    assert shell("check", *no, "--record", "no.json").code == 1
    for name in ("yes.json", "no.json"):
        assert main(["replay", name]) == 0


# --- headroom ---


def test_headroom_counts_by_domain(shell: Shell) -> None:
    words = ("--gpus", "4", "--require", "align:package")
    result = shell("headroom", "c.json", "--level", "rack", *words)
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "rack   copies\nb0/r0  8\nb0/r1  8\nb1/r2  8\nb1/r3  8\n\n32 in all\n"
    )
    document = shell.json("headroom", "c.json", *words)
    validate(document, "cluster_headroom")
    assert (document["level"], document["count"], document["upper"]) == ("node", 32, 32)
    assert document["domains"][0] == {"path": ["n0"], "count": 2, "upper": 2}


def test_headroom_of_none_is_a_proved_no(shell: Shell) -> None:
    result = shell("headroom", "c.json", "--gpus", "9", "--level", "block")
    assert result == (1, "block  copies\nb0     0\nb1     0\n\n0 in all\n", "")


# --- what-if ---


def test_what_if_changes_a_copy_in_order(shell: Shell) -> None:
    before = Path("c.json").read_text("utf-8")
    result = shell("what-if", "c.json", "place:train.json", "cordon:n[4-15]")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(
        "change            status   what happens\n"
        "place:train.json  OPTIMAL  train: 4 pods on n[0-3]\n"
        "cordon:n[4-15]    done     12 nodes take no more pods\n"
        "\n"
        "Cluster: 16 nodes, 12 empty, 12 cordoned, 2 distinct, policy pack\n"
    )
    assert Path("c.json").read_text("utf-8") == before
    words = ("--pods", "1", "--gpus", "1")
    full = ("place:train.json", "cordon:n[4-15]")
    assert shell("what-if", "c.json", *full, *words).code == 1
    assert shell("what-if", "c.json", *full, "uncordon:n7", *words).code == 0
    assert shell("what-if", "c.json", *full, "release:train", *words).code == 0
    released = "release:train/worker/2"
    result = shell("what-if", "c.json", *full, released, *words, "--place")
    assert "worker  0      b0/r0       n2     1\n" in result.out


def test_what_if_says_the_rails(shell: Shell) -> None:
    request = ta.Request(devices={"gpu": 2})
    pods = ta.PodSet("worker", request, 4, require=[ta.Rails("gpu")])
    write("rails.json", ta.Gang("train", [pods]).to_dict())
    result = shell("what-if", "c.json", "place:rails.json", "drain:n0")
    assert result.code == 0, result.err
    assert "train: rails of worker: gpu 0+1, 2+3" in result.out
    found = shell.json("what-if", "c.json", "place:rails.json", "drain:n0")
    validate(found, "what_if")
    (plan,) = found["changes"][1]["plans"]
    assert plan["rails"]["train"]["worker"]["gpu"][:2] == [[0, 1], [2, 3]]


def test_what_if_adds_and_removes_nodes(shell: Shell) -> None:
    words = ("remove:n0,n[2-3]", "add:m[1-3]=n1", "--gang", "train.json", "--place")
    result = shell("what-if", "c.json", *words)
    assert result.code == 0
    assert "remove:n0,n[2-3]  done    3 nodes leave\n" in result.out
    assert "add:m[1-3]=n1     done    3 nodes as n1\n" in result.out
    result = shell("what-if", "c.json", "place:train.json", "remove:n0")
    assert result.code == 2
    assert "n0" in result.err


def test_what_if_drains_and_replaces(shell: Shell) -> None:
    words = ("place:train.json", "cordon:n3", "release:train", "place:train.json")
    write("two.json", ta.Gang("two", [ta.PodSet("worker", WHOLE, 2)]).to_dict())
    result = shell("what-if", "c.json", "place:two.json", "drain:n0", "remove:n0")
    assert (result.code, result.err) == (0, "")
    assert "drain:n0        OPTIMAL  two: 1 pod to other places: " in result.out
    assert "worker/0 n0 -> n" in result.out
    result = shell("what-if", "c.json", *words, "--json")
    assert json.loads(result.out)["changes"][-1]["status"] == "OPTIMAL"
    document = shell.json("what-if", "c.json", "place:two.json", "replace:n[0-1]")
    validate(document, "what_if")
    (plan,) = document["changes"][1]["plans"]
    assert (plan["operation"], len(plan["moves"])) == ("replace", 2)
    assert document["answer"]["nodes_cordoned"] == 2
    assert document["answer"]["gangs"][0]["pods"] == 2
    # Nothing runs there: nothing is found to do, and the nodes are out.
    document = shell.json("what-if", "c.json", "replace:n5")
    assert document["changes"][0]["plans"] == []
    assert document["answer"]["nodes_cordoned"] == 1
    result = shell("what-if", "c.json", "replace:n77")
    assert result == (
        2,
        "",
        "topoalloc: CHANGE: replace:n77: no node 'n77', want one of the Cluster\n",
    )


def test_what_if_replaces_until_a_gang_has_no_place(shell: Shell) -> None:
    words = ("place:train.json", "cordon:n[4-15]", "replace:n2", "cordon:n1")
    result = shell("what-if", "c.json", *words, "--picture")
    assert result.code == 1
    assert "replace:n2        INFEASIBLE  -\n" in result.out
    assert "A train" not in result.out
    assert result.err.startswith("topoalloc: replace:n2: INFEASIBLE, ")
    document = shell.json("what-if", "c.json", *words)
    validate(document, "what_if")
    assert [len(change.get("plans", [])) for change in document["changes"]] == [0, 0, 1]
    # Why, as prose and as data.
    why = document["changes"][-1]["plans"][0]["explanation"]
    assert why["given"] == ["1 node failed: n2", "3 pods of train stay"]
    assert why["prose"].rstrip() in result.err
    assert document["changes"][-1]["explanation"].endswith(why["prose"].rstrip())


def test_what_if_makes_room(shell: Shell) -> None:
    write(
        "low.json",
        ta.Gang("low", [ta.PodSet("worker", WHOLE, 16)], priority=-1).to_dict(),
    )
    full = ("place:low.json", "preempt:train.json")
    result = shell("what-if", "c.json", *full)
    assert result.code == 0
    assert "low: 16 pods stopped" in result.out
    assert "train: 4 pods on n[0-3]" in result.out
    document = shell.json("what-if", "c.json", *full)
    assert document["changes"][1]["plans"][0]["victims"] == ["low"]
    assert shell("what-if", "c.json", "place:train.json", "preempt:wide.json").code == 1

    one = ta.PodSet("worker", ta.Request(devices={"gpu": 4}), 1)
    for name in ("a", "b"):
        write(f"{name}.json", ta.Gang(name, [one]).to_dict())
    words = ["cordon:n[1-15]", "place:a.json", "uncordon:n1", "cordon:n0"]
    words += ["place:b.json", "uncordon:n0"]
    write("big.json", ta.Gang("big", [ta.PodSet("worker", WHOLE, 1)]).to_dict())
    assert shell("what-if", "c.json", *words, "place:big.json").code == 1
    result = shell("what-if", "c.json", *words, "defragment:big.json")
    assert result.code == 0
    assert "a: 1 pod to other places: worker/0 n0 -> n1" in result.out
    assert "big: 1 pod on n0" in result.out

    released = ("place:train.json", "release:train/worker/1", "grow:train")
    result = shell("what-if", "c.json", *released)
    assert result.code == 0
    assert "grow:train              OPTIMAL  train: 1 pod on n1\n" in result.out


def test_what_if_ends_at_a_change_that_cannot_be(shell: Shell) -> None:
    words = ("place:wide.json", "cordon:n1")
    result = shell("what-if", "c.json", *words)
    assert result.code == 1
    assert "place:wide.json  INFEASIBLE  -\n" in result.out
    assert "cordon" not in result.out
    assert result.err.startswith("topoalloc: wide: INFEASIBLE, PodSetConflict\n")
    document = shell.json("what-if", "c.json", *words)
    validate(document, "what_if")
    assert document["answer"] is None
    (change,) = document["changes"]
    assert (change["change"], change["status"]) == ("place:wide.json", "INFEASIBLE")
    assert "4 of 5 fit" in change["explanation"]


def test_what_if_as_json_has_changes_and_answer(shell: Shell) -> None:
    words = ("cordon:n0", "--gang", "train.json")
    document = shell.json("what-if", "c.json", *words)
    assert [change["status"] for change in document["changes"]] == ["done"]
    validate(document, "what_if")
    validate(document["answer"], "gang_verdict")
    document = shell.json("what-if", "c.json", *words, "--place")
    validate(document, "what_if")
    assert document["answer"]["pods"][0]["node"] == "n4"
    document = shell.json("what-if", "c.json", "cordon:n0")
    validate(document, "what_if")
    assert document["answer"]["nodes_cordoned"] == 1
    document = shell.json("what-if", "c.json", "cordon:n0", "--gang", "wide.json")
    assert document["answer"]["status"] == "INFEASIBLE"


def test_what_if_draws_what_came_out(shell: Shell) -> None:
    result = shell("what-if", "c.json", "place:train.json", "--picture")
    assert "      n0  AAAAAAAA\n" in result.out


def test_kinds_of_changes_are_those_of_the_help(shell: Shell) -> None:
    with pytest.raises(ta.InvalidRequestError) as caught:
        make_change("?")
    kinds = str(caught.value).partition("KIND one of ")[2].split(", ")
    text = " ".join(shell("what-if", "--help").out.split())
    assert [kind for kind in kinds if f"{kind}:" not in text] == []
    assert len(kinds) >= 6


# --- long files ---


def test_progress_is_told_on_a_terminal(tmp_path: Path) -> None:
    document = DOCUMENT | {
        "machines": {"h100": {"synthetic": "pack:1 core:2 pu:1"}},
        "nodes": [{"names": "n[00001-30000]", "machine": "h100"}],
    }
    path = tmp_path / "big.json"
    path.write_text(json.dumps(document), "utf-8")
    parent, child = os.openpty()
    code = "import sys; from topoalloc.cli import main; sys.exit(main(sys.argv[1:]))"
    run = subprocess.run(
        [sys.executable, "-c", code, "cluster", "load", str(path)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=child,
    )
    os.close(child)
    told = os.read(parent, 10_000).decode()
    os.close(parent)
    assert run.returncode == 0
    assert "30000 of 30000 nodes" in told
    assert told.endswith("\r\x1b[K")
    assert run.stdout.startswith(b"Cluster: 30000 nodes, 30000 empty")
