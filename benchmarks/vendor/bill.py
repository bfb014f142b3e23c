"""Reading what the vendor counted. Needs no Django."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import orjson

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Counted:
    """Since the last reset: sizes of the requests, how often each symbol was bought, and subscribed.

    `prices` are what they were last sold at, in cents; `streams` the symbols of each connection that is open now.
    """

    requests: list[int]
    asked: dict[str, int]
    connections: int
    most_streams: int
    subscribed: dict[str, int]
    prices: dict[str, int]
    streams: dict[str, list[str]]

    @property
    def symbols_asked(self) -> int:
        return sum(self.asked.values())

    @property
    def subscriptions(self) -> int:
        return sum(self.subscribed.values())

    @property
    def only_stream(self) -> set[str] | None:
        """What is streamed now, when it comes through one connection."""
        if len(self.streams) != 1:
            return None
        (symbols,) = self.streams.values()
        return set(symbols)


class Bill:
    def __init__(self, address: str) -> None:
        self.address = address

    def read(self) -> Counted:
        return Counted(**self._ask({"bill": True}))

    def reset(self) -> None:
        self._ask({"reset": True})

    def _ask(self, request: dict[str, Any]) -> Any:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(PATIENCE_S)
            wire.connect(self.address)
            wire.sendall(orjson.dumps(request) + b"\n")
            with wire.makefile("rb") as answer:
                return orjson.loads(answer.readline())
