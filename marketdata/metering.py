"""What was asked of providers, noted where it happens: one `Call` for each request that may cost money.

Providers note their calls; who asked collects them and hands them to quota and ledger. Nothing is lost between: a
call noted outside any collection raises, so that no purchase can be made past the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from marketdata.errors import Kind
from marketdata.providers.base import Unit


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider. `units` is what it was charged in `unit`; `took_s` and `bytes` are of the answer.

    `remaining` and `reset_at` are what the provider itself said of its window, where it said something.
    """

    provider: str
    endpoint: str
    at: datetime
    kind: Kind
    symbols: tuple[str, ...] = ()
    units: Decimal = Decimal(1)
    unit: Unit = Unit.REQUEST
    status: int | None = None
    bytes: int = 0
    took_s: float = 0.0
    plan: str = ""
    remaining: int | None = None
    reset_at: datetime | None = None


_collected: ContextVar[list[Call]] = ContextVar("metering")


@contextmanager
def collecting() -> Iterator[list[Call]]:
    """All calls noted within, also by tasks started within, in order."""
    calls: list[Call] = []
    token = _collected.set(calls)
    try:
        yield calls
    finally:
        _collected.reset(token)


def note(call: Call) -> None:
    """Called by providers, once for each request that left; raises LookupError outside `collecting`."""
    _collected.get().append(call)
