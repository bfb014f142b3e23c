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
from django.utils.module_loading import import_string

from marketdata.providers.base import Capabilities, Interval, Provider


class Purpose(StrEnum):
    QUOTES = "quotes"
    STREAM = "stream"
    MINUTE_BARS = "minute_bars"
    DAY_BARS = "day_bars"
    ACTIONS = "actions"
    SEARCH = "search"
    NEWS = "news"
    TRANSCRIPTS = "transcripts"
    FUNDAMENTALS = "fundamentals"


# By name, since a process should import only the vendors it is told to use. Each is a function without arguments
# that reads the settings; it raises ImproperlyConfigured where a key is missing.
FACTORIES: Mapping[str, str] = {
    "replay": "marketdata.providers.replay.from_settings",
    "simulator": "marketdata.providers.simulator.from_settings",
    "alpaca": "marketdata.providers.alpaca.from_settings",
    "massive": "marketdata.providers.massive.from_settings",
    "finnhub": "marketdata.providers.finnhub.from_settings",
    "alpha_vantage": "marketdata.providers.alpha_vantage.from_settings",
    "yahoo": "marketdata.providers.yahoo.from_settings",
}

INVENTED = frozenset({"replay", "simulator"})

_made: tuple[Provider, ...] | None = None
_lock = threading.Lock()


def providers() -> tuple[Provider, ...]:
    """All of them, the preferred one first; raises ImproperlyConfigured."""
    global _made  # noqa: PLW0603 -- one set per process, that is the point
    with _lock:
        if _made is None:
            _made = tuple(make(name) for name in configured_names())
        return _made


def make(name: str) -> Provider:
    """A new provider by the settings; raises ImproperlyConfigured, naming what is missing."""
    factory: Callable[[], Provider] = import_string(FACTORIES[name])
    return factory()


def provider(name: str) -> Provider:
    """The one of this name; raises KeyError."""
    for candidate in providers():
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def route(symbol: str, *, purpose: Purpose = Purpose.QUOTES) -> Provider | None:
    """The first provider that covers the canonical symbol and can do this, or None."""
    return next(iter(candidates(symbol, purpose=purpose)), None)


def candidates(symbol: str, *, purpose: Purpose = Purpose.QUOTES) -> tuple[Provider, ...]:
    """Every provider that covers the canonical symbol and can do this, the preferred one first.

    What is invented never stands in for what is real: a simulated provider is a candidate only where no real one covers
    the symbol, and then the first such alone.
    """
    able = [one for one in providers() if one.covers(symbol) and can(one.capabilities, purpose)]
    real = any(one.covers(symbol) and not one.capabilities.simulated for one in providers())
    kept = [one for one in able if not one.capabilities.simulated] if real else able[:1]
    return tuple(kept)


def is_dismissed(name: str) -> bool:
    """Whether this provider invents prices and is configured no more: what it left behind must not pass for real."""
    return name in INVENTED and name not in settings.MARKETDATA_PROVIDERS


NEEDED: Mapping[Purpose, Callable[[Capabilities], bool]] = {
    Purpose.QUOTES: lambda one: one.max_symbols_per_request > 0,
    Purpose.STREAM: lambda one: one.streams,
    Purpose.MINUTE_BARS: lambda one: Interval.MINUTE in one.intervals,
    Purpose.DAY_BARS: lambda one: Interval.DAY in one.intervals,
    Purpose.ACTIONS: lambda one: one.actions,
    Purpose.SEARCH: lambda one: one.search,
    Purpose.NEWS: lambda one: one.news,
    Purpose.TRANSCRIPTS: lambda one: one.transcripts,
    Purpose.FUNDAMENTALS: lambda one: one.fundamentals,
}


def can(capabilities: Capabilities, purpose: Purpose) -> bool:
    return NEEDED[purpose](capabilities)


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
