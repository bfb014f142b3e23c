"""A scripted provider that tells corporate actions, and short ways to write them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from marketdata.quotes import Action, ActionKind
from tests.providers import Scripted


class Acting(Scripted):
    def __init__(self, *symbols: str, name: str = "acting") -> None:
        super().__init__(*symbols, name=name)
        self.capabilities = replace(self.capabilities, actions=True)
        self.actions: list[Action] = []
        self.action_requests: list[tuple[str, date, date]] = []

    async def fetch_actions(self, symbol: str, start: date, end: date) -> list[Action]:
        self.action_requests.append((symbol, start, end))
        if self.failure is not None:
            raise self.failure
        return [one for one in self.actions if symbol in (one.symbol, one.new_symbol)]


def dividend(day: date, amount: str = "0.24", symbol: str = "AAPL", **fields) -> Action:
    return Action(symbol, ActionKind.DIVIDEND, day, amount=Decimal(amount), **fields)


def split(day: date, old: int = 1, new: int = 4, symbol: str = "AAPL") -> Action:
    return Action(symbol, ActionKind.SPLIT, day, split_from=Decimal(old), split_to=Decimal(new))


def rename(day: date, new: str, symbol: str = "AAPL") -> Action:
    return Action(symbol, ActionKind.RENAME, day, new_symbol=new)
