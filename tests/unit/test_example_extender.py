# SPDX-License-Identifier: Apache-2.0
"""The scheduler extender of examples/, with a real HTTP client as kube-scheduler."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples.scheduler_extender.extender import Extender
from examples.scheduler_extender.feed import documents
from examples.scheduler_extender.server import Server
from tests.cluster_objects import (
    NUMA,
    claim_of,
    class_of,
    gpus,
    nics,
    request_of,
    slice_of,
)

from topoalloc import kubernetes as tk

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT_S = 30


def objects(nodes: int) -> list[dict[str, Any]]:
    """Return nodes with 4 GPUs and 4 NICs; the last one has no NIC on NUMANode 1."""
    found = [
        class_of("gpu", "device.driver == 'gpu.example.com'"),
        class_of("nic", "device.driver == 'nic.example.com'"),
    ]
    for number in range(nodes):
        node, count = f"n{number}", 2 if number + 1 == nodes else 4
        found.append(slice_of(f"{node}-gpus", gpus(4), node=node))
        own = nics(4)[:count]
        found.append(slice_of(f"{node}-nics", own, node=node, driver="nic.example.com"))
    return found


def pair(name: str = "pair") -> dict[str, Any]:
    return claim_of(
        name,
        request_of("g"),
        request_of("n", "nic"),
        constraints=[{"matchAttribute": NUMA}],
    )


def pod(*claims: str, **status: Any) -> dict[str, Any]:
    named = [{"name": name, "resourceClaimName": name} for name in claims]
    return {
        "metadata": {"namespace": "ml", "name": "worker"},
        "spec": {"resourceClaims": named},
        "status": status,
    }


class Client:
    """Speaks HTTP to a server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            text = body if isinstance(body, (str, bytes)) else json.dumps(body)
            connection.request(method, path, text)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def filter(self, asked: dict[str, Any], *nodes: str) -> dict[str, Any]:
        code, found = self.call("POST", "/filter", {"Pod": asked, "NodeNames": nodes})
        assert code == 200
        assert isinstance(found, dict)
        return found

    def scores(self, asked: dict[str, Any], *nodes: str) -> dict[str, int]:
        arguments = {"Pod": asked, "NodeNames": nodes}
        code, found = self.call("POST", "/prioritize", arguments)
        assert code == 200
        assert [item["Host"] for item in found] == list(nodes)
        return {item["Host"]: item["Score"] for item in found}


@pytest.fixture
def client() -> Iterator[Client]:
    server = Server(("127.0.0.1", 0), Extender(tk.Inventory()))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Client(server.server_port)
    server.shutdown()
    server.server_close()
    thread.join()


def put(client: Client, *items: dict[str, Any]) -> None:
    for item in items:
        assert client.call("PUT", "/objects", item) == (200, {})


def test_nodes_are_filtered_with_a_reason(client: Client) -> None:
    put(client, *objects(3), pair(), claim_of("two", request_of("n", "nic", count=3)))
    found = client.filter(pod("pair"), "n0", "n1", "n2")
    assert found == {"NodeNames": ["n0", "n1", "n2"], "FailedNodes": {}, "Error": ""}
    found = client.filter(pod("two"), "n0", "n2", "n9")
    assert found["NodeNames"] == ["n0"]
    assert found["FailedNodes"]["n2"] == (
        "no devices: ml/two: n, 3 devices of class nic "
        "(ml/two: n wants 3: 6 devices, 2 match)"
    )
    assert found["FailedNodes"]["n9"].endswith("(ml/two: n wants 3: 0 devices)")
    # What changes is known at once.
    client.call("DELETE", "/objects", slice_of("n0-nics", []))
    assert client.filter(pod("two"), "n0")["NodeNames"] == []


def test_the_best_node_has_the_best_score(client: Client) -> None:
    put(client, *objects(3), pair())
    held = claim_of("held", request_of("g", count=2))
    held["status"] = {
        "allocation": {
            "devices": {
                "results": [
                    {
                        "request": "g",
                        "driver": "gpu.example.com",
                        "pool": "n1",
                        "device": device,
                    }
                    for device in ("gpu-0", "gpu-2")
                ]
            }
        }
    }
    put(client, held)
    # On n1 both NUMANodes are open already; on the others one would be opened.
    assert client.scores(pod("pair"), "n0", "n1", "n9") == {"n0": 0, "n1": 10, "n9": 0}
    assert client.scores(pod(), "n0", "n1") == {"n0": 0, "n1": 0}
    # A claim that is allocated is left to the scheduler.
    assert client.filter(pod("held"), "n0", "n1")["NodeNames"] == ["n0", "n1"]


