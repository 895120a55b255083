# SPDX-License-Identifier: Apache-2.0
"""Options to Requests, locations to PUs, devices to the variables of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import topoalloc as ta
from topoalloc.cli._formats import environment
from topoalloc.cli._locations import device_key, pus_of
from topoalloc.cli._question import Question, parse_constraint


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("align:numa", ta.Align("numa")),
        ("align:l3:pus,gpu", ta.Align("l3", of=("pus", "gpu"))),
        ("pair:gpu:nic", ta.Pair("gpu", "nic")),
        ("pair:gpu:nic:PXB", ta.Pair("gpu", "nic", within="bridges")),
        ("pair:gpu:nic:numa:2:1", ta.Pair("gpu", "nic", within="numa", ratio=(2, 1))),
        ("link:gpu", ta.Link("gpu")),
        ("link:gpu:connected", ta.Link("gpu", mode="connected")),
        ("link:gpu:clique:100000", ta.Link("gpu", min_mb_s=100_000)),
        ("same:rail:gpu,nic", ta.Same("rail", of=("gpu", "nic"))),
        ("distinct:example.com/rail:nic", ta.Distinct("example.com/rail", of="nic")),
        ("near:gpu0", ta.Near("gpu0")),
        ("near:gpu0,gpu1:PHB", ta.Near(("gpu0", "gpu1"), within="root")),
        ("near:0000:1b:00.0:package", ta.Near("0000:1b:00.0", within="package")),
        ("near:0000:1b:00.0", ta.Near("0000:1b:00.0")),
        ('{"align": {"level": "numa"}}', ta.Align("numa")),
    ],
)
def test_constraint_is_read(text: str, constraint: object) -> None:
    assert parse_constraint("--require", text) == constraint


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("aline:numa", "'aline:numa', want one of align:LEVEL"),
        ("pair:gpu", "'pair:gpu': want pair:A:B"),
        ("pair:gpu:nic:numa:2", "want pair:A:B"),
        ("pair:gpu:nic:numa:2:x", "ratio: 'x', want a number"),
        ("pair:gpu:nic:near", "within: 'near', want one of self"),
        ("link:gpu:clique:fast", "MB/s: 'fast', want a number"),
        ("same:rail", "want same:ATTRIBUTE:CLASS"),
        ("align:", "Align.level: '', want a name"),
        ('{"align": 1}', "align: 1, want an object"),
        ("{", "--require:1: "),
    ],
)
def test_bad_constraint_says_what_it_wants(text: str, complaint: str) -> None:
    with pytest.raises(ta.InvalidRequestError) as caught:
        parse_constraint("--require", text)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("--require")


def test_options_make_the_request() -> None:
    question = Question(
        pus=4,
        whole_cores=True,
        memory="1Gi",
        memory_kind="hbm",
        hugepages=["2Mi=1Gi", "1Gi=2Gi"],
        gpus=2,
        device=["nic=1", "fpga=3"],
        where=[
            "gpu.model=A100|H100",
            "gpu.memory>=80Gi",
            "nic.rdma=true",
            'nic.port="1"',
            "fpga.rev!=7",
            "fpga.slot<=-3",
        ],
        share=["fpga.luts=10k"],
        exclude=["os=mlx5_3", "pci=1b:00.0"],
        require=["align:numa"],
        prefer=["pair:gpu:nic:PIX:2:1", "link:gpu"],
    )
    assert question.make() == ta.Request(
        pus=4,
        whole_cores=True,
        memory="1Gi",
        kind="hbm",
        hugepages={"2Mi": "1Gi", "1Gi": "2Gi"},
        devices={
            "gpu": ta.DeviceRequest(
                2,
                where={"model": ta.OneOf("A100", "H100"), "memory": ta.AtLeast("80Gi")},
            ),
            "nic": ta.DeviceRequest(1, where={"rdma": True, "port": "1"}),
            "fpga": ta.DeviceRequest(
                3,
                where={"rev": ta.Not(7), "slot": ta.AtMost(-3)},
                share={"luts": 10_000},
            ),
        },
        exclude=["mlx5_3", "0000:1b:00.0"],
        require=[ta.Align("numa")],
        prefer=[ta.Pair("gpu", "nic", within="switch", ratio=(2, 1)), ta.Link("gpu")],
    )


def test_options_change_a_request_file(tmp_path: Path) -> None:
    base = ta.Request(
        cores=2,
        memory="1Gi",
        devices={"gpu": ta.DeviceRequest(1, where={"model": "H100"}), "nic": 1},
        require=[ta.Align("numa")],
    )
    path = tmp_path / "request.json"
    path.write_text(json.dumps(base.to_dict()))
    assert Question(request=str(path)).make() == base
    changed = Question(request=str(path), cores=4, gpus=2, nics=0).make()
    assert changed == base.replace(
        cores=4, devices={"gpu": ta.DeviceRequest(2, where={"model": "H100"})}
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "request: nothing asked for"),
        ({"device": ["nic"]}, "--device: 'nic', want NAME=VALUE"),
        ({"device": ["nic=1", "nic=2"]}, "--device: 'nic' twice"),
        ({"device": ["nic=many"]}, "--device: 'many', want a number"),
        ({"gpus": 1, "where": ["nic.rdma=true"]}, "--where: no nic is asked for"),
        ({"gpus": 1, "where": ["rdma"]}, "--where: 'rdma', want CLASS.ATTRIBUTE"),
        ({"gpus": 1, "where": ["gpu.a=1", "gpu.a=2"]}, "--where: gpu.a twice"),
        ({"gpus": 1, "share": ["gpu=1"]}, "--share: 'gpu', want CLASS.CAPACITY"),
        ({"gpus": 1, "partition": ["nic=vf"]}, "--partition: no nic is asked for"),
        ({"cores": 1, "pus": 1}, "cores"),
        ({"memory": "64GB"}, "memory: '64GB', want 64G or 64Gi"),
    ],
)
def test_bad_options_say_what_they_want(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ta.InvalidRequestError) as caught:
        Question(**options).make()
    assert complaint in str(caught.value)


def test_bad_request_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text('{"kind": "Request"}')
    with pytest.raises(ta.FormatError, match=f"{path}: "):
        Question(request=str(path)).make()


# --- locations ---


@pytest.mark.parametrize(
    ("text", "pus"),
    [
        ("", ""),
        ("0-1,7", "0-1,7"),
        ("core:1", "2,3"),
        ("core:6-", "12,13,14,15"),
        ("package:1.core:0-1", "8,9,10,11"),
        ("numa:0.pu:1 numa:1.core:3.pu:0", "1,14"),
        ("pack:all", ",".join(map(str, range(16)))),
    ],
)
def test_location_is_read(text: str, pus: str) -> None:
    assert pus_of(ta.Machine.from_synthetic("pack:2 numa:1 core:4 pu:2"), text) == pus


def test_location_counts_logically_and_names_by_os_index() -> None:
    assert pus_of(ta.Machine.preset("dgx-h100"), "core:0 core:111") == "0,112,111,223"


@pytest.mark.parametrize(
    "text", ["core", "chip:0", "core:8", "package:0.core:4", "pu:2-1"]
)
def test_bad_location_says_what_it_wants(text: str) -> None:
    with pytest.raises(ta.InvalidRequestError, match=f"location: '{text}', want "):
        pus_of(ta.Machine.from_synthetic("pack:2 numa:1 core:4 pu:2"), text)


def test_device_keys_of_hwloc() -> None:
    assert device_key("os=eth0") == "eth0"
    assert device_key("pci=1b:00.0") == "0000:1b:00.0"
    assert device_key("pci=0001:1b:00.0") == "0001:1b:00.0"
    assert device_key("gpu=0") == "gpu=0"


# --- variables ---


def variables(*devices: dict[str, Any]) -> dict[str, str]:
    machine = ta.Machine.from_dict(
        ta.Machine.from_synthetic("pack:1 core:1 pu:1").to_dict()
        | {
            "devices": [
                {"pci_address": f"0000:0{i + 1}:00.0", **device}
                for i, device in enumerate(devices)
            ]
        }
    )
    wanted: dict[str, int | ta.DeviceRequest] = {}
    for device in devices:
        wanted[device["class"]] = sum(d["class"] == device["class"] for d in devices)
    placement = ta.Allocator(machine).allocate(ta.Request(devices=wanted), owner="a")
    found = environment(placement)
    return {name: text for name, text in found.items() if "TOPOALLOC" not in name}


def gpu(**fields: Any) -> dict[str, Any]:
    return {"class": "gpu", **fields}


def test_gpus_go_by_uuid() -> None:
    uuids = [f"GPU-0000000{i}-aaaa-bbbb-cccc-dddddddddddd" for i in (1, 2)]
    assert variables(*(gpu(uuid=uuid) for uuid in uuids)) == {
        "CUDA_VISIBLE_DEVICES": ",".join(uuids)
    }


def test_gpus_go_by_nvml_index_in_pci_order() -> None:
    gpus = [gpu(attributes={"nvml_index": i}) for i in (3, 5)]
    assert variables(*gpus) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "3,5",
    }


def test_amd_gpus_go_by_uuid_or_not_at_all() -> None:
    amd = {"rsmi_index": 0}
    assert variables(gpu(attributes=amd, uuid="GPU-0123456789abcdef")) == {
        "ROCR_VISIBLE_DEVICES": "GPU-0123456789abcdef"
    }
    assert variables(gpu(attributes=amd)) == {}


def test_no_variable_is_a_guess() -> None:
    known = gpu(uuid="GPU-00000001-aaaa-bbbb-cccc-dddddddddddd")
    assert variables(known, gpu()) == {}
    assert variables(gpu(attributes={"cuda_index": 0})) == {}
    nic = {"class": "nic", "attributes": {"rdma": True}}
    assert variables({**nic, "aliases": ["mlx5_0"]}, {**nic, "aliases": ["eth0"]}) == {}


def test_only_nics_with_rdma_are_hcas() -> None:
    assert variables(
        {"class": "nic", "attributes": {"rdma": True}, "aliases": ["eth0", "mlx5_0"]},
        {"class": "nic", "attributes": {"rdma": False}, "aliases": ["eth1"]},
    ) == {"NCCL_IB_HCA": "=mlx5_0"}
