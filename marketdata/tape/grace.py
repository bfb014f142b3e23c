"""What is not wanted any more stays open for a moment: somebody may remove a ticker and add it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from core import clock


class Grace:
    """`wake` is set when a grace of `seconds` ends."""

    def __init__(self, seconds: Callable[[], float], wake: asyncio.Event) -> None:
        self._seconds, self._wake = seconds, wake
        self._unwanted_since: dict[str, float] = {}

    def of(self, unwanted: Collection[str]) -> set[str]:
        """Those of the unwanted symbols that stay a little longer; the others' time is over."""
        now, seconds = clock.monotonic(), self._seconds()
        self._unwanted_since = {symbol: self._unwanted_since.get(symbol, now) for symbol in unwanted}
        waiting = {symbol for symbol, since in self._unwanted_since.items() if now - since < seconds}
        if waiting:  # without waiting for the beat, which may have passed a moment before the grace ends
            asyncio.get_running_loop().call_later(seconds, self._wake.set)
        return waiting
