# SPDX-License-Identifier: Apache-2.0
"""prepare: an allocated claim gets its PUs, memory and devices, once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.cluster_objects import claim_of, class_of, request_of
from tests.documents import UID

import topoalloc as ta
from topoalloc import kubernetes as tk

DGX = ta.Machine.preset("dgx-h100")
HGX = ta.Machine.preset("hgx-h100-2gpu2nic")


class Node:
    """A node with drivers for its PUs, memory, GPUs and NICs."""

    def __init__(self, machine: ta.Machine, group_by: str = "numanode") -> None:
        self.allocator = ta.Allocator(machine)
        self.inventory = tk.Inventory()
        self.number = 0
        classes = {device.device_class for device in machine.devices}
        for kind in ("pu", "memory", *sorted(classes)):
            driver = f"{kind}.example.com"
            self.inventory.update(class_of(kind, f"device.driver == '{driver}'"))
            for item in tk.resource_slices(
                machine, driver=driver, node_name="n1", kinds=[kind], group_by=group_by
            ):
                self.inventory.update(item)

    def allocated(self, *requests: dict[str, Any], **devices: Any) -> dict[str, Any]:
        self.number += 1
        claim = claim_of(f"c{self.number}", *requests, **devices)
        claim["metadata"]["uid"] = f"uid-{self.number}"
        (found,) = self.inventory.allocate([claim], node="n1")
        return found

    def prepare(self, claim: dict[str, Any], **options: Any) -> tk.Prepared:
        return tk.prepare(claim, self.allocator, inventory=self.inventory, **options)


def pus(count: int, name: str = "cpus") -> dict[str, Any]:
    capacity = {"requests": {"pu.example.com/cpu": str(count)}}
    return request_of(name, "pu", capacity=capacity)


def test_a_pod_gets_pus_beside_its_gpu_and_nic() -> None:
    node = Node(HGX, "machine")
    pair = node.allocated(
        request_of("g", "gpu", selectors=[_index_is("gpu-6")]),
        request_of("n", "nic"),
        constraints=[{"matchAttribute": "topoalloc.dev/switch"}],
    )
    cpus = node.allocated(pus(12))
    devices = node.prepare(pair)
    assert [device.machine_device for device in devices.devices] == ["gpu6", "nic6"]
    assert node.allocator.owner_of("gpu6") == devices.owner == "claim/uid-1"
    # gpu6 is of the second NUMANode.
    prepared = node.prepare(cpus, beside=[pair])
    (device,) = prepared.devices
    assert device.cpuset == "56-61,168-173"
    assert prepared.placement is not None
    assert prepared.placement.cpuset == device.cpuset
    assert node.prepare(cpus, beside=[pair]) == prepared
    assert prepared.cpu_configs == [
        {
            "source": "FromClaim",
            "requests": ["cpus"],
            "opaque": {
                "driver": "pu.example.com",
                "parameters": {
                    "apiVersion": "v1alpha1",
                    "cpuConfig": {"cpuset": "56-61,168-173"},
                },
            },
        }
    ]
    assert tk.unprepare("uid-2", node.allocator)
    assert not tk.unprepare("uid-2", node.allocator)
    assert node.allocator.free_pus == "0-223"


def _index_is(name: str) -> dict[str, Any]:
    address = {device.name: device.pci_address for device in HGX.devices}
    own = address[name.replace("-", "")]
    attribute = "device.attributes['resource.kubernetes.io'].pciBusID"
    return {"cel": {"expression": f"{attribute} == '{own}'"}}


def test_what_a_config_dictates_is_taken() -> None:
    node = Node(DGX, "machine")
    claim = node.allocated(pus(4))
    config = {
        "source": "FromClaim",
        "requests": ["cpus"],
        "opaque": {
            "driver": "pu.example.com",
            "parameters": {"apiVersion": "v1alpha1", "cpuConfig": {"cpuset": "8-11"}},
        },
    }
    claim["status"]["allocation"]["devices"]["config"] = [config]
    assert node.prepare(claim).devices[0].cpuset == "8-11"
    path = r"status.allocation.devices.config\[0\].opaque.parameters.cpuConfig.cpuset"
    for number, (cpuset, text) in enumerate(
        {"8-12": "5 PUs, want 4", "300-303": "want PUs of", "a": "no number"}.items()
    ):
        config["opaque"]["parameters"]["cpuConfig"]["cpuset"] = cpuset  # type: ignore[index]
        claim["metadata"]["uid"] = f"other-{number}"
        with pytest.raises(tk.ObjectError, match=f"{path}: .*{text}"):
            node.prepare(claim)


def test_several_requests_share_no_core() -> None:
    node = Node(DGX)
    claim = node.allocated(pus(2, "one"), pus(2, "two"))
    first, second = node.prepare(claim).devices
    assert (first.cpuset, second.cpuset) == ("0,112", "1,113")
    assert first.request_names == ("one",)
    assert first.share_id != second.share_id


def test_individual_pus_memory_and_parts_are_exact() -> None:
    node = Node(ta.Machine.preset("dgx-h100-mig"), "individual")
    size = {"requests": {"memory.example.com/size": "1Gi"}}
    claim = node.allocated(
        request_of("p", "pu", count=3),
        request_of("m", "memory", capacity=size),
        request_of("g", "gpu"),
    )
    prepared = node.prepare(claim)
    placement = prepared.placement
    assert placement is not None
    assert placement.memory == {0: 2**30}
    # The part that leaves most to others.
    assert placement.devices == ("gpu0/6",)
    assert [device.cpuset for device in prepared.devices][:3] == ["0", "112", "1"]
    assert prepared.devices[3].memory == {0: 2**30}
    specs = {spec["kind"]: spec for spec in prepared.cdi_specs()}
    assert specs["memory.example.com/claim"]["devices"] == [
        {"name": "uid-1-3", "containerEdits": {"env": ["TOPOALLOC_MEMS_M=0"]}}
    ]
    assert prepared.devices[4].cdi_device_ids == ("gpu.example.com/claim=uid-1-4",)
    # One driver prepares its own; the others only say what is near.
    node.allocator.release(prepared.owner)
    own = node.prepare(claim, driver="gpu.example.com")
    assert own.placement is not None
    assert own.placement.pus == ()
    assert [device.driver for device in own.devices] == ["gpu.example.com"]


def test_a_share_of_a_nic_leaves_the_rest() -> None:
    node = Node(DGX)
    half = request_of(
        "n", "nic", capacity={"requests": {"nic.example.com/bandwidth": "200G"}}
    )
    one, two, whole = (
        node.allocated(request) for request in (half, half, request_of("n", "nic"))
    )
    assert node.prepare(one).placement.devices == ("nic0",)  # type: ignore[union-attr]
    assert node.prepare(two).placement.devices == ("nic0",)  # type: ignore[union-attr]
    assert node.prepare(whole).placement.devices == ("nic1",)  # type: ignore[union-attr]


def test_a_snapshot_is_written_before_the_answer() -> None:
    node = Node(DGX)
    claim = node.allocated(pus(4), request_of("g", "gpu"))
    written: list[bytes] = []
    prepared = node.prepare(claim, checkpoint=written.append)
    # A driver that starts anew goes on from there.
    node.allocator = ta.Allocator.restore(written[-1])
    again = node.prepare(claim, checkpoint=written.append)
    assert again.devices == prepared.devices
    assert again.placement.to_dict() == prepared.placement.to_dict()  # type: ignore[union-attr]
    assert len(written) == 1

    def fail(_: bytes) -> None:
        message = "no space"
        raise OSError(message)

    other = node.allocated(request_of("g", "gpu"))
    with pytest.raises(OSError, match="no space"):
        node.prepare(other, checkpoint=fail)
    assert list(node.allocator.placements) == [prepared.owner]


def test_nothing_is_given_twice() -> None:
    node = Node(DGX)
    claim = node.allocated(request_of("g", "gpu"), pus(4))
    node.prepare(claim)
    claim["metadata"]["uid"] = "other"
    with pytest.raises(ta.StateError, match="devices: 'gpu0'"):
        node.prepare(claim)
    assert list(node.allocator.placements) == ["claim/uid-1"]
    claim["metadata"]["uid"] = "uid-1"
    claim["status"]["allocation"]["devices"]["results"][0]["device"] = "gpu-1"
    with pytest.raises(
        ta.StateError, match="claim uid-1 is prepared with something else"
    ):
        node.prepare(claim)
    full = ta.Allocator(DGX)
    full.take(owner="all", pus="0-223")
    with pytest.raises(ta.InfeasibleError):
        tk.prepare(node.allocated(pus(4)), full)
    assert list(full.placements) == ["all"]


def test_access_for_administrators_takes_nothing() -> None:
    node = Node(DGX)
    node.prepare(node.allocated(request_of("g", "gpu", count=8)))
    admin = node.allocated(request_of("g", "gpu", count=2, adminAccess=True))
    prepared = node.prepare(admin)
    assert prepared.placement is None
    assert [device.machine_device for device in prepared.devices] == ["gpu0", "gpu1"]
    assert prepared.owner not in node.allocator.placements


def test_many_threads_prepare_at_once() -> None:
    node = Node(DGX, "machine")
    claims = [node.allocated(pus(6)) for _ in range(24)]
    found: list[tk.Prepared] = []

    def work(own: list[dict[str, Any]]) -> None:
        found.extend(node.prepare(claim) for claim in own)

    threads = [threading.Thread(target=work, args=(claims[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = [pu for each in found if each.placement for pu in each.placement.pus]
    assert len(given) == len(set(given)) == 24 * 6
    node.allocator.check_consistency()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"name": "c"}}, "metadata.uid: missing, want that of the API"),
        ({"status": {}}, "status.allocation: missing, want a claim that is allocated"),
        ({"kind": "DeviceClass", "spec": {}}, "kind: want a ResourceClaim"),
    ],
)
def test_a_claim_that_is_not_allocated_is_refused(
    change: dict[str, Any], message: str
) -> None:
    node = Node(DGX)
    claim = {**node.allocated(pus(1)), **change}
    with pytest.raises(tk.ObjectError, match=message):
        node.prepare(claim)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"device": "gpu-9"}, "device: 'gpu-9', want a device of this machine"),
        ({"device": "cpudevnuma007"}, "device: 'cpudevnuma007', want PUs of this"),
        ({"device": "cpudev900"}, "device: 'cpudev900', want PUs of this machine"),
        ({"device": "memory-numa004"}, "device: .*, want a NUMANode of this machine"),
        ({"device": "cpudevmachine"}, "consumedCapacity: no cpu, want how much it is"),
        (
            {"device": "cpudevmachine", "consumedCapacity": {"cpu": "1500m"}},
            r"consumedCapacity\[cpu\]: 1500m, want a whole number",
        ),
    ],
)
def test_a_device_of_another_machine_is_refused(
    result: dict[str, Any], message: str
) -> None:
    claim = claim_of("c", request_of("r", "any"))
    claim["metadata"]["uid"] = "x"
    own = {"request": "r", "driver": "x.example.com", "pool": "n1", **result}
    claim["status"] = {"allocation": {"devices": {"results": [own]}}}
    with pytest.raises(
        tk.ObjectError, match=r"status.allocation.devices.results\[0\]." + message
    ):
        tk.prepare(claim, ta.Allocator(DGX))


def test_a_share_id_is_kept() -> None:
    claim = claim_of("c", request_of("r", "any"))
    claim["metadata"]["uid"] = "x"
    own = {
        "request": "r",
        "driver": "x.example.com",
        "pool": "n1",
        "device": "cpudevsocket001",
        "shareID": UID,
        "consumedCapacity": {"cpu": "2"},
    }
    claim["status"] = {"allocation": {"devices": {"results": [own]}}}
    (device,) = tk.prepare(claim, ta.Allocator(DGX)).devices
    assert (device.share_id, device.cpuset) == (UID, "56,168")
