"""The providers of this process, by name, in the order of MARKETDATA_PROVIDERS.

They are made at the first use. Tests put others in their place with `override`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from marketdata.providers.base import Capabilities, Interval, Provider
from marketdata.providers.replay import Replay
from marketdata.providers.simulator import Simulator


class Purpose(StrEnum):
    QUOTES = "quotes"
    STREAM = "stream"
    MINUTE_BARS = "minute_bars"
    DAY_BARS = "day_bars"


FACTORIES: Mapping[str, Callable[[], Provider]] = {
    "replay": lambda: Replay(speed=settings.REPLAY_SPEED),
    "simulator": lambda: Simulator(seed=settings.SIMULATOR_SEED),
}

_made: tuple[Provider, ...] | None = None
_lock = threading.Lock()


def providers() -> tuple[Provider, ...]:
    """All of them, the preferred one first; raises ImproperlyConfigured."""
    global _made  # noqa: PLW0603 -- one set per process, that is the point
    with _lock:
        if _made is None:
            _made = tuple(FACTORIES[name]() for name in configured_names())
        return _made


def provider(name: str) -> Provider:
    """The one of this name; raises KeyError."""
    for candidate in providers():
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def route(symbol: str, *, purpose: Purpose = Purpose.QUOTES) -> Provider | None:
    """The first provider that covers the canonical symbol and can do this, or None."""
    for candidate in providers():
        if candidate.covers(symbol) and can(candidate.capabilities, purpose):
            return candidate
    return None


def can(capabilities: Capabilities, purpose: Purpose) -> bool:
    match purpose:
        case Purpose.QUOTES:
            return capabilities.max_symbols_per_request > 0
        case Purpose.STREAM:
            return capabilities.streams
        case Purpose.MINUTE_BARS:
            return Interval.MINUTE in capabilities.intervals
        case Purpose.DAY_BARS:
            return Interval.DAY in capabilities.intervals


@contextmanager
def override(*replacements: Provider) -> Iterator[None]:
    """Only these providers, in this order, in the whole process until the block ends."""
    global _made  # noqa: PLW0603 -- see providers()
    before = _made
    _made = replacements
    try:
        yield
    finally:
        _made = before


def configured_names() -> Sequence[str]:
    """MARKETDATA_PROVIDERS, checked; raises ImproperlyConfigured."""
    names: list[str] = settings.MARKETDATA_PROVIDERS
    if not names:
        raise ImproperlyConfigured(f"MARKETDATA_PROVIDERS is empty; known are {_known()}.")
    for name in names:
        if name not in FACTORIES:
            raise ImproperlyConfigured(
                f"MARKETDATA_PROVIDERS names {name!r}, which does not exist; known are {_known()}."
            )
    if len(set(names)) < len(names):
        raise ImproperlyConfigured("MARKETDATA_PROVIDERS names a provider twice.")
    return names


def _known() -> str:
    return ", ".join(sorted(FACTORIES))
