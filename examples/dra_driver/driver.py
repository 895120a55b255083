# SPDX-License-Identifier: Apache-2.0
"""A DRA driver: PUs, GPUs and NICs of a node, given near each other.

It publishes the node's ResourceSlices, registers with the kubelet, and prepares and
unprepares claims over gRPC on Unix sockets. What it has given survives it: a snapshot
is on disk before the kubelet has its answer.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from examples.dra_driver.cluster import Cluster, ClusterError
from examples.dra_driver.kubelet_api import (
    CLASSES,
    DRA,
    PLUGIN_TYPE,
    REGISTRATION,
    SERVICE_VERSION,
    handler_of,
)

import topoalloc as ta
from topoalloc import kubernetes as tk

LOG = logging.getLogger("dra-driver")
KINDS = ("pu", "gpu", "nic")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that there is the old one or the new one, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Driver:
    """Prepares claims on one node.

    Parameters
    ----------
    name : str
        Of the driver, a domain.
    machine : Machine
        The node's.
    cluster : Cluster
        Where claims come from.
    state : Path
        The file of the snapshot.
    cdi : Path
        The folder of CDI specifications.
    """

    def __init__(
        self, name: str, machine: ta.Machine, cluster: Cluster, state: Path, cdi: Path
    ) -> None:
        self.name = name
        self._cluster = cluster
        self._state = state
        self._cdi = cdi
        self._lock = threading.Lock()
        self.registered = threading.Event()
        if state.exists():
            self.allocator = ta.Allocator.restore(state.read_bytes())
            if self.allocator.machine.digest != machine.digest:
                message = f"{state}: of another machine, want the one that runs here"
                raise ta.StateError(message)
            LOG.info("restored %d claims", len(self.allocator.placements))
        else:
            self.allocator = ta.Allocator(machine)

    def publish(self, node: str, kubernetes: str) -> None:
        """Publish what the node has; the generation is new if something is."""
        slices = tk.resource_slices(
            self.allocator.machine,
            driver=self.name,
            node_name=node,
            kinds=KINDS,
            group_by="machine",
            kubernetes=kubernetes,
            previous=self._cluster.slices(self.name, node),
        )
        self._cluster.publish(slices)
        LOG.info("published %d slices", len(slices))

    def prepare(self, claim: Any) -> Any:
        """Return the devices of one claim; of an error its text alone."""
        answer = CLASSES["NodePrepareResourceResponse"]
        try:
            document = self._cluster.claim(claim.namespace, claim.name)
            uid = document.get("metadata", {}).get("uid")
            if uid != claim.uid:
                message = f"metadata.uid: {uid}, want {claim.uid}: it is another claim"
                return answer(error=message)
            with self._lock:
                prepared = tk.prepare(
                    document,
                    self.allocator,
                    driver=self.name,
                    checkpoint=lambda snapshot: write_whole(self._state, snapshot),
                )
                for spec in prepared.cdi_specs():
                    write_whole(self._cdi_file(claim.uid), json.dumps(spec).encode())
        except (ta.TopoallocError, ClusterError, OSError) as error:
            LOG.warning("prepare %s/%s: %s", claim.namespace, claim.name, error)
            return answer(error=str(error))
        LOG.info("prepared %s/%s", claim.namespace, claim.name)
        return answer(
            devices=[
                CLASSES["Device"](
                    request_names=device.request_names,
                    pool_name=device.pool_name,
                    device_name=device.device_name,
                    cdi_device_ids=device.cdi_device_ids,
                    share_id=device.share_id,
                )
                for device in prepared.devices
            ]
        )

    def unprepare(self, claim: Any) -> Any:
        """Give one claim back; one that is not held is given back already."""
        answer = CLASSES["NodeUnprepareResourceResponse"]
        try:
            with self._lock:
                self._cdi_file(claim.uid).unlink(missing_ok=True)
                if tk.unprepare(claim.uid, self.allocator):
                    write_whole(self._state, self.allocator.snapshot())
        except (ta.TopoallocError, OSError) as error:
            LOG.warning("unprepare %s/%s: %s", claim.namespace, claim.name, error)
            return answer(error=str(error))
        return answer()

    def _cdi_file(self, uid: str) -> Path:
        return self._cdi / f"{self.name}-{uid}.json"

    def services(self, endpoint: Path) -> tuple[Any, Any]:
        """Return what serves the driver, and what serves its registration."""

        def prepare_all(request: Any, _: Any) -> Any:
            found = {claim.uid: self.prepare(claim) for claim in request.claims}
            return CLASSES["NodePrepareResourcesResponse"](claims=found)

        def unprepare_all(request: Any, _: Any) -> Any:
            found = {claim.uid: self.unprepare(claim) for claim in request.claims}
            return CLASSES["NodeUnprepareResourcesResponse"](claims=found)

        def info(_request: Any, _: Any) -> Any:
            return CLASSES["PluginInfo"](
                type=PLUGIN_TYPE,
                name=self.name,
                endpoint=str(endpoint),
                supported_versions=[SERVICE_VERSION],
            )

        def notify(request: Any, _: Any) -> Any:
            if request.plugin_registered:
                LOG.info("registered with the kubelet")
                self.registered.set()
            else:
                LOG.error("not registered: %s", request.error)
            return CLASSES["RegistrationStatusResponse"]()

        calls = {
            "NodePrepareResources": prepare_all,
            "NodeUnprepareResources": unprepare_all,
        }
        registration = {"GetInfo": info, "NotifyRegistrationStatus": notify}
        return (
            handler_of(f"{DRA}.DRAPlugin", calls),
            handler_of(f"{REGISTRATION}.Registration", registration),
        )


def serve(handler: Any, socket: Path) -> Any:
    """Serve on a Unix socket; one that a killed driver has left behind is replaced."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    return server
