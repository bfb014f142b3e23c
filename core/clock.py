"""The one place that knows what time it is, so that tests and accelerated runs can set it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def monotonic() -> float:
    return time.monotonic()