def test_claims_of_templates_are_found(client: Client) -> None:
    put(client, *objects(2), pair("worker-abc"))
    asked = pod()
    asked["spec"]["resourceClaims"] = [
        {"name": "devices", "resourceClaimTemplateName": "pair"}
    ]
    code, found = client.call("POST", "/filter", {"Pod": asked, "NodeNames": ["n0"]})
    assert (code, found["error"]) == (
        400,
        "Pod.spec.resourceClaims[0]: no claim yet, want it made of its template",
    )
    made = {"name": "devices", "resourceClaimName": "worker-abc"}
    asked["status"]["resourceClaimStatuses"] = [made]
    assert client.filter(asked, "n0")["NodeNames"] == ["n0"]
    # None was needed for the pod.
    made["resourceClaimName"] = None  # type: ignore[assignment]
    assert client.filter(asked, "n0")["NodeNames"] == ["n0"]


def test_what_is_wrong_is_told(client: Client) -> None:
    put(client, *objects(1))
    error = client.filter(pod("none"), "n0")["Error"]
    assert error == "name: 'ml/none', want namespace/name of a claim that is here"
    for body, text in (
        ("{", "body: no JSON"),
        ("[]", "body: no object, want an ExtenderArgs"),
        ({"NodeNames": []}, "Pod: missing, want a pod with metadata"),
        ({"Pod": {"metadata": {}, "spec": 3}}, "Pod.spec: want an object"),
        ({"Pod": pod()}, "NodeNames: want names of nodes: set nodeCacheCapable"),
    ):
        code, found = client.call("POST", "/filter", body)
        assert code == 400
        assert found["error"].startswith(text)
    code, found = client.call("PUT", "/objects", {"kind": "Pod"})
    assert (code, found["error"]) == (400, "apiVersion: missing")
    for method, path in (("GET", "/"), ("POST", "/bind"), ("PUT", "/nodes")):
        assert client.call(method, path, {})[0] == 404


def test_many_ask_at_once(client: Client) -> None:
    put(client, *objects(8), pair())
    nodes = [f"n{number}" for number in range(8)]
    found: list[Any] = []

    def work() -> None:
        found.extend(client.filter(pod("pair"), *nodes)["NodeNames"] for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(20):
        put(client, slice_of("other", gpus(1 + number % 3), node="n99"))
    for thread in threads:
        thread.join()
    assert found == [nodes] * 60


def test_events_come_in_pieces() -> None:
    events = [{"type": "ADDED", "object": {"a": "}{"}}, {"kind": "List"}]
    text = "\n".join(json.dumps(event, indent=1) for event in events)
    for size in (1, 3, 1000):
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        assert list(documents(chunks)) == events
    with pytest.raises(ValueError, match="ends amid a document"):
        list(documents(['{"type":']))


def test_the_program_follows_events_until_it_is_ended() -> None:
    command = [sys.executable, "-m", "examples.scheduler_extender", "--port=0"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stderr is not None
    line = process.stderr.readline()
    client = Client(int(line.rpartition(":")[2]))
    for item in [*objects(1), pair(), {"kind": "Pod"}]:
        process.stdin.write(json.dumps({"type": "ADDED", "object": item}))
    gone = {"type": "DELETED", "object": slice_of("n0-gpus", [])}
    process.stdin.write(json.dumps(gone))
    process.stdin.close()
    assert "left out: apiVersion: missing" in process.stderr.readline()
    assert "1 slices, 2 classes, 1 claims" in process.stderr.readline()
    assert client.filter(pod("pair"), "n0")["NodeNames"] == []
    assert "1 claims" in client.call("GET", "/healthz")[1]["inventory"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_S) == 0
    process.stderr.close()


def test_the_configuration_names_what_is_served(client: Client) -> None:
    path = ROOT / "examples" / "scheduler_extender" / "scheduler-config.yaml"
    (extender,) = yaml.safe_load(path.read_text())["extenders"]
    assert extender["nodeCacheCapable"]
    for verb in ("filterVerb", "prioritizeVerb"):
        code, _ = client.call(
            "POST", f"/{extender[verb]}", {"Pod": pod(), "NodeNames": []}
        )
        assert code == 200
