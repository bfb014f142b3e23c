"""Whatever stands in any place of what a vendor tells of a company: a value that makes sense, or a ProviderError."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from core import clock, http
from core.http import Answer
from marketdata import metering
from marketdata.company import FIGURES, EarningsCall, Fundamentals, News
from marketdata.errors import ProviderError
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.alpha_vantage import AlphaVantageStandIn
from marketdata.standins.base import Asked
from marketdata.standins.finnhub import FinnhubStandIn
from marketdata.standins.massive import MassiveStandIn
from marketdata.standins.yahoo import YahooStandIn
from tests.contracts.vendors.case import KEY
from tests.contracts.vendors.test_alpaca import alpaca
from tests.contracts.vendors.test_alpha_vantage import alpha_vantage
from tests.contracts.vendors.test_finnhub import finnhub
from tests.contracts.vendors.test_massive import massive
from tests.contracts.vendors.test_yahoo import yahoo
from tests.marketdata.providers.test_poisoned_batches import POISONS

MARK = "the place of the poison"
VENDORS = {
    "alpaca": (AlpacaStandIn, alpaca, ["news"]),
    "massive": (MassiveStandIn, massive, ["news", "fundamentals"]),
    "finnhub": (FinnhubStandIn, finnhub, ["news", "calls", "call", "fundamentals"]),
    "alpha_vantage": (AlphaVantageStandIn, alpha_vantage, ["news", "calls", "call", "fundamentals"]),
    "yahoo": (YahooStandIn, yahoo, ["news", "fundamentals"]),
}
CASES = [(vendor, operation) for vendor, (_, _, operations) in VENDORS.items() for operation in operations]


class Poisoner:
    """Answers as the stand-in does, but for one place of one of its answers."""

    def __init__(self, standin) -> None:
        self.standin = standin
        self.answers: list[object] = []
        self.wanted: tuple[int, tuple[object, ...]] | None = None
        self.poison = ""

    async def get(self, url, *, params, headers, budget_s):
        path = "/" + url.partition("://")[2].partition("/")[2]
        asked = Asked(path, params, {name.lower(): value for name, value in headers.items()})
        try:
            body = (await self.standin.respond(asked, None)).body
        except ValueError:  # a poisoned word of the answer before came back as a question
            return Answer(400, {}, b"{}", 0.001)
        number = len(self.answers)
        self.answers.append(body)
        text = json.dumps(body)
        if self.wanted and self.wanted[0] == number:
            text = json.dumps(replaced(body, self.wanted[1])).replace(json.dumps(MARK), self.poison)
        return Answer(200, {}, text.encode(), 0.001)


def places(body, at=()) -> Iterator[tuple[object, ...]]:
    """Every name and the first of each list: the others are alike."""
    yield at
    if isinstance(body, dict):
        for name, part in body.items():
            yield from places(part, (*at, name))
    elif isinstance(body, list) and body:
        yield from places(body[0], (*at, 0))


def replaced(body, at):
    if not at:
        return MARK
    copy = body.copy()
    copy[at[0]] = replaced(body[at[0]], at[1:])
    return copy


async def asked(provider, operation):
    match operation:
        case "news":
            return await provider.fetch_news("AAPL", clock.now() - timedelta(days=3))
        case "calls":
            return await provider.fetch_calls("AAPL", 9)
        case "call":
            return await provider.fetch_call("AAPL", 2026, 1)
        case _:
            return await provider.fetch_fundamentals("AAPL")


def makes_sense(found) -> bool:
    match found:
        case Fundamentals():
            told = [value for name in FIGURES if (value := getattr(found, name)) is not None]
            return all(value.is_finite() for value in told) and 1900 < found.as_of.year < 10_000
        case EarningsCall():
            return bool(found.title) and all(isinstance(one.text, str) and one.text for one in found.speeches)
        case News():
            is_dated = found.published_at.utcoffset() == timedelta()
            return is_dated and bool(found.headline) and found.symbols[0] == "AAPL"
        case (int(year), int(quarter)):
            return 1990 <= year <= 2100 and 1 <= quarter <= 4
        case list():
            return all(makes_sense(one) for one in found)
    return False


async def tried(provider, operation):
    try:
        return await asked(provider, operation)
    except ProviderError as error:
        return error


@pytest.mark.parametrize(("vendor", "operation"), CASES)
async def test_no_poison_gets_through(vendor, operation, monkeypatch):
    kind, make, _ = VENDORS[vendor]
    standin = kind(key="" if vendor == "yahoo" else KEY)
    poisoner = Poisoner(standin)
    monkeypatch.setattr(http, "get", poisoner.get)

    def fresh():
        poisoner.answers = []
        return make(standin)

    with metering.collecting():
        assert makes_sense(await asked(fresh(), operation))
        spots = [(number, at) for number, body in enumerate(poisoner.answers) for at in places(body)]
        strange = []
        for poisoner.wanted in spots:
            for poisoner.poison in POISONS:
                found = await tried(fresh(), operation)
                if not (isinstance(found, ProviderError) or makes_sense(found)):
                    strange.append((poisoner.wanted, poisoner.poison[:20], found))

    assert strange == []
