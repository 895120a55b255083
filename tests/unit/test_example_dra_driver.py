# SPDX-License-Identifier: Apache-2.0
"""The DRA driver of examples/, with a real gRPC client in the kubelet's place."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from examples.dra_driver.cluster import ApiServer, ClusterError
from examples.dra_driver.kubelet_api import CLASSES, DRA, REGISTRATION, caller_of
from tests.cluster_objects import claim_of, class_of, request_of

import topoalloc as ta
from topoalloc import kubernetes as tk

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "node.topoalloc.dev"
PRESET = "hgx-h100-2gpu2nic"
WAIT_S = 30


class Kubelet:
    """Starts the driver, finds it by its registration, and calls it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "k"
        self.cluster = folder / "c"
        self.process: subprocess.Popen[str] | None = None
        self.calls: dict[str, Any] = {}
        self.channel: Any = None

    def start(self, machine: str = PRESET) -> None:
        registration = self.root / "plugins_registry" / f"{NAME}-reg.sock"
        registration.unlink(missing_ok=True)
        options = ["--node=n1", f"--machine={machine}", f"--root={self.root}"]
        command = [sys.executable, "-m", "examples.dra_driver", *options]
        self.process = subprocess.Popen(
            [*command, f"--cluster={self.cluster}"],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + WAIT_S
        while not registration.exists() and self.process.poll() is None:
            assert time.monotonic() < deadline, "the driver does not register"
            time.sleep(0.02)
        if self.process.poll() is not None:
            return
        with grpc.insecure_channel(f"unix:{registration}") as channel:
            calls = caller_of(channel, f"{REGISTRATION}.Registration")
            info = calls["GetInfo"](
                CLASSES["InfoRequest"](), wait_for_ready=True, timeout=WAIT_S
            )
            assert (info.type, info.name) == ("DRAPlugin", NAME)
            assert list(info.supported_versions) == ["v1.DRAPlugin"]
            status = CLASSES["RegistrationStatus"](plugin_registered=True)
            calls["NotifyRegistrationStatus"](status, timeout=WAIT_S)
        self.channel = grpc.insecure_channel(f"unix:{info.endpoint}")
        self.calls = caller_of(self.channel, f"{DRA}.DRAPlugin")

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        assert self.process is not None
        if self.channel is not None:
            self.channel.close()
        self.process.send_signal(how)
        _, text = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, text

    def prepare(self, *claims: dict[str, Any]) -> dict[str, Any]:
        request = CLASSES["NodePrepareResourcesRequest"](claims=map(named, claims))
        answer = self.calls["NodePrepareResources"](request, timeout=WAIT_S)
        return dict(answer.claims)

    def unprepare(self, *claims: dict[str, Any]) -> dict[str, Any]:
        request = CLASSES["NodeUnprepareResourcesRequest"](claims=map(named, claims))
        answer = self.calls["NodeUnprepareResources"](request, timeout=WAIT_S)
        return dict(answer.claims)

    def held(self) -> dict[str, ta.Placement]:
        state = self.root / "plugins" / NAME / "state.bin"
        if not state.exists():
            return {}
        return ta.Allocator.restore(state.read_bytes()).placements

    def environment(self, claim: dict[str, Any]) -> list[str]:
        uid = claim["metadata"]["uid"]
        text = (self.root / "cdi" / f"{NAME}-{uid}.json").read_text()
        devices = json.loads(text)["devices"]
        return [text for each in devices for text in each["containerEdits"]["env"]]


class Scheduler:
    """Allocates claims of what the driver has published."""

    def __init__(self, cluster: Path) -> None:
        self.cluster = cluster
        self.inventory = tk.Inventory()
        self.number = 0
        for path in sorted((cluster / "slices").glob("*.json")):
            self.inventory.update(path.read_text())
        for kind in ("gpu", "nic", "pu"):
            text = f"device.attributes['{NAME}'].?type.orValue('pu') == '{kind}'"
            self.inventory.update(class_of(kind, text))

    def pod(self, gpus: int = 1, pus: int = 4) -> dict[str, Any]:
        """Return a claim for GPUs with a NIC and PUs, allocated and readable."""
        self.number += 1
        claim = claim_of(
            f"c{self.number}",
            request_of("g", "gpu", count=gpus),
            request_of("n", "nic"),
            request_of("p", "pu", capacity={"requests": {f"{NAME}/cpu": str(pus)}}),
            constraints=[
                {"requests": ["g", "n"], "matchAttribute": "topoalloc.dev/switch"}
            ],
        )
        claim["metadata"]["uid"] = f"uid-{self.number}"
        (found,) = self.inventory.allocate([claim], node="n1")
        self.write(found)
        return found

    def write(self, claim: dict[str, Any]) -> None:
        folder = self.cluster / "claims" / "ml"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{claim['metadata']['name']}.json"
        path.write_text(json.dumps(claim))


def named(claim: dict[str, Any]) -> Any:
    metadata = claim["metadata"]
    return CLASSES["Claim"](
        namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"]
    )


@pytest.fixture
def kubelet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    # A socket's path has at most 108 bytes.
    found = Kubelet(tmp_path_factory.mktemp("d"))
    yield found
    if found.process is not None and found.process.poll() is None:
        found.end(signal.SIGKILL)


def test_a_pod_gets_pus_beside_its_gpu_and_nic(kubelet: Kubelet) -> None:
    kubelet.start()
    scheduler = Scheduler(kubelet.cluster)
    claim = scheduler.pod()
    answer = kubelet.prepare(claim)["uid-1"]
    assert answer.error == ""
    gpu, nic, pus = answer.devices
    assert (gpu.device_name, nic.device_name) == ("gpu-0", "nic-0")
    assert (pus.device_name, list(pus.request_names)) == ("cpudevmachine", ["p"])
    assert gpu.pool_name == "n1"
    assert pus.share_id
    assert not gpu.HasField("share_id")
    assert list(gpu.cdi_device_ids) == [f"{NAME}/claim=uid-1-0"]
    assert kubelet.environment(claim) == [
        "TOPOALLOC_DEVICES_G=gpu0",
        "TOPOALLOC_DEVICES_N=nic0",
        "TOPOALLOC_CPUSET_P=0-1,112-113",
    ]
    assert kubelet.held()["claim/uid-1"].cpuset == "0-1,112-113"
    # The same claim again is the same answer, before and after a restart.
    assert kubelet.prepare(claim)["uid-1"] == answer
    code, text = kubelet.end()
    assert (code, "prepared ml/c1" in text) == (0, True)
    kubelet.start()
    assert kubelet.prepare(claim)["uid-1"] == answer
    assert list(kubelet.held()) == ["claim/uid-1"]
    assert kubelet.unprepare(claim)["uid-1"].error == ""
    assert kubelet.unprepare(claim)["uid-1"].error == ""
    assert kubelet.held() == {}
    assert not list((kubelet.root / "cdi").iterdir())


def test_slices_are_published_once(kubelet: Kubelet) -> None:
    kubelet.start()
    paths = sorted((kubelet.cluster / "slices").iterdir())
    before = [path.read_text() for path in paths]
    assert json.loads(before[0])["spec"]["pool"]["generation"] == 1
    kubelet.end()
    kubelet.start()
    assert [path.read_text() for path in paths] == before


def test_an_error_is_of_its_claim_alone(kubelet: Kubelet) -> None:
    kubelet.start()
    scheduler = Scheduler(kubelet.cluster)
    good, twin, gone = scheduler.pod(), scheduler.pod(), scheduler.pod()
    twin["status"] = good["status"]
    scheduler.write(twin)
    (kubelet.cluster / "claims" / "ml" / "c3.json").unlink()
    other = {"metadata": {**good["metadata"], "uid": "other"}}
    answers = kubelet.prepare(good, twin, gone, other)
    assert answers["uid-1"].error == ""
    assert "devices: 'gpu0'" in answers["uid-2"].error
    assert answers["uid-3"].error.startswith("ResourceClaim ml/c3: No such file")
    assert answers["other"].error.startswith("metadata.uid: uid-1, want other")
    assert list(kubelet.held()) == ["claim/uid-1"]


def test_nothing_is_lost_or_given_twice_when_it_is_killed(kubelet: Kubelet) -> None:
    rng = random.Random(1)
    kubelet.start()
    scheduler = Scheduler(kubelet.cluster)
    claims = [scheduler.pod() for _ in range(6)]
    answered: dict[str, Any] = {}
    for _ in range(6):
        request = CLASSES["NodePrepareResourcesRequest"](claims=map(named, claims))
        future = kubelet.calls["NodePrepareResources"].future(request, timeout=WAIT_S)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(kubelet.process.pid, signal.SIGKILL)  # type: ignore[union-attr]
        with contextlib.suppress(grpc.RpcError):
            answered |= dict(future.result().claims)
        kubelet.end(signal.SIGKILL)
        held = kubelet.held()
        # What the kubelet was told is there.
        assert {f"claim/{uid}" for uid in answered} <= held.keys()
        pus = [pu for placement in held.values() for pu in placement.pus]
        devices = [name for placement in held.values() for name in placement.devices]
        assert len(pus) == len(set(pus))
        assert len(devices) == len(set(devices))
        kubelet.start()
    final = kubelet.prepare(*claims)
    assert [final[uid].error for uid in final] == [""] * 6
    for uid, answer in answered.items():
        assert final[uid] == answer
    assert len(kubelet.held()) == 6


def test_a_state_of_another_machine_is_refused(kubelet: Kubelet) -> None:
    kubelet.start()
    claim = Scheduler(kubelet.cluster).pod()
    kubelet.prepare(claim)
    kubelet.end()
    kubelet.start("dgx-h100")
    code, text = kubelet.end(signal.SIGTERM)
    assert code == 1
    assert "state.bin: of another machine, want the one that runs here" in text


class Api(http.server.BaseHTTPRequestHandler):
    """As much of an API server as the driver asks for; objects by path."""

    objects: dict[str, Any]
    calls: list[tuple[str, str, str | None]]

    def answer(self, code: int, body: Any) -> None:
        path = self.path.partition("?")[0].rpartition("/")[2]
        self.calls.append((self.command, path, self.headers["Authorization"]))
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if query:
            selector = urllib.parse.parse_qs(query)["fieldSelector"]
            assert selector == [f"spec.driver={NAME},spec.nodeName=n1"]
            own = [item for key, item in self.objects.items() if key.startswith(path)]
            self.answer(200, {"items": own})
        else:
            found = self.objects.get(path)
            self.answer(404 if found is None else 200, found)

    def do_POST(self) -> None:
        self.do_PUT()

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = body["metadata"]["name"]
        base = self.path if self.command == "POST" else self.path.rpartition("/")[0]
        before = self.objects.get(f"{base}/{name}")
        if before is not None:
            version = before["metadata"]["resourceVersion"]
            assert body["metadata"]["resourceVersion"] == version
        body["metadata"]["resourceVersion"] = str(len(self.calls))
        del body["kind"]
        self.objects[f"{base}/{name}"] = body
        self.answer(200, body)

    def do_DELETE(self) -> None:
        self.answer(200, self.objects.pop(self.path))

    def log_message(self, *_: Any) -> None:
        pass


def test_an_api_server_is_spoken_to(tmp_path: Path) -> None:
    Api.objects, Api.calls = {}, []
    (tmp_path / "token").write_text("secret\n")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        api = ApiServer(f"http://127.0.0.1:{server.server_port}", tmp_path)
        machine = ta.Machine.preset(PRESET)

        def published(*kinds: str) -> list[tuple[str, str]]:
            Api.calls.clear()
            slices = tk.resource_slices(
                machine,
                driver=NAME,
                node_name="n1",
                kinds=kinds,
                previous=api.slices(NAME, "n1"),
            )
            api.publish(slices)
            assert {call[2] for call in Api.calls} == {"Bearer secret"}
            return [call[:2] for call in Api.calls if call[0] != "GET"]

        names = [f"n1-{NAME}-{number:05}" for number in range(2)]
        assert published("gpu", "nic") == [("POST", "resourceslices")] * 2
        assert published("gpu", "nic") == []
        assert published("gpu") == [("PUT", names[0]), ("DELETE", names[1])]
        assert [
            item["spec"]["pool"]["generation"] for item in api.slices(NAME, "n1")
        ] == [2]
        with pytest.raises(ClusterError, match="resourceclaims/c1: HTTP Error 404"):
            api.claim("ml", "c1")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    with pytest.raises(ClusterError, match="refused"):
        api.claim("ml", "c1")
