# SPDX-License-Identifier: Apache-2.0
"""The extender over HTTP: filter, prioritize, and objects to keep it current."""

from __future__ import annotations

import json
import logging
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from examples.scheduler_extender.extender import Extender, RequestError

import topoalloc as ta

LOG = logging.getLogger("scheduler-extender")
MAX_BODY = 64 * 2**20


class Handler(BaseHTTPRequestHandler):
    """One request; connections stay open for the next one."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer whether the extender is there, and with how much."""
        if self.path == "/healthz":
            self._answer(200, {"inventory": repr(self.server.extender.inventory)})
        else:
            self._answer(404, {"error": f"{self.path}: want /healthz"})

    def do_POST(self) -> None:
        """Answer kube-scheduler."""
        extender = self.server.extender
        calls = {"/filter": extender.filter, "/prioritize": extender.prioritize}
        call = calls.get(self.path)
        if call is None:
            wants = ", ".join(calls)
            self._answer(404, {"error": f"{self.path}: want one of {wants}"})
            return
        begin = time.perf_counter()
        try:
            self._answer(200, call(self._body()))
        except (RequestError, ValueError) as error:
            self._answer(400, {"error": str(error)})
        LOG.debug("%s: %.1f ms", self.path, 1e3 * (time.perf_counter() - begin))

    def do_PUT(self) -> None:
        """Take an object, or a list of them, into the inventory."""
        self._change("update")

    def do_DELETE(self) -> None:
        """Take an object out of the inventory."""
        self._change("remove")

    def _change(self, how: str) -> None:
        try:
            body = self._body()
            if self.path != "/objects":
                self._answer(404, {"error": f"{self.path}: want /objects"})
                return
            getattr(self.server.extender.inventory, how)(body)
        except (ta.TopoallocError, ValueError) as error:
            self._answer(400, {"error": str(error)})
            return
        self._answer(200, {})

    def _body(self) -> Any:  # noqa: ANN401 - whatever JSON says
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            message = f"body: {length} bytes, want at most {MAX_BODY}"
            raise RequestError(message)
        try:
            return json.loads(self.rfile.read(length))
        except (ValueError, RecursionError) as error:
            message = f"body: no JSON: {error}"
            raise RequestError(message) from None

    def _answer(self, code: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write to the log what the base class writes to stderr."""
        LOG.debug(format, *args)


class Server(ThreadingHTTPServer):
    """Serves an extender; port 0 stands for any that is free."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], extender: Extender) -> None:
        super().__init__(address, Handler)
        self.extender = extender
