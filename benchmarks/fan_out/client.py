"""The load client where there is no C compiler: `python -m benchmarks.fan_out.client CONFIG`.

It reads the same config, obeys the same orders and answers the same as client.c, with some ten times the processor
time per value; so it says of itself by its share of a core whether it was what limited a run.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson

from benchmarks.fan_out.values import right_millionths

GROUPS = 4
LOOK_EVERY_S = 0.01
KEY = "b25ldGFwZS1iZW5jaG1hcg=="
COUNTS = (
    "falling", "repeated", "changed", "wrong", "foreign", "broken", "heartbeats", "stale", "cadences",
    "recovered", "unrecovered", "snapshots",
)  # fmt: skip


@dataclass
class Config:
    port: int = 0
    path: str = "/"
    base_us: int = 0
    rate: float = 500.0
    pending: int = 50
    pauses: tuple[float, float] = (0.5, 4.0)
    acks: bool = False
    priced: bool = False
    symbols: list[str] = field(default_factory=list)
    conns: list[tuple[int, str, list[int]]] = field(default_factory=list)


def read(text: str) -> Config:
    config = Config()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        _read(config, word, rest.split())
    return config


def _read(config: Config, word: str, values: list[str]) -> None:
    match word:
        case "tcp":
            config.port = int(values[1])
        case "path":
            config.path = values[0]
        case "base":
            config.base_us = int(values[0])
        case "rate":
            config.rate = float(values[0])
        case "pending":
            config.pending = int(values[0])
        case "retry":
            config.pauses = (int(values[0]) / 1e6, int(values[1]) / 1e6)
        case _:
            _read_rest(config, word, values)


def _read_rest(config: Config, word: str, values: list[str]) -> None:
    match word:
        case "acks":
            config.acks = values[0] == "1"
        case "priced":
            config.priced = values[0] == "1"
        case "symbols":
            config.symbols = values
        case "conn":
            config.conns.append((int(values[0]), values[1], [int(one) for one in values[2].split(",")]))


class Crowd:
    """All connections and what they have seen."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.places = {symbol: place for place, symbol in enumerate(config.symbols)}
        self.counts: Counter[str] = Counter()
        self.closes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.retrying = False
        self.last_ready_us = 0
        self.conns = [Conn(self, *one) for one in config.conns]
        self.begin()

    def begin(self) -> dict[str, Any]:
        self.ages: list[list[int]] = [[] for _ in range(GROUPS)]
        self.window = [Counter[str]() for _ in range(GROUPS)]
        self._began, self._cpu_s = time.monotonic(), _cpu_s()
        return {}

    def end(self) -> dict[str, Any]:
        groups = [_summed(window, sorted(ages)) for window, ages in zip(self.window, self.ages, strict=True)]
        return {"seconds": time.monotonic() - self._began, "cpu_s": _cpu_s() - self._cpu_s, "groups": groups}

    def status(self) -> dict[str, Any]:
        states = Counter(conn.state for conn in self.conns)
        return {
            **{name: states[name] for name in ("ready", "waiting", "gone", "under_way")},
            "last_ready_us": self.last_ready_us,
            **{name: self.counts[name] for name in COUNTS},
            "closes": dict(self.closes),
            "errors": dict(self.errors),
        }

    async def connect(self, group: int) -> dict[str, Any]:
        """Everybody of the group, no faster than asked; returns when all are ready, or gone."""
        began = time.monotonic()
        ours = [conn for conn in self.conns if group in (-1, conn.group) and conn.state == "unused"]
        for number, conn in enumerate(ours):
            await asyncio.sleep(max(0.0, began + number / self.config.rate - time.monotonic()))
            while sum(one.state == "under_way" for one in ours) >= self.config.pending:  # noqa: ASYNC110 -- paced anyway
                await asyncio.sleep(LOOK_EVERY_S)
            conn.start()
        while any(conn.state in ("under_way", "waiting") for conn in self.conns):  # noqa: ASYNC110 -- same
            await asyncio.sleep(LOOK_EVERY_S)
        states = Counter(conn.state for conn in self.conns)
        return {"ready": states["ready"], "gone": states["gone"], "seconds": time.monotonic() - began}

    def sleep(self, group: int, *, asleep: bool) -> dict[str, Any]:
        for conn in (ours := [one for one in self.conns if one.group == group and one.transport]):
            assert conn.transport is not None
            (conn.transport.pause_reading if asleep else conn.transport.resume_reading)()
        return {"count": len(ours)}

    def cut(self, count: int) -> dict[str, Any]:
        ready = [conn for conn in self.conns if conn.state == "ready"]
        chosen = random.sample(ready, min(count, len(ready)))
        for conn in chosen:
            conn.lose(1006)
        return {"count": len(chosen)}

    def finals(self, file: Path) -> dict[str, Any]:
        lines = [line for number, conn in enumerate(self.conns) for line in conn.told(number)]
        file.write_text("".join(lines))
        return {"written": True}


