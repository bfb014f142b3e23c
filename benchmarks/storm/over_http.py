"""Watching and unwatching through a real web process: sessions, CSRF tokens, one request per operation."""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.harness.children import meet

# As long as a page would wait.
PATIENCE_S = 30.0
TOKEN = "benchmark" + "x" * 23  # 32 letters: the cookie and the header must agree, that is the whole check


@dataclass
class HttpLog:
    operations: int = 0
    began: float = 0.0
    ended: float = 0.0
    watched: set[str] = field(default_factory=set)
    unexpected: list[str] = field(default_factory=list)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


def change_mind(path: str, session: str, symbols: Sequence[str], seed: int, seconds: float) -> HttpLog:
    """One person for so long: watch what is not watched, unwatch what is."""
    log, rng = HttpLog(), random.Random(seed)
    connection = UnixConnection(path)
    meet()
    log.began = time.monotonic()
    while time.monotonic() - log.began < seconds:
        symbol = rng.choice(symbols)
        wanted = symbol not in log.watched
        status = _request(connection, session, symbol, wanted=wanted)
        if status != (201 if wanted else 204):
            log.unexpected.append(f"{'POST' if wanted else 'DELETE'} {symbol}: {status}")
        log.watched ^= {symbol}
        log.operations += 1
    log.ended = time.monotonic()
    connection.close()
    return log


def _request(connection: UnixConnection, session: str, symbol: str, *, wanted: bool) -> int:
    headers = {
        "Cookie": f"sessionid={session}; csrftoken={TOKEN}",
        "X-CSRFToken": TOKEN,
        "Content-Type": "application/json",
    }
    if wanted:
        connection.request("POST", "/api/v1/watchlist/", json.dumps({"symbol": symbol}), headers)
    else:
        connection.request("DELETE", f"/api/v1/watchlist/{symbol}/", headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status
