"""Hears every group of a ticker as a server process does: `python -m benchmarks.fan_out.ear`.

Orders: `begin` and `end` of a window, `last` for the last price of each symbol. The age of what arrives is now minus
the moment its price was true (`t`, whole milliseconds, so half of one is added to every age). It reads the socket
itself: a client library would be busier than the tape.
"""

from __future__ import annotations

import os
import re
import select
import socket
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import hiredis
import msgpack
import orjson

PATTERN = b"asgi__group__tk_*"
CHUNK = 1 << 20
TOLD = re.compile(rb'"t":(\d+),"e":(\d+),"n":(\d+)')
NOWHERE = (-1, -1)


class Ear:
    def __init__(self) -> None:
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.connect(urlsplit(os.environ["REDIS_URL"]).path)
        self._wire.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$%d\r\n%s\r\n" % (len(PATTERN), PATTERN))
        self._reader = hiredis.Reader()
        self._ages: Counter[int] = Counter()
        self._last: dict[bytes, bytes] = {}
        self._positions: dict[bytes, tuple[int, int]] = {}
        self._violations = 0
        self._began, self._cpu_s = time.monotonic(), time.process_time()

    def run(self) -> None:
        print('{"ready":true}', flush=True)
        while True:
            ready, _, _ = select.select([self._wire, sys.stdin], [], [])
            if self._wire in ready:
                self._hear()
            if sys.stdin in ready:
                order = sys.stdin.readline().strip()
                if not order:
                    return
                print(orjson.dumps(self._answer(order)).decode(), flush=True)

    def _hear(self) -> None:
        self._reader.feed(self._wire.recv(CHUNK))
        now_ms = time.time_ns() // 1_000_000
        while (message := self._reader.gets()) is not False:
            if message[0] != b"pmessage":
                continue
            found = TOLD.search(message[3])
            if found is not None:
                self._take(message[2], message[3], now_ms, *map(int, found.groups()))

    def _take(self, group: bytes, raw: bytes, now_ms: int, time_ms: int, epoch: int, number: int) -> None:
        self._ages[now_ms - time_ms] += 1
        self._violations += (epoch, number) <= self._positions.get(group, NOWHERE)
        self._positions[group] = (epoch, number)
        self._last[group] = raw

    def _answer(self, order: str) -> dict[str, object]:
        if order == "begin":
            self._ages.clear()
            self._began, self._cpu_s = time.monotonic(), time.process_time()
            return {}
        if order == "end":
            return {
                "seconds": time.monotonic() - self._began,
                "cpu_s": time.process_time() - self._cpu_s,
                "ages": sorted(self._ages.items()),
                "violations": self._violations,
            }
        return dict(map(_price, self._last.values()))


def _price(raw: bytes) -> tuple[str, str]:
    event = msgpack.unpackb(raw)
    fields = orjson.loads(event["d"])
    return fields["s"], fields["p"]


if __name__ == "__main__":
    Ear().run()
