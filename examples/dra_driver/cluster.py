# SPDX-License-Identifier: Apache-2.0
"""Where a driver gets ResourceClaims from, and where its ResourceSlices go."""

from __future__ import annotations

import json
import ssl
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Protocol

_GROUP = "/apis/resource.k8s.io/v1"
_SECRETS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT_S = 10


class ClusterError(RuntimeError):
    """The cluster has no such claim, or can not be reached."""


class Cluster(Protocol):
    """What the driver wants of a cluster."""

    def claim(self, namespace: str, name: str) -> dict[str, Any]:
        """Return a ResourceClaim."""

    def slices(self, driver: str, node: str) -> list[dict[str, Any]]:
        """Return the ResourceSlices of a driver and a node."""

    def publish(self, slices: list[dict[str, Any]]) -> None:
        """Make these the driver's ResourceSlices of its node."""


class Directory:
    """A directory in the place of an API server, to try the driver by hand.

    ``claims/NAMESPACE/NAME.json`` is read; slices are written to ``slices/NAME.json``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def claim(self, namespace: str, name: str) -> dict[str, Any]:
        """Return a ResourceClaim."""
        path = self._root / "claims" / namespace / f"{name}.json"
        try:
            found: dict[str, Any] = json.loads(path.read_text())
        except OSError as error:
            message = f"ResourceClaim {namespace}/{name}: {error.strerror}"
            raise ClusterError(message) from None
        return found

    def slices(self, driver: str, node: str) -> list[dict[str, Any]]:
        """Return the slices of a driver and a node."""
        paths = sorted((self._root / "slices").glob(f"{node}-{driver}-*.json"))
        return [json.loads(path.read_text()) for path in paths]

    def publish(self, slices: list[dict[str, Any]]) -> None:
        """Write the slices, and remove those that are no more."""
        folder = self._root / "slices"
        folder.mkdir(parents=True, exist_ok=True)
        spec = slices[0]["spec"]
        for item in self.slices(spec["driver"], spec["nodeName"]):
            (folder / f"{item['metadata']['name']}.json").unlink()
        for item in slices:
            path = folder / f"{item['metadata']['name']}.json"
            path.write_text(json.dumps(item, indent=2))


class ApiServer:
    """An API server, with the token and certificate of a pod where there are some."""

    def __init__(self, url: str, secrets: Path = _SECRETS) -> None:
        self._url = url.rstrip("/")
        token = secrets / "token"
        self._token = token if token.exists() else None
        certificate = secrets / "ca.crt"
        self._context = (
            ssl.create_default_context(cafile=certificate)
            if certificate.exists()
            else None
        )

    def claim(self, namespace: str, name: str) -> dict[str, Any]:
        """Return a ResourceClaim."""
        path = f"{_GROUP}/namespaces/{namespace}/resourceclaims/{name}"
        return self._call("GET", path)

    def slices(self, driver: str, node: str) -> list[dict[str, Any]]:
        """Return the slices of a driver and a node."""
        selector = f"spec.driver={driver},spec.nodeName={node}"
        query = urllib.parse.urlencode({"fieldSelector": selector})
        items = self._call("GET", f"{_GROUP}/resourceslices?{query}")["items"]
        # The API leaves both out of the items of a list.
        return [
            {**item, "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice"}
            for item in items
        ]

    def publish(self, slices: list[dict[str, Any]]) -> None:
        """Create or replace the slices, and delete those that are no more."""
        spec = slices[0]["spec"]
        there = {
            item["metadata"]["name"]: item
            for item in self.slices(spec["driver"], spec["nodeName"])
        }
        for item in slices:
            name = item["metadata"]["name"]
            before = there.pop(name, None)
            path = f"{_GROUP}/resourceslices"
            if before is None:
                self._call("POST", path, item)
            elif before["spec"] != item["spec"]:
                version = before["metadata"].get("resourceVersion")
                metadata = {**item["metadata"], "resourceVersion": version}
                self._call("PUT", f"{path}/{name}", {**item, "metadata": metadata})
        for name in there:
            self._call("DELETE", f"{_GROUP}/resourceslices/{name}")

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if self._token is not None:
            # Read anew: tokens are renewed while a pod runs.
            token = self._token.read_text().strip()
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(
                request, timeout=_TIMEOUT_S, context=self._context
            ) as answer:
                found: dict[str, Any] = json.load(answer)
        except (OSError, ValueError) as error:
            message = f"{method} {path}: {error}"
            raise ClusterError(message) from error
        return found
