# SPDX-License-Identifier: Apache-2.0
"""The command: answers, exit codes, and what goes to which stream."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

import topoalloc as ta
from topoalloc.cli import COMMANDS, main, overview
from topoalloc.cli._command import make_command

SMALL = "pack:2 numa:1 core:4 pu:2"
HWLOC_BIND = (
    "hwloc-bind -p --cpubind pu:0-3 pu:112-115 --membind numa:0 "
    "--mempolicy bind --strict --"
)
ENVIRONMENT = (
    "TOPOALLOC_PUS=0-3,112-115 TOPOALLOC_NUMA_NODES=0 TOPOALLOC_GPU=gpu0 "
    "TOPOALLOC_NIC=nic0 NCCL_IB_HCA==mlx5_0"
)
PAIRED = ("--gpus", "2", "--nics", "2", "--require", "pair:gpu:nic:bridges")


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Result:
        code = main(words)
        return Result(code, *self._capsys.readouterr())

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").out)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


# --- the top ---


def test_help_names_every_command(shell: Shell) -> None:
    result = shell("--help")
    assert (result.code, result.err) == (0, "")
    assert result.out == overview()
    for name, summary in COMMANDS.items():
        assert f"  {name} " in result.out
        assert summary in result.out


def test_no_command_is_bad_input(shell: Shell) -> None:
    assert shell() == (2, overview(), "")


def test_unknown_command_names_the_known_ones(shell: Shell) -> None:
    result = shell("plann")
    assert (result.code, result.out) == (2, "")
    assert (
        result.err
        == f"topoalloc: command: 'plann', want one of {', '.join(COMMANDS)}\n"
    )


def test_version_is_the_package_s(shell: Shell) -> None:
    assert shell("--version") == (0, f"topoalloc {ta.__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_options_and_examples(name: str, shell: Shell) -> None:
    result = shell(*name.split(), "--help")
    assert (result.code, result.err) == (0, "")
    assert f"topoalloc {name}" in result.out
    assert "Examples:" in result.out
    for parameter in make_command(name).params:
        for option in parameter.opts:
            assert option in result.out or not option.startswith("-")


def test_top_help_loads_neither_typer_nor_rich() -> None:
    code = (
        "import sys, topoalloc.cli as c; c.main(['--help']);"
        "sys.exit(bool({'typer', 'rich', 'topoalloc.hwloc'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_missing_extra_says_what_to_install(
    module: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    if module == "rich":
        monkeypatch.setitem(sys.modules, "rich.console", None)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    result = shell("explain", "-i", SMALL, "--cores", "9")
    assert result.code == 2
    assert f"topoalloc: {module}" in result.err
    assert "pip install 'topoalloc[cli]'" in result.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["plan", "--bogus"], "--bogus: no such option"),
        (["doctor", "-i", "x"], "-i: no such option, want one that the help names"),
        (["plan", "--cores", "1.5"], "--cores: '1.5', want a whole number ("),
        (["plan", "0"], "slots: '0', want a whole number, 1 or more ("),
        (["plan", "10001"], "slots: '10001', want a whole number, 10000 or less ("),
        (["plan", "--max-steps=-5"], "--max-steps: '-5', want a whole number, 0 or"),
        (["plan", "--format", "x"], "--format: 'x', want one of 'table', 'env', "),
        (["run"], "COMMAND: missing"),
        (["replay"], "FILE: missing"),
        (["show", "extra"], "got unexpected extra argument"),
    ],
)
def test_words_that_cannot_be_read(
    words: list[str], complaint: str, shell: Shell
) -> None:
    result = shell(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"topoalloc: {complaint}")
    assert result.err.endswith(f"(topoalloc {words[0]} --help)\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["show", "-i", ""], "-i: '', want this host, which is -i left out, a file"),
        (
            ["plan", "-i", SMALL, "--cores", "1", "--memory-kind", "hbm"],
            "--memory-kind: hbm of no memory, want --memory or --hugepages with it",
        ),
        (
            ["plan", "-i", SMALL, "--memory", "1Gi", "--memory-kind", "gpu"],
            "--memory-kind: 'gpu', want one of dram, hbm, cxl, nvm",
        ),
        (
            ["plan", "-i", SMALL, "--device", "gpu=1", "--gpus", "2"],
            "--gpus: 2 beside --device gpu=1, want one of the two",
        ),
        (
            ["plan", "-i", SMALL, "--json", "--format", "taskset"],
            "--format: taskset beside --json, want one of the two",
        ),
        (
            ["show", "-i", SMALL, "--json", "--svg", "-"],
            "--svg: - beside --json, want a file",
        ),
        (
            ["show", "-i", "dgx-h100", "--matrix", "--class", "foo"],
            "--class: 'foo', want one of ",
        ),
        (
            ["show", "-i", SMALL, "--matrix", "--class", "foo"],
            "--class: 'foo', want none: no devices",
        ),
    ],
)
def test_options_that_would_go_unheard_are_refused(
    words: list[str], complaint: str, shell: Shell
) -> None:
    result = shell(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"topoalloc: {complaint}")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["plan", "-i", SMALL, "--request"], "--request"),
        (["plan", "-i", SMALL, "--cores", "1", "--save"], "--save"),
        (["plan", "-i", SMALL, "--cores", "1", "--record"], "--record"),
        (["show", "-i", SMALL, "--svg"], "--svg"),
        (["replay"], "FILE"),
    ],
)
def test_file_error_names_the_option(
    words: list[str], name: str, shell: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "none" / "file"
    result = shell(*words, str(path))
    assert (result.code, result.out) == (2, "")
    start = f"topoalloc: {name}: {path}: No such file or directory, want a "
    assert result.err.startswith(start)


def test_closed_pipe_ends_quietly() -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from topoalloc.cli import main\nsys.exit(main(sys.argv[1:]))",
        "show",
        "-i",
        "epyc-768",
        "--no-collapse",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


# --- where machines come from ---


def names_of(shell: Shell, source: str) -> int:
    return len(shell.json("show", "-i", source)["cores"])


def test_input_of_every_kind_is_read(
    shell: Shell, tmp_path: Path, repository: Path
) -> None:
    spec, snapshot = tmp_path / "node.json", tmp_path / "node.snapshot"
    machine = ta.Machine.from_synthetic(SMALL)
    spec.write_text(json.dumps(machine.to_dict()))
    snapshot.write_bytes(ta.Allocator(machine).snapshot())
    for source in (SMALL, str(spec), str(snapshot)):
        assert names_of(shell, source) == 8
    assert names_of(shell, "dgx-h100") == 112
    for version in (1, 2, 3):
        path = repository / f"csrc/tests/data/hwloc_v{version}.xml"
        assert names_of(shell, str(path)) == len(ta.Machine.from_xml(path).cores)


def test_input_from_standard_input(
    shell: Shell, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repository / "csrc/tests/data/hwloc_v2.xml"
    feed(monkeypatch, path.read_bytes())
    assert names_of(shell, "-") == len(ta.Machine.from_xml(path).cores)
    feed(monkeypatch, json.dumps(ta.Machine.from_synthetic(SMALL).to_dict()).encode())
    assert names_of(shell, "-") == 8


def test_this_host_is_the_default(shell: Shell) -> None:
    assert shell.json("show") == ta.Machine.discover().to_dict()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<topology", "node:1: <topology>: cut off"),
        (b'{"kind":\n', "node:2: Expecting value, want JSON"),
        (b"{}", "node: "),
        (b"\xff{", "node:1: "),
        (b"topoalloc-snapshot 1 sha256:0\n{}", "node: snapshot: damaged"),
    ],
)
def test_damaged_input_names_file_and_line(
    content: bytes,
    complaint: str,
    shell: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("node").write_bytes(content)
    result = shell("show", "-i", "node")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"topoalloc: {complaint}")


@pytest.mark.parametrize("source", ["nosuch", "no/such.xml", "."])
def test_input_that_names_nothing(source: str, shell: Shell) -> None:
    result = shell("show", "-i", source)
    assert result.code == 2
    assert f"-i: {source!r} is " in result.err
    assert 'want a file, "-", a synthetic' in result.err


def test_file_that_cannot_be_read(shell: Shell, tmp_path: Path) -> None:
    result = shell("show", "--state", str(tmp_path / "none"))
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"topoalloc: --state: {tmp_path / 'none'}: "
        "No such file or directory, want a snapshot\n"
    )


def test_state_of_another_machine_is_refused(shell: Shell, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(ta.Allocator(ta.Machine.from_synthetic(SMALL)).snapshot())
    result = shell("show", "-i", "dgx-h100", "--state", str(state))
    assert result.code == 2
    assert "--state: a snapshot of <Machine" in result.err
    assert shell("show", "-i", SMALL, "--state", str(state)).code == 0


# --- plan ---


def validate_plan(document: object) -> None:
    folder = Path(ta.__file__).parent / "schemas"
    names = ("plan", "request", "placement")
    plan, *others = (json.loads((folder / f"{n}.json").read_text()) for n in names)
    # Those that it refers to are found by their $id.
    plan["$defs"] = {other["$id"]: other for other in others}
    jsonschema.Draft202012Validator(plan).validate(document)


@pytest.mark.parametrize(
    "words",
    [
        ("2", *PAIRED, "--cores", "2", "--memory", "1Gi"),
        ("2", "--gpus", "1", "--each"),
        ("--gpus", "9"),
        ("--max-steps", "1", *PAIRED),
    ],
)
def test_plan_as_json_meets_its_schema(words: tuple[str, ...], shell: Shell) -> None:
    document = shell.json("plan", "-i", "dgx-h100", *words)
    validate_plan(document)
    slots: list[dict[str, Any]] = [{"placement": {}, "environment": {}}, {}]
    for wrong in slots:
        with pytest.raises(jsonschema.ValidationError):
            validate_plan(document | {"slots": [wrong]})


def test_plan_is_what_the_allocator_answers(shell: Shell) -> None:
    document = shell.json("plan", "-i", "dgx-h100", "--cores", "16", *PAIRED)
    request = ta.Request(
        cores=16,
        devices={"gpu": 2, "nic": 2},
        require=[ta.Pair("gpu", "nic", within="bridges")],
    )
    verdict = ta.Allocator(ta.Machine.preset("dgx-h100")).check(request)
    assert verdict.placement is not None
    assert document["request"] == request.to_dict()
    assert (document["status"], document["steps"]) == ("OPTIMAL", verdict.steps)
    (slot,) = document["slots"]
    expected = verdict.placement.to_dict() | {"owner": "slot-0"}
    assert slot["placement"] == expected
    assert document["cost"] == verdict.placement.cost.to_dict()


def test_plan_table_says_how_slots_were_placed(shell: Shell) -> None:
    alone = shell("plan", "-i", "dgx-h100", *PAIRED).out
    assert "gpu0-nic0 gpu1-nic3" in alone
    assert "1 placed alone, the best there is" in alone
    jointly = shell("plan", "-i", SMALL, "2", "--cores", "2").out
    assert "2 placed jointly" in jointly
    assert jointly.splitlines()[1].split() == ["slot-0", "0-3", "-"]
    each = shell("plan", "-i", SMALL, "2", "--cores", "2", "--each").out
    assert "2 placed one after the other, each the best that was left" in each


def test_plan_jointly_finds_what_one_by_one_misses(shell: Shell) -> None:
    # Two cores fit once in each package of three, and the fifth core is alone.
    few = ("plan", "-i", "pack:2 numa:1 core:3 pu:1", "3", "--cores", "2")
    assert shell(*few).code == 0
    refused = shell(*few, "--require", "align:numa")
    assert (refused.code, refused.out) == (1, "")
    assert "they do not fit together; 2 fit at once, and no more" in refused.err


def test_a_proved_no_goes_to_standard_error(shell: Shell) -> None:
    result = shell("plan", "-i", SMALL, "--cores", "9", "--format", "taskset")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("topoalloc: request: INFEASIBLE, NotEnoughCores\n")
    assert "It fits with 8 cores instead of 9." in result.err


def test_a_no_as_json_is_a_document(shell: Shell) -> None:
    for words in (("9",), ("9", "--each")):
        result = shell("plan", "-i", SMALL, "--cores", "1", *words, "--json")
        assert (result.code, result.err) == (1, "")
        document = json.loads(result.out)
        assert (document["status"], document["slots"]) == ("INFEASIBLE", [])
        assert document["explanation"]


def test_slots_one_by_one_prove_no_only_by_a_bound(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("plan", "-i", SMALL, "9", "--cores", "1", "--each")
    assert shell(*words).code == 1
    loose = ta.Headroom(8, 9)
    monkeypatch.setattr(ta.Allocator, "headroom", lambda *_, **__: loose)
    result = shell(*words)
    assert result.code == 3
    assert "slot-8 of 9 slots: INFEASIBLE" in result.err


def test_step_limit_is_undecided(shell: Shell) -> None:
    words = ("-i", "dgx-h100", *PAIRED, "--max-steps", "1")
    for command in ("plan", "explain"):
        assert shell(command, *words).code == 3
    result = shell("plan", "2", *words)
    assert (result.code, result.out) == (3, "")


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("taskset", "taskset -c 0-3,112-115"),
        (
            "hwloc-bind",
            HWLOC_BIND,
        ),
        ("rankfile", "rank 0=n7 slot=0,1,2,3"),
        (
            "env",
            ENVIRONMENT,
        ),
    ],
)
def test_plan_in_the_words_of_others(form: str, line: str, shell: Shell) -> None:
    words = ("--cores", "4", "--memory", "1Gi", "--gpus", "1", "--nics", "1")
    host = ("--host", "n7") if form == "rankfile" else ()
    result = shell("plan", "-i", "dgx-h100", "2", *words, "--format", form, *host)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == line
    assert len(result.out.splitlines()) == 2


def test_forms_refuse_what_they_cannot_say(shell: Shell) -> None:
    gpu = shell("plan", "-i", "dgx-h100", "--gpus", "1", "--format", "taskset")
    assert gpu.code == 2
    assert "there is no PU to bind, want --cores or --pus" in gpu.err
    split = shell("plan", "-i", SMALL, "--pus", "1", "--format", "rankfile")
    assert split.code == 2
    assert "a core is split" in split.err


def test_reserved_cordoned_and_excluded_are_not_chosen(shell: Shell) -> None:
    words = ("plan", "-i", "dgx-h100", "--cores", "1", "--gpus", "1")
    (slot,) = shell.json(
        *words, "--reserved-pus", "core:0-1", "--cordon", "gpu0", "--exclude", "gpu1"
    )["slots"]
    assert slot["placement"]["cpuset"] == "2,114"
    assert slot["placement"]["devices"] == [{"name": "gpu2"}]


def test_saved_state_is_taken_into_account(shell: Shell, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert shell("plan", "-i", SMALL, "--cores", "2", "--save", state).code == 0
    (slot,) = shell.json("plan", "--state", state, "--cores", "2")["slots"]
    placement = slot["placement"]
    assert (placement["owner"], placement["cpuset"]) == ("slot-1", "4-7")
    assert "<- slot-0" in shell("show", "--state", state).out
    refused = shell("plan", "--state", state, "--cores", "2", "--policy", "spread")
    assert refused.code == 2
    assert "want them as it says" in refused.err


def test_order_of_the_terms_decides(shell: Shell) -> None:
    plain = ("plan", "-i", "pack:2 numa:1 l3:3 core:2 pu:1", "--cores", "2")
    for words, cpuset in (
        (("--policy", "spread"), "0-1"),
        (("--policy", "spread", "--order", "opened"), "0,6"),
        (("--order", "opened,packages"), "0-1"),
    ):
        (slot,) = shell.json(*plain, *words)["slots"]
        assert slot["placement"]["cpuset"] == cpuset
    for order, complaint in (
        ("l3", "'l3', want each of packages, localities"),
        ("l3s,l3s", "'l3s' twice, want it once"),
        ("", "'', want each of packages, localities"),
    ):
        refused = shell(*plain, "--order", order)
        assert refused.code == 2
        assert f"--order: {complaint}" in refused.err


def test_order_stands_in_the_record(shell: Shell, tmp_path: Path) -> None:
    record = tmp_path / "record"
    words = ("plan", "-i", SMALL, "--cores", "2", "--record", str(record))
    assert shell(*words, "--order", "l3s").code == 0
    policy = json.loads(record.read_text("utf-8"))["policy"]
    assert (policy["name"], policy["order"][0]) == ("command-line", "l3s")
    assert shell("replay", str(record)).code == 0


def test_a_no_saves_nothing(shell: Shell, tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert shell("plan", "-i", SMALL, "--cores", "9", "--save", str(state)).code == 1
    assert not state.exists()


# --- explain, replay ---


def test_explain_no_shows_conflict_counts_and_ways_out(shell: Shell) -> None:
    words = ("explain", "-i", SMALL, "--cores", "5", "--require", "align:numa")
    result = shell(*words)
    assert result.code == 1
    for text in (
        "Conflict",
        "require[0]",
        "What there is",
        "It fits with one of these",
    ):
        assert text in result.out
    document = shell.json(*words)
    assert {entry["path"] for entry in document["conflict"]} == {"cores", "require[0]"}


def test_explain_yes_shows_cost_and_runner_up(shell: Shell) -> None:
    result = shell("explain", "-i", SMALL, "--cores", "2")
    assert result.code == 0
    assert result.out.startswith("OPTIMAL: Placed")
    assert "Cost\n  packages 1, localities 1" in result.out
    assert "Next best\n  PUs " in result.out


@pytest.mark.parametrize("cores", ["2", "9"])
def test_record_replays_equal(cores: str, shell: Shell, tmp_path: Path) -> None:
    record = str(tmp_path / "record.json")
    for command in ("explain", "plan"):
        shell(command, "-i", SMALL, "--cores", cores, "--record", record)
        assert shell("replay", record).out.startswith("equal: ")
        document = shell.json("replay", record)
        assert (document["equal"], document["differences"]) == (True, [])


def test_record_goes_to_standard_output_alone(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = shell("explain", "-i", SMALL, "--cores", "2", "--record", "-")
    feed(monkeypatch, result.out.encode())
    assert shell("replay", "-").code == 0


def test_replay_tells_what_differs(shell: Shell, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    shell("explain", "-i", SMALL, "--cores", "2", "--record", str(record))
    document = json.loads(record.read_text()) | {"steps": 123456}
    record.write_text(json.dumps(document))
    result = shell("replay", str(record))
    assert result.code == 1
    assert result.out.startswith("steps: ")
    assert result.out.endswith("recorded 123456\n")
    assert shell.json("replay", str(record))["equal"] is False


def test_replay_refuses_what_is_no_record(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in ("[]", "{}", "nonsense"):
        path.write_text(content)
        result = shell("replay", str(path))
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"topoalloc: {path}")


def test_record_of_several_slots_is_refused(shell: Shell, tmp_path: Path) -> None:
    result = shell(
        "plan", "-i", SMALL, "2", "--cores", "1", "--record", str(tmp_path / "x")
    )
    assert (result.code, result.err) == (2, "topoalloc: --record: 2 slots, want one\n")


# --- show ---


def test_show_draws_tree_matrix_and_svg(shell: Shell, tmp_path: Path) -> None:
    machine = ta.Machine.preset("dgx-h100")
    tree = shell("show", "-i", "dgx-h100").out
    assert tree.startswith('Machine (2Ti total) "dgx-h100"\n  Package L#0 (P#0)\n')
    matrix = shell("show", "-i", "dgx-h100", "--matrix", "--class", "gpu").out
    assert "nic0" not in matrix
    assert "Links, GB/s one way" in matrix
    assert "NUMA distances" in matrix
    assert "bridges" in shell("show", "-i", "dgx-h100", "--matrix", "--own-words").out
    path = tmp_path / "x.svg"
    assert shell("show", "-i", "dgx-h100", "--svg", str(path)) == (0, "", "")
    assert path.read_text() == shell("show", "-i", "dgx-h100", "--svg", "-").out
    document = shell.json("show", "-i", "dgx-h100", "--matrix")
    row = [each["name"] for each in document["devices"]].index("gpu0")
    levels = [int(machine.distance("gpu0", d)) for d in machine.devices]
    assert document["levels"][row] == levels


# --- doctor ---


def test_doctor_finds_hwloc_and_this_host(shell: Shell) -> None:
    result = shell("doctor")
    assert result.code == 0
    findings = {entry["what"]: entry for entry in shell.json("doctor")["findings"]}
    assert findings["libhwloc"]["found"].startswith("/")
    assert findings["machine"]["found"] == repr(ta.Machine.discover())[1:-1]
    for entry in findings.values():
        assert entry["what"] in result.out
        assert entry["found"] in result.out


def test_doctor_notes_numa_nodes_that_are_not_allowed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ta.Machine.from_synthetic("numa:3 core:2 pu:1")
    for allowed, found in (
        ([0, 1, 2], None),
        ([0, 2], "NUMANodes 0,2 of 0-2 allowed"),
        ([], "NUMANodes none of 0-2 allowed"),
    ):
        document = whole.to_dict() | {"allowed_numa_nodes": allowed}
        machine = ta.Machine.from_dict(document)
        monkeypatch.setattr(ta.Machine, "discover", lambda machine=machine: machine)
        findings = {e["what"]: e["found"] for e in shell.json("doctor")["findings"]}
        assert findings["cgroup"].startswith("all PUs allowed")
        assert findings.get("cgroup, memory") == found


def test_show_marks_numa_nodes_that_are_not_allowed(
    shell: Shell, tmp_path: Path
) -> None:
    document = ta.Machine.from_synthetic("numa:2 core:2 pu:1").to_dict()
    path = tmp_path / "node.json"
    path.write_text(json.dumps(document | {"allowed_numa_nodes": [1]}))
    result = shell("show", "-i", str(path))
    assert "NUMANode L#0 (P#0 1Gi) <- not allowed\n" in result.out
    assert "NUMANode L#1 (P#1 1Gi)\n" in result.out
    assert shell.json("show", "-i", str(path))["allowed_numa_nodes"] == [1]


def test_doctor_says_what_to_do_without_hwloc(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ta.TopologyError(38, "libhwloc: none, want one")

    monkeypatch.setattr("topoalloc.hwloc.library", refuse)
    monkeypatch.setattr(ta.Machine, "discover", refuse)
    result = shell("doctor")
    assert result.code == 1
    assert "missing  libhwloc" in result.out
    assert "What to do\n  libhwloc: install hwloc" in result.out


# --- run ---


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from topoalloc.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, "run", *words],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )


def test_run_binds_as_the_kernel_says() -> None:
    program = (
        "import json, os; print(json.dumps([sorted(os.sched_getaffinity(0)),"
        "os.environ['TOPOALLOC_PUS'], open('/proc/self/numa_maps').readline()]))"
    )
    done = run("--pus", "1", "--memory", "4Mi", "--", sys.executable, "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    allocator = ta.Allocator(ta.Machine.discover())
    placement = allocator.check(ta.Request(pus=1, memory="4Mi")).placement
    assert placement is not None
    pus, variable, maps = json.loads(done.stdout)
    assert (tuple(pus), variable) == (placement.pus, placement.cpuset)
    (node,) = placement.memory
    # The kernel writes a strict binding as "bind:0", whatever page comes first.
    assert maps.split()[1] == f"bind:{node}"


def test_run_takes_the_exit_code_and_options_of_the_command() -> None:
    done = run("--pus", "1", "sh", "-c", "exit 7")
    assert done.returncode == 7


def test_run_leaves_out_what_others_hold(tmp_path: Path) -> None:
    machine = ta.Machine.discover()
    allocator = ta.Allocator(machine)
    first = allocator.allocate(ta.Request(pus=1), owner="other")
    state = tmp_path / "state"
    state.write_bytes(allocator.snapshot())
    if len(machine.pus) == 1:
        assert run("--pus", "1", "--state", str(state), "true").returncode == 1
        return
    done = run("--pus", "1", "--state", str(state), "--dry-run", "true")
    assert done.returncode == 0
    assert done.stdout != f"TOPOALLOC_PUS={first.cpuset}\n"
    assert done.stdout.startswith("TOPOALLOC_PUS=")


def test_run_says_no_before_it_starts_anything() -> None:
    done = run("--cores", "100000", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (1, "")
    assert "INFEASIBLE, NotEnoughCores" in done.stderr


def test_run_of_what_cannot_run(tmp_path: Path) -> None:
    done = run("--pus", "1", "--", str(tmp_path / "none"))
    assert done.returncode == 127
    assert "not found, want a command" in done.stderr
    done = run("--pus", "1", "--", str(tmp_path))
    assert done.returncode == 126


def test_run_refuses_the_state_of_another_machine(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_bytes(ta.Allocator(ta.Machine.preset("gh200")).snapshot())
    done = run("--pus", "1", "--state", str(state), "true")
    assert done.returncode == 2
    assert "want one of this host" in done.stderr
