# SPDX-License-Identifier: Apache-2.0
"""The JSON form of a Cluster: the same after every trip, or refused by path."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.long.fuzz_documents import mutant_of

import topoalloc as ta
from topoalloc._cluster_document import text_of
from topoalloc._node_names import is_plain, names_in, ranges_of

FIXTURE = Path(__file__).parent / "fixtures" / "cluster-1.json"
SCHEMAS = Path(ta.__file__).parent / "schemas"
SMALL = {"small": {"synthetic": "pack:1 core:4 pu:2"}}
LONGEST_MESSAGE = 20_000
MUTANTS = 800


def fixture() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FIXTURE.read_text("utf-8"))
    return document


def document(*nodes: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {
        "apiVersion": "topoalloc.dev/v1alpha1",
        "kind": "Cluster",
        "trees": [{"name": "network", "levels": ["block", "rack"]}],
        "machines": SMALL,
        "nodes": [{"machine": "small", **node} for node in nodes],
    } | parts


def validator() -> jsonschema.Draft202012Validator:
    names = ("gang", "gang_plan", "machine", "placement", "request", "snapshot")
    parts = [
        json.loads((SCHEMAS / f"{name}.json").read_text("utf-8")) for name in names
    ]
    schema = json.loads((SCHEMAS / "cluster.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    # Those that it refers to are found by their $id.
    schema["$defs"] = {part["$id"]: part for part in parts}
    return jsonschema.Draft202012Validator(schema)


def books(cluster: ta.Cluster) -> dict[str, Any]:
    """Return all that is to be kept, apart from how it is written."""
    return {
        "trees": cluster.trees,
        "policy": cluster.policy,
        "nodes": [
            (cluster.describe(name), cluster.node(name).snapshot())
            for name in cluster.nodes
        ],
        "gangs": [
            (
                running.gang,
                [(*pod[:3], pod.placement.to_dict()) for pod in running.pods],
            )
            for running in cluster.gangs.values()
        ],
    }


# --- what is read ---


def test_fixture_is_read_as_it_always_was() -> None:
    cluster = ta.Cluster.from_dict(fixture())
    cluster.check_consistency()
    assert cluster.trees == {"network": ("pod", "rack"), "nvlink": ("nvl",)}
    assert cluster.policy == ta.Policy.of("spread")
    assert cluster.nodes == [*(f"n0{i}" for i in (1, 2, 3, 4, 5, 6, 9)), "login[0]"]
    nine = cluster.describe("n09")
    assert nine.machine == ta.Machine.preset("gb200-tray")
    assert nine.domains == {"pod": "p1", "rack": "r2", "nvl": "d1"}
    assert nine.taints == (
        ta.Taint("maintenance"),
        ta.Taint("owner", "a", "NoExecute"),
    )
    assert nine.is_cordoned
    assert cluster.describe("n01").labels == {"pool": "train"}
    login = cluster.describe("login[0]")
    assert (login.reserved_pus, login.domains) == ("0-1", {})
    assert cluster.node("login[0]").state_dict()["cordoned_pus"] == "6"
    for name in ("n02", "n03"):
        system = cluster.node(name).placements["system"]
        assert (system.cpuset, system.memory) == ("142-143", {1: 2**31})
        assert cluster.node(name).state_dict()["cordoned_devices"] == ["nic3"]
    assert cluster.node("n01").placements["daemon"].status is ta.Status.OPTIMAL
    running = cluster.gangs["train-3"]
    assert (running.gang.priority, running.gang.queue) == (5, "team-a")
    assert [(pod.podset, pod.index, pod.node) for pod in running.pods] == [
        ("worker", 0, "n01"),
        ("worker", 1, "n01"),
        ("worker", 2, "n02"),
        ("worker", 3, "n02"),
        ("leader", 0, "n01"),
    ]
    pair = running.pods[0].placement
    assert pair == cluster.node("n01").placements["train-3/worker/0"]
    assert pair.pairs == (("gpu0", "nic0"), ("gpu1", "nic0"))
    cluster.release("train-3")
    assert [*cluster.node("n01").placements] == ["daemon"]


def test_schema_knows_the_fixture_and_what_is_written() -> None:
    validator().validate(fixture())
    written = json.loads(json.dumps(ta.Cluster.from_dict(fixture()).to_dict()))
    validator().validate(written)
    for key in ("trees", "machines", "nodes"):
        with pytest.raises(jsonschema.ValidationError):
            validator().validate({**written, key: None})
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(written | {"spare": 1})


def test_round_trip_keeps_everything() -> None:
    cluster = ta.Cluster.from_dict(fixture())
    written = cluster.to_dict()
    again = ta.Cluster.from_dict(json.loads(text_of(written)))
    again.check_consistency()
    assert books(again) == books(cluster)
    assert again.to_dict() == written
    # Both go on alike.
    more = ta.Gang("more", [ta.PodSet("worker", ta.Request(devices={"gpu": 4}), 2)])
    assert [c.place(more).to_dict() for c in (again, cluster)] == [
        cluster.place(more).to_dict()
    ] * 2


def test_text_has_a_line_for_each_entry() -> None:
    written = ta.Cluster.from_dict(fixture()).to_dict()
    lines = text_of(written).splitlines()
    assert json.loads(text_of(written)) == written
    entries = sum(len(part) for part in written.values() if not isinstance(part, str))
    keys = sum(1 if isinstance(part, str) else 2 for part in written.values())
    assert len(lines) == 2 + entries + keys
    assert text_of({"nodes": [], "machines": {}}) == (
        '{\n  "nodes": [],\n  "machines": {}\n}\n'
    )


def test_equal_states_and_machines_stand_once() -> None:
    cluster = ta.Cluster(levels=["rack"])
    machine = ta.Machine.from_synthetic("pack:1 core:4 pu:2")
    twin = ta.Machine.from_synthetic("pack:1 core:4 pu:2")
    cluster.add_nodes([f"n{i:02}" for i in range(12)], machine)
    cluster.add_node("m0", twin, domains={"rack": "r0"})
    for i in (2, 3, 4, 9):
        cluster.node(f"n{i:02}").take(owner="system", pus="0-1")
    written = cluster.to_dict()
    assert len(written["machines"]) == 1
    # In node order: those without a Domain come last.
    assert [entry.get("name", entry.get("names")) for entry in written["nodes"]] == [
        "m0",
        "n[00-11]",
    ]
    (state,) = written["states"]
    assert state["nodes"] == ["n[02-04]", "n09"]


def test_machines_of_one_name_are_told_apart() -> None:
    cluster = ta.Cluster(levels=["rack"])
    one, two = (
        ta.Machine.from_dict(
            ta.Machine.from_synthetic(f"core:{n} pu:1").to_dict() | {"name": "node"}
        )
        for n in (2, 4)
    )
    cluster.add_nodes(["a", "b", "c"], [one, two, one])
    written = cluster.to_dict()
    assert [*written["machines"]] == ["node", "node-2"]
    assert [entry["machine"] for entry in written["nodes"]] == [
        "node",
        "node-2",
        "node",
    ]
    again = ta.Cluster.from_dict(written)
    assert [again.describe(name).machine for name in "abc"] == [one, two, one]


def test_own_policy_is_kept() -> None:
    cluster = ta.Cluster(levels=["rack"], policy=ta.Policy("ours", 3, packing="spread"))
    again = ta.Cluster.from_dict(cluster.to_dict())
    assert again.policy == cluster.policy
    assert (len(again), again.trees) == (0, {"default": ("rack",)})


def test_names_with_brackets_are_names() -> None:
    names = ["a[1", "b]", "n[0-1]", "n0", "n1"]
    cluster = ta.Cluster(levels=["rack"])
    cluster.add_nodes(names, ta.Machine.from_synthetic("core:4 pu:1"))
    for name in names:
        cluster.node(name).cordon(0)
    again = ta.Cluster.from_dict(cluster.to_dict())
    assert books(again) == books(cluster)


def test_pod_without_its_place_is_left_out() -> None:
    cluster = ta.Cluster.from_dict(fixture())
    cluster.node("n02").release("train-3/worker/3")
    again = ta.Cluster.from_dict(cluster.to_dict())
    assert [pod.index for pod in again.gangs["train-3"].pods] == [0, 1, 2, 0]
    for owner in [*cluster.node("n02").placements, *cluster.node("n01").placements]:
        for node in ("n01", "n02"):
            if owner in cluster.node(node).placements:
                cluster.node(node).release(owner)
    assert "gangs" not in cluster.to_dict()


def test_machines_come_from_files_beside_the_document(tmp_path: Path) -> None:
    machine = ta.Machine.from_synthetic("pack:1 core:4 pu:2")
    (tmp_path / "spec.json").write_text(json.dumps(machine.to_dict()), "utf-8")
    text = document({"name": "n0"}, machines={"small": {"file": "spec.json"}})
    cluster = ta.Cluster.from_dict(text, folder=tmp_path)
    assert cluster.describe("n0").machine == machine
    with pytest.raises(ta.FormatError, match=r"^Cluster\.machines\.'small'\.file: "):
        ta.Cluster.from_dict(text)
    text["machines"] = {"small": {"file": "none.json"}}
    with pytest.raises(ta.FormatError, match=r"'none\.json': No such file"):
        ta.Cluster.from_dict(text, folder=tmp_path)
    (tmp_path / "none.json").write_text("<topology", "utf-8")
    with pytest.raises(ta.FormatError, match=r"^Cluster\.machines\.'small'\.file: "):
        ta.Cluster.from_dict(text, folder=tmp_path)


def test_progress_counts_nodes() -> None:
    told: list[tuple[int, int]] = []
    text = document(
        {"names": "n[00001-25000]"}, {"names": "m[1-2]", "taints": [{"key": "x"}]}
    )
    cluster = ta.Cluster.from_dict(text, progress=lambda *now: told.append(now))
    assert len(cluster) == 25002
    assert told == [(25000, 25002), (25002, 25002)]


# --- names ---


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-10]-a", ["n08-a", "n09-a", "n10-a"]),
        ("n[9-11]", ["n9", "n10", "n11"]),
        ("[0-0]", ["0"]),
    ],
)
def test_ranges_stand_for_names(text: str, names: list[str]) -> None:
    assert [*names_in("x", text)] == names


@pytest.mark.parametrize(
    "text",
    ["", "n[", "n]", "n[1]", "n[1-]", "n[2-1]", "n[08-100]", "n[1-02]", "n[1-2][3-4]",
     "n[1-1234567890]", "n[a-b]", "n[\u0661-\u0662]", "n\0", "\ud800"],
)  # fmt: skip
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises((ta.FormatError, ta.InvalidRequestError), match=r"^x: "):
        [*names_in("x", text)]


plain = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
).filter(is_plain)
numbered = st.builds(
    lambda stem, n, width: f"{stem}{n:0{width}}",
    st.sampled_from(["", "n", "r1-", "1n"]),
    st.integers(0, 10**9),
    st.integers(1, 9),
)


@given(
    st.lists(plain | numbered) | st.lists(st.integers(0, 120).map(lambda n: f"n{n}"))
)
def test_ranges_are_undone(names: list[str]) -> None:
    ranges = ranges_of(names)
    assert [name for text in ranges for name in names_in("x", text)] == names
    assert len(ranges) <= len(names)


# --- what is refused ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Gang"}, "Cluster.kind: 'Gang', want 'Cluster'"),
        ({"apiVersion": "v2"}, "Cluster.apiVersion: 'v2', want"),
        ({"spare": 1}, "Cluster: 'spare', want one of apiVersion, kind, trees"),
        ({"trees": []}, "Cluster: trees: none, want at least one"),
        ({"trees": {}}, "Cluster.trees: dict, want a list"),
        ({"trees": [3]}, "Cluster.trees[0]: int, want an object"),
        ({"trees": [{"name": "a"}]}, "Cluster.trees[0].levels: absent"),
        (
            {"trees": [{"name": "a", "levels": ["x", 3]}]},
            "Cluster.trees[0].levels[1]: int, want a str",
        ),
        ({"trees": [{"name": "a", "levels": ["node"]}]}, "Cluster: trees.a: "),
        ({"trees": [{"name": "a", "levels": []}]}, "Cluster: trees.a: no level, want"),
        (
            {"trees": [{"name": "a", "levels": []}] * 2},
            "Cluster.trees[1].name: 'a' twice, want it once",
        ),
        ({"policy": "tight"}, "Cluster.policy: "),
        ({"policy": 3}, "Cluster.policy: int, want a str"),
        ({"policy": {"name": "X"}}, "Cluster.policy.version: absent"),
        ({"machines": []}, "Cluster.machines: list, want an object"),
        ({"machines": {"": {}}}, "Cluster.machines, a key: '', want a name"),
        (
            {"machines": {"small": {}}},
            "Cluster.machines.'small': keys none, want one of preset",
        ),
        (
            {"machines": {"small": {"preset": "dgx"}}},
            "Cluster.machines.'small'.preset: ",
        ),
        (
            {"machines": {"small": {"synthetic": "core:x"}}},
            "Cluster.machines.'small'.synthetic: ",
        ),
        (
            {"machines": {"small": {"machine": {"kind": "Machine"}}}},
            "Cluster.machines.'small'.machine: ",
        ),
        ({"nodes": None}, "Cluster.nodes: NoneType, want a list"),
        ({"states": [3]}, "Cluster.states[0]: int, want an object"),
        (
            {"states": [{"nodes": "n[1-9]"}]},
            "Cluster.states[0].nodes: 'n3' is no node, want each node once",
        ),
        (
            {"states": [{"nodes": ["n1"]}, {"nodes": ["n2", "n1"]}]},
            "Cluster.states[1].nodes[1]: 'n1' twice, want each node once",
        ),
        (
            {"states": [{"node": "n1", "cordoned_devices": ["gpu9"]}]},
            "Cluster.states[0]: ",
        ),
        (
            {"states": [{"node": "n1", "taken": [{"owner": "a", "pus": "99"}]}]},
            "Cluster.states[0].taken[0]: ",
        ),
        (
            {"states": [{"node": "n1", "taken": [{"pus": "1"}]}]},
            "Cluster.states[0].taken[0].owner: absent",
        ),
        (
            {"states": [{"node": "n1", "taken": [{"owner": "a", "memory": {"x": 1}}]}]},
            "Cluster.states[0].taken[0].memory: key 'x', want a number in digits",
        ),
        (
            {"states": [{"node": "n1", "placements": [{"owner": "a"}]}]},
            "Cluster.states[0].placements[0].placement: absent",
        ),
        ({"gangs": [{}]}, "Cluster.gangs[0].gang: absent"),
        (
            {"gangs": [{"gang": {"kind": "Pod"}, "pods": []}]},
            "Cluster.gangs[0].gang.apiVersion: ",
        ),
    ],
)
def test_damaged_document_names_the_path(change: dict[str, Any], message: str) -> None:
    text = document({"names": "n[1-2]"}) | change
    with pytest.raises(ta.FormatError, match=f"^{re.escape(message)}"):
        ta.Cluster.from_dict(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "n1"}, "nodes[1].name: 'n1' twice, want each name once"),
        ({"names": ["m", "n[2-3]"]}, "nodes[1].names[1]: 'n2' twice, want each name"),
        ({}, "nodes[1].name, names: neither, want one of them"),
        ({"name": "a", "names": "b"}, "nodes[1].name, names: both, want one of them"),
        ({"names": []}, "nodes[1].names: none, want at least one"),
        ({"names": "m[2-1]"}, "nodes[1].names: 'm[2-1]', want a range that ends"),
        ({"names": "m[1-2000000]"}, "nodes[1].names: too many names, want at most"),
        ({"name": "m", "machine": "big"}, "nodes[1].machine: 'big', want one of small"),
        ({"name": "m", "machine": 3}, "nodes[1].machine: int, want a str"),
        (
            {"name": "m", "domains": {"zone": "z"}},
            "nodes[1].domains.zone: no such level",
        ),
        (
            {"name": "m", "domains": {"rack": 7}},
            "nodes[1].domains.rack: int, want a str",
        ),
        ({"name": "m", "domains": {"rack": "\0"}}, "nodes[1].domains.rack: "),
        ({"name": "m", "labels": {"": "x"}}, "nodes[1].labels, a key: '', want a name"),
        ({"name": "m", "labels": []}, "nodes[1].labels: list, want an object"),
        ({"name": "m", "taints": [{"value": "x"}]}, "nodes[1].taints[0].key: absent"),
        (
            {"name": "m", "taints": [{"key": "x", "effect": "Never"}]},
            "nodes[1].taints[0]: Taint.effect: 'Never', want",
        ),
        (
            {"name": "m", "taints": [{"key": "x", "time": 1}]},
            "nodes[1].taints[0]: 'time'",
        ),
        ({"name": "m", "cordoned": 1}, "nodes[1].cordoned: 1, want true or false"),
        ({"name": "m", "reserved_pus": "0-"}, "nodes[1]: "),
        ({"name": "m", "reserved_pus": "77"}, "nodes[1]: "),
        ({"name": "m", "rank": 1}, "nodes[1]: 'rank', want one of name, names"),
    ],
)
def test_damaged_node_names_the_path(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ta.FormatError, match=f"^{re.escape('Cluster.' + message)}"):
        ta.Cluster.from_dict(document({"names": "n[1-2]"}, change))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("podset",), "boss", "pods[1].podset: 'boss', want one of worker, leader"),
        (("index",), 4, "pods[1].index: 4, want 0 to 3"),
        (("index",), -1, "pods[1].index: -1, want 0 to"),
        (("index",), 0, "pods[1].placement: "),
        (("node",), "n77", "pods[1].node: 'n77', want a node of the Cluster"),
        (("node",), "login[0]", "pods[1].placement: "),
        (("placement",), [], "pods[1].placement: list, want an object"),
        (("placement", "status"), "GOOD", "pods[1].placement.status: 'GOOD', want"),
        (("placement", "cpuset"), "0-7", "pods[1].placement: "),
        (("placement", "devices", 0, "name"), "gpu9", "pods[1].placement: "),
        (("placement", "localities", 0), 44, "pods[1].placement: "),
    ],
)
def test_damaged_pod_names_the_path(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    text = fixture()
    here: Any = text["gangs"][0]["pods"][1]
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    with pytest.raises(ta.FormatError) as caught:
        ta.Cluster.from_dict(text)
    assert str(caught.value).startswith("Cluster.gangs[0]")
    assert message in str(caught.value)


def test_gang_runs_once_and_with_pods() -> None:
    text = fixture()
    text["gangs"].append({"gang": text["gangs"][0]["gang"], "pods": []})
    with pytest.raises(ta.FormatError, match=r"^Cluster\.gangs\[1\]: pods: none, want"):
        ta.Cluster.from_dict(text)
    text["gangs"][1] = copy.deepcopy(text["gangs"][0])
    with pytest.raises(ta.FormatError, match=r"^Cluster\.gangs\[1\]\.pods\[0\]"):
        ta.Cluster.from_dict(text)
    text["gangs"][0]["gang"]["podsets"][0]["count"] = 0
    with pytest.raises(
        ta.FormatError, match=r"^Cluster\.gangs\[0\]\.gang\.podsets\[0\]\.count: 0"
    ):
        ta.Cluster.from_dict(text)


@pytest.mark.parametrize("value", [None, 3, "{}", [], {"kind": "Cluster"}])
def test_what_is_no_document_is_refused(value: Any) -> None:
    with pytest.raises(ta.FormatError, match=r"^Cluster"):
        ta.Cluster.from_dict(value)


def fault_of(error: ta.FormatError) -> str:
    """Say what is wrong with a refusal."""
    text = str(error)
    is_good = (
        text.startswith("Cluster") and ": " in text and len(text) < LONGEST_MESSAGE
    )
    return "" if is_good else text


def test_mutated_documents_are_read_or_refused_by_path() -> None:
    random = Random(20261122)
    whole = ta.Cluster.from_dict(fixture()).to_dict()
    # The Machine has mutants of its own; here it would be most of every mutant.
    whole["machines"] = fixture()["machines"]
    read = refused = 0
    for i in range(MUTANTS):
        mutant = mutant_of(random, whole if i % 2 else fixture(), whole)
        try:
            cluster = ta.Cluster.from_dict(mutant)
        except ta.FormatError as error:
            refused += 1
            fault = fault_of(error)
        else:
            read += 1
            cluster.check_consistency()
            written = cluster.to_dict()
            is_kept = ta.Cluster.from_dict(written).to_dict() == written
            fault = "" if is_kept else "not the same after a trip"
        assert fault == "", mutant
    assert refused > MUTANTS // 2
    assert read > MUTANTS // 20
