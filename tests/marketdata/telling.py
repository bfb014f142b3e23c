"""A scripted provider that tells fundamentals, and a short way to write them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from marketdata.company import Fundamentals
from marketdata.errors import NotFound
from tests.providers import Scripted


class Telling(Scripted):
    def __init__(self, *symbols: str, name: str = "telling", simulated: bool = False) -> None:
        super().__init__(*symbols, name=name)
        self.capabilities = replace(self.capabilities, fundamentals=True, simulated=simulated)
        self.told: dict[str, Fundamentals] = {}
        self.asked: list[str] = []

    def covers(self, symbol: str) -> bool:
        return not self.symbols or symbol in self.symbols

    async def fetch_fundamentals(self, symbol: str) -> Fundamentals:
        self.asked.append(symbol)
        if self.failure is not None:
            raise self.failure
        if symbol not in self.told:
            raise NotFound("scripted")
        return self.told[symbol]


def figures(symbol: str = "AAPL", as_of: date = date(2025, 12, 31), **values) -> Fundamentals:
    typed = {name: Decimal(value) for name, value in values.items()}
    return Fundamentals(symbol, as_of, **(typed or {"eps_ttm": Decimal("6.5")}))
