# SPDX-License-Identifier: Apache-2.0
"""Run the DRA driver of this example on a node.

python -m examples.dra_driver --node n1 --machine dgx-h100 --cluster DIR --root DIR
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from examples.dra_driver.cluster import (
    ApiServer,
    Cluster,
    ClusterError,
    Directory,
)
from examples.dra_driver.driver import LOG, Driver, serve

import topoalloc as ta


def machine_of(text: str) -> ta.Machine:
    """Return this host, a preset, or a machine from hwloc's XML."""
    if text == "host":
        return ta.Machine.discover()
    if text in ta.Machine.presets():
        return ta.Machine.preset(text)
    return ta.Machine.from_xml(Path(text))


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A DRA driver of PUs, GPUs and NICs.")
    parser.add_argument("--node", required=True, help="name of the node")
    parser.add_argument("--driver", default="node.topoalloc.dev", help="its name")
    parser.add_argument(
        "--machine", default="host", help="host, a preset, or a file of hwloc's XML"
    )
    parser.add_argument("--kubernetes", default="1.37", help="1.36 or 1.37")
    parser.add_argument(
        "--cluster",
        required=True,
        help="URL of the API server, or a directory to try it by hand",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("/var/lib/kubelet"),
        help="the kubelet's folder",
    )
    parser.add_argument("--cdi", type=Path, help="folder of CDI specifications")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")

    own = given.root / "plugins" / given.driver
    is_url = given.cluster.startswith(("http://", "https://"))
    cluster: Cluster = (
        ApiServer(given.cluster) if is_url else Directory(Path(given.cluster))
    )
    try:
        driver = Driver(
            given.driver,
            machine_of(given.machine),
            cluster,
            own / "state.bin",
            given.cdi or given.root / "cdi",
        )
        driver.publish(given.node, given.kubernetes)
    except (ta.TopoallocError, ClusterError, OSError) as error:
        LOG.error("%s", error)
        return 1
    endpoint = own / "dra.sock"
    prepare, registration = driver.services(endpoint)
    # The kubelet finds the driver by its registration: that comes last.
    servers = [
        serve(prepare, endpoint),
        serve(
            registration,
            given.root / "plugins_registry" / f"{given.driver}-reg.sock",
        ),
    ]
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    LOG.info("serving at %s", endpoint)
    stop.wait()
    for server in servers:
        server.stop(grace=5).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
