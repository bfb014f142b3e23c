"""A receiver of webhooks on this machine, which writes down what it gets before it answers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Self

from tests.faults.history import EXTERNAL, TAKE, History

LONGEST_ANSWER_S = 0.04


class Sink:
    """Answers after a moment, so that a sender may die while it waits."""

    def __init__(self, history: History, seed: int) -> None:
        random, over = Random(seed), threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                data = body["data"]
                alert = data["idempotency_key"].partition(":")[0]
                value = f"{alert}@{data['current_price']}"
                history.ok(EXTERNAL, TAKE, value, key=self.headers["webhook-id"])
                over.wait(random.random() * LONGEST_ANSWER_S)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A sender that was killed while it spoke."""

        self._over = over
        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