def _summed(window: Counter[str], ages: Sequence[int]) -> dict[str, Any]:
    def share(part: float) -> float:
        return ages[min(len(ages) - 1, int(part * len(ages)))] / 1000 if ages else 0.0

    return {
        **{name: window[name] for name in ("deliveries", "frames", "bytes")},
        "p50_ms": share(0.50),
        "p95_ms": share(0.95),
        "p99_ms": share(0.99),
        "max_ms": share(1.0),
    }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Conn(asyncio.Protocol):
    """One connection, opened again where that was ordered."""

    def __init__(self, crowd: Crowd, group: int, cookie: str, follows: list[int]) -> None:
        self._crowd, self.group, self._cookie = crowd, group, cookie
        self._symbols = [crowd.config.symbols[one] for one in follows]
        self.state = "unused"
        self.transport: asyncio.Transport | None = None
        self._close_code = 0
        self._attempts = 0
        self._buffer = b""
        self._upgraded = False
        self._held: dict[str, tuple[int, int, int]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.state = "under_way"
        self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        self._buffer, self._upgraded = b"", False
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self, "127.0.0.1", self._crowd.config.port
            )
        except OSError:
            self.lose(1006)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # that of uvloop only looks like one
        host = f"localhost:{self._crowd.config.port}"
        cookie = "" if self._cookie == "-" else f"Cookie: {self._cookie}\r\n"
        self.transport.write(
            f"GET {self._crowd.config.path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
            f"Sec-WebSocket-Version: 13\r\n{cookie}\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self.lose(1006)

    def lose(self, code: int) -> None:
        if self.transport is not None:
            self.transport, old = None, self.transport
            old.abort()
        self._close_code = code
        self._crowd.closes[str(code)] += 1
        self.state = "gone"
        if self._crowd.retrying:
            first, longest = self._crowd.config.pauses
            self.state = "waiting"
            pause = random.uniform(0, min(longest, first * 2**self._attempts))
            self._attempts += 1
            asyncio.get_running_loop().call_later(pause, self.start)

    # --- what comes

    def data_received(self, data: bytes) -> None:
        self._crowd.window[self.group]["bytes"] += len(data)
        self._buffer += data
        if not self._upgraded:
            self._upgrade()
        now_us = time.monotonic_ns() // 1000
        while self.transport is not None and self._upgraded and self._frame(now_us):
            pass

    def _upgrade(self) -> None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 101"):
            self._crowd.errors[head[:12].decode()] += 1
            self.lose(1006)
            return
        self._buffer, self._upgraded = rest, True
        known = {symbol: [held[0], held[1]] for symbol, held in self._held.items()}
        wish = {"type": "subscribe", "id": "1", "symbols": self._symbols}
        self._put(1, orjson.dumps(wish | ({"resume": known} if known else {})))

    def _frame(self, now_us: int) -> bool:
        """Take one frame off the buffer; False when none has arrived whole."""
        data = self._buffer
        if len(data) < 2:
            return False
        length, head = data[1] & 0x7F, 2
        if length >= 126:
            head = 4 if length == 126 else 10
            if len(data) < head:
                return False
            (length,) = struct.unpack("!H" if head == 4 else "!Q", data[2:head])
        if len(data) < head + length:
            return False
        body, self._buffer = data[head : head + length], data[head + length :]
        self._take(data[0], body, now_us)
        return True

    def _take(self, first: int, body: bytes, now_us: int) -> None:
        match first:
            case 0x81:
                self._message(orjson.loads(body), now_us)
            case 0x89:
                self._put(10, body)
            case 0x88:
                self.lose(int.from_bytes(body[:2]) if len(body) >= 2 else 1005)
            case 0x8A:
                pass
            case _:
                self._crowd.counts["broken"] += 1
                self.lose(1002)

    def _put(self, opcode: int, body: bytes) -> None:
        assert self.transport is not None
        mask = os.urandom(4)
        head = (
            bytes([0x80 | opcode, 0x80 | len(body)])
            if len(body) < 126
            else struct.pack("!BBH", 0x80 | opcode, 0xFE, len(body))
        )
        masked = bytes(byte ^ mask[place & 3] for place, byte in enumerate(body))
        self.transport.write(head + mask + masked)

    def _message(self, message: dict[str, Any], now_us: int) -> None:
        match message["type"]:
            case "quotes":
                self._quotes(message["q"], now_us)
            case "subscribed":
                self._subscribed(message, now_us)
            case "heartbeat":
                self._crowd.counts["heartbeats"] += 1
                if self._crowd.config.acks and message.get("ack"):
                    self._put(1, orjson.dumps({"type": "ack", "t": message["t"]}))
            case "error":
                self._crowd.errors[message["code"]] += 1
                if self.state == "under_way":
                    self.lose(1000)
            case "stale" | "cadence" as kind:
                self._crowd.counts["cadences" if kind == "cadence" else kind] += 1

    def _subscribed(self, message: dict[str, Any], now_us: int) -> None:
        self._crowd.counts["recovered" if message.get("recovered") else "unrecovered"] += 1
        for quote in message.get("quotes", ()):
            position = (quote["e"], quote["n"])
            self._crowd.counts["snapshots"] += 1
            if quote["price"] is not None and position >= self._held.get(quote["symbol"], (-1, -1))[:2]:
                self._held[quote["symbol"]] = (*position, _millionths(quote["price"]))
        if len(message["symbols"]) != len(self._symbols):
            self._crowd.errors["granted_less"] += 1
        self.state, self._attempts = "ready", 0
        self._crowd.last_ready_us = now_us

    def _quotes(self, entries: Sequence[dict[str, Any]], now_us: int) -> None:
        self._crowd.window[self.group]["frames"] += 1
        for entry in entries:
            self._entry(entry, now_us)

    def _entry(self, entry: dict[str, Any], now_us: int) -> None:
        crowd, symbol = self._crowd, entry["s"]
        position, price = (entry["e"], entry["n"]), _millionths(entry["p"])
        if symbol not in self._symbols:
            crowd.counts["foreign"] += 1
            return
        if crowd.config.priced and price != right_millionths(crowd.places[symbol], entry["n"]):
            crowd.counts["wrong"] += 1
        known = self._held.get(symbol)
        if known is not None and position <= known[:2]:
            crowd.counts[_kind(position, price, known)] += 1
            return
        self._held[symbol] = (*position, price)
        crowd.window[self.group]["deliveries"] += 1
        if crowd.config.base_us and entry.get("v"):
            crowd.ages[self.group].append(max(0, now_us - crowd.config.base_us - entry["v"]))

    def told(self, number: int) -> list[str]:
        start = f"{number} {self.group} {self.state == 'ready':d} {self._close_code}"
        return [
            f"{start} {symbol} {symbol in self._held:d} {epoch} {position} {price}\n"
            for symbol in self._symbols
            for epoch, position, price in [self._held.get(symbol, (0, 0, 0))]
        ]


def _kind(position: tuple[int, int], price: int, known: tuple[int, int, int]) -> str:
    if position < known[:2]:
        return "falling"
    return "repeated" if price == known[2] else "changed"


def _millionths(text: str) -> int:
    whole, _, decimals = text.partition(".")
    return int(whole + decimals[:6].ljust(6, "0"))


async def obey(crowd: Crowd, line: str) -> dict[str, Any]:
    order, _, value = line.partition(" ")
    if order == "connect":
        return await crowd.connect(int(value))
    if order == "retry":
        crowd.retrying = value == "1"
        return {}
    deeds: dict[str, Callable[[], dict[str, Any]]] = {
        "begin": crowd.begin,
        "end": crowd.end,
        "status": crowd.status,
        "sleep": lambda: crowd.sleep(int(value), asleep=True),
        "wake": lambda: crowd.sleep(int(value), asleep=False),
        "cut": lambda: crowd.cut(int(value)),
        "finals": lambda: crowd.finals(Path(value)),
    }
    return deeds[order]()


async def main(config: Config) -> None:
    crowd = Crowd(config)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := (await orders.readline()).decode().strip():
        print(orjson.dumps(await obey(crowd, line)).decode(), flush=True)


if __name__ == "__main__":
    with suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(main(read(Path(sys.argv[1]).read_text())))
