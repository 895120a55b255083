# SPDX-License-Identifier: Apache-2.0
"""Run the scheduler extender; events of the cluster come on standard input."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading

from examples.scheduler_extender.extender import Extender
from examples.scheduler_extender.feed import LOG, apply, documents
from examples.scheduler_extender.server import Server

from topoalloc import kubernetes as tk


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A kube-scheduler extender.")
    parser.add_argument("--address", default="127.0.0.1", help="to listen at")
    parser.add_argument("--port", type=int, default=8888, help="0: any that is free")
    parser.add_argument("--semantics", default="1.37", help="version of Kubernetes")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    inventory = tk.Inventory(given.semantics)
    server = Server((given.address, given.port), Extender(inventory))

    def follow() -> None:
        try:
            for event in documents(sys.stdin):
                apply(inventory, event)
        except ValueError as error:
            LOG.error("%s", error)
        LOG.info("no more events: %r", inventory)

    def stop(*_: object) -> None:
        # shutdown() waits for the loop, which runs in this thread.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threading.Thread(target=follow, daemon=True).start()
    LOG.info("listening at http://%s:%d", *server.server_address[:2])
    server.serve_forever()
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
