"""What streaming buys: a first quote, then minutes of symbols, counted while really open, noted once a minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from marketdata import lookup
from marketdata.errors import Kind
from marketdata.freshness import provider_named
from marketdata.metering import Call
from marketdata.models import Cause
from marketdata.providers.base import Unit
from marketdata.providers.chain import Asking
from marketdata.quota import Priority
from marketdata.quoting import Outcome

ENDPOINT = "stream"
SEED = Asking(Priority.VISIBLE, Cause.SEED)


def first_quotes(symbols: Sequence[str]) -> dict[str, Outcome]:
    """What a stream that begins is seeded with; a known old price is no reason to stop waiting for a new one."""
    return lookup.get_quotes(symbols, asking=SEED, patience_s=None)


class Meter:
    """`follow` at every change; `take` what was open since the last time. Times are any one clock's seconds."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, float]] = defaultdict(dict)
        self._over: dict[str, dict[str, float]] = _seconds()

    def follow(self, now_s: float, open_now: Mapping[str, Collection[str]]) -> None:
        """These symbols are open at these providers from now on."""
        for name in self._open.keys() | open_now.keys():
            symbols, since = open_now.get(name, ()), self._open[name]
            for symbol in since.keys() - set(symbols):
                self._over[name][symbol] += now_s - since.pop(symbol)
            for symbol in symbols:
                since.setdefault(symbol, now_s)

    def take(self, now_s: float, at: datetime) -> list[Call]:
        """One purchase for each provider that had something open."""
        for name, since in self._open.items():
            for symbol, began in since.items():
                self._over[name][symbol] += now_s - began
                since[symbol] = now_s
        over, self._over = self._over, _seconds()
        bought = {
            name: {one: s for one, s in seconds.items() if s > 0} for name, seconds in sorted(over.items())
        }
        return [_purchase(name, seconds, at) for name, seconds in bought.items() if seconds]


def _purchase(name: str, seconds: Mapping[str, float], at: datetime) -> Call:
    provider = provider_named(name)
    return Call(
        provider=name,
        plan=provider.capabilities.plan if provider else "",
        endpoint=ENDPOINT,
        at=at,
        kind=Kind.OK,
        symbols=tuple(sorted(seconds)),
        units=(Decimal(sum(seconds.values())) / 60).quantize(Decimal("0.000001")),
        unit=Unit.SYMBOL_MINUTE,
    )


def _seconds() -> dict[str, dict[str, float]]:
    return defaultdict(lambda: defaultdict(float))
