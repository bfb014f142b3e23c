"""Sliding windows in one process: what the quota keeps to while Redis cannot tell. Pure."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from marketdata.providers.base import Window

SLOTS = 60


def slot_ms(window: Window) -> int:
    return -(-window.seconds * 1000 // SLOTS)  # rounded up: the slots cover the window at least


class LocalWindows:
    """Counts per provider and window, each limit divided by the number of processes that may be asking too."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._counts: defaultdict[tuple[str, Window], Counter[int]] = defaultdict(Counter)
        self._blocked: dict[str, int] = {}
        self._lock = threading.Lock()

    def block(self, provider: str, until_ms: int) -> None:
        self._blocked[provider] = max(until_ms, self._blocked.get(provider, 0))

    def take(
        self, provider: str, costs: Mapping[Window, int], reserve: float, now_ms: int
    ) -> tuple[int, float]:
        """(when the request may be made, the smallest free part); counted when that is not after `now_ms`."""
        with self._lock:
            free_ms, left = self._blocked.get(provider, 0), 1.0
            for window, cost in costs.items():
                moment, part = self._free(provider, window, cost, reserve, now_ms)
                free_ms, left = max(free_ms, moment), min(left, part)
            if free_ms <= now_ms:
                for window, cost in costs.items():
                    self._counts[provider, window][now_ms // slot_ms(window)] += cost
            return free_ms, left

    def spend(self, provider: str, windows: Iterable[Window], cost: int, now_ms: int) -> None:
        """Count what was made already, whether or not there is room."""
        with self._lock:
            for window in windows:
                self._counts[provider, window][now_ms // slot_ms(window)] += cost

    def _free(
        self, provider: str, window: Window, cost: int, reserve: float, now_ms: int
    ) -> tuple[int, float]:
        slot, counts = slot_ms(window), self._counts[provider, window]
        current = now_ms // slot
        for old in [index for index in counts if index < current - SLOTS]:
            del counts[old]
        limit = max(1, window.limit // self._share)
        used = counts.total()
        left = max(0.0, (limit - used) / limit)
        over = used + cost - (limit - int(limit * reserve))
        if over <= 0:
            return 0, left
        for index in sorted(counts):
            over -= counts[index]
            if over <= 0:
                return (index + SLOTS + 1) * slot, left
        return (current + SLOTS + 1) * slot, left
