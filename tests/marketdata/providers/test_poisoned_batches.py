"""Whatever stands in one symbol's part of a batch, the symbol beside it is well."""

from __future__ import annotations

import json

import pytest

from core.http import Answer
from marketdata import metering
from marketdata.errors import ProviderError
from marketdata.providers.alpaca import Alpaca
from marketdata.providers.alpha_vantage import AlphaVantage
from marketdata.providers.massive import Massive
from marketdata.providers.plans import plan_of
from marketdata.providers.yahoo import Yahoo
from marketdata.providers.yahoo_session import Pass

TIME, SECONDS = "2026-01-05T15:30:00.123456789Z", 1_767_627_000
NANOSECONDS = SECONDS * 10**9
BAR = {"t": TIME, "o": 187.0, "h": 187.5, "l": 186.9, "c": 187.3, "v": 12345}
POISONS = [
    "1e999", "1e999999999", "1e-999999999", '"1e999999999"', "9" * 4000, "-1", "0", "null", "true", '"x"', "[]", "[1]",
    "{}", '{"a": 1}', '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"',
]  # fmt: skip

ALPACA = {
    "latestTrade": {"t": TIME, "p": 187.3, "s": 100, "c": ["@"], "z": "C"},
    "latestQuote": {"t": TIME, "bp": 187.2, "ap": 187.4},
    "minuteBar": BAR,
    "dailyBar": BAR,
    "prevDailyBar": BAR,
}
MASSIVE = {
    "session": {"close": 187.3, "open": 186, "high": 188, "low": 185, "previous_close": 186, "volume": 10,
                "last_updated": NANOSECONDS},
    "last_quote": {"bid": 187, "ask": 188, "last_updated": NANOSECONDS},
    "last_trade": {"price": 187.3, "sip_timestamp": NANOSECONDS, "conditions": [12], "size": 1},
}  # fmt: skip
YAHOO = {
    "regularMarketPrice": 187.3, "regularMarketPreviousClose": 186, "regularMarketOpen": 186, "bid": 187, "ask": 188,
    "regularMarketDayHigh": 188, "regularMarketDayLow": 185, "regularMarketVolume": 10, "preMarketPrice": 187,
    "regularMarketTime": SECONDS, "preMarketTime": SECONDS + 1, "currency": "USD", "marketState": "REGULAR",
    "exchangeDataDelayedBy": 0,
}  # fmt: skip
BULK = {
    "timestamp": "2026-01-05 19:59:56.000", "open": "186", "high": "188", "low": "185", "close": "187", "volume": "9",
    "previous_close": "186", "extended_hours_quote": "188",
}  # fmt: skip


def alpaca():
    return Alpaca(
        base_url="http://x", stream_url="ws://x", key="k", secret="s", plan=plan_of("alpaca", "basic")
    )


def massive():
    return Massive("k", base_url="http://x", stream_url="ws://x", plan=plan_of("massive", "advanced"))


def alpha_vantage():
    return AlphaVantage("k", base_url="http://x", plan=plan_of("alpha_vantage", "premium-75"))


def yahoo():
    plan = plan_of("yahoo", "unofficial")
    made = Yahoo(base_url="http://x", cookie_url="http://x", stream_url="ws://x", plan=plan)
    made.known_pass = Pass("cookie", "crumb")
    return made


def listed(name, field):
    return lambda parts: {"status": "OK", field: [{name: symbol, **part} for symbol, part in parts.items()]}


def quoted(parts):
    return {"quoteResponse": {"result": listed("symbol", "all")(parts)["all"], "error": None}}


VENDORS = {
    "alpaca": (alpaca, ALPACA, dict),
    "massive": (massive, MASSIVE, listed("ticker", "results")),
    "alpha_vantage": (alpha_vantage, BULK, listed("symbol", "data")),
    "yahoo": (yahoo, YAHOO, quoted),
}


def places_of(part, before=()):
    """Every place of a JSON value but its top."""
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, inner in pairs:
        yield (*before, name)
        yield from places_of(inner, (*before, name))


def poisoned(part, place):
    changed = json.loads(json.dumps(part))
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = "POISON"
    return changed


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_figure_that_is_none_spoils_no_other_symbol_of_the_batch(vendor, monkeypatch):
    make, part, body_of = VENDORS[vendor]
    provider, spoiled = make(), []
    for place in places_of(part):
        body = json.dumps(body_of({"AAPL": poisoned(part, place), "MSFT": part}))
        for poison in POISONS:
            answer = Answer(200, {}, body.replace('"POISON"', poison).encode(), 0.1)

            async def ask(*_, answer=answer):
                return answer

            monkeypatch.setattr(provider, "_ask", ask)
            with metering.collecting():
                try:
                    found = await provider.fetch_quotes(["AAPL", "MSFT"])
                except ProviderError as error:
                    spoiled.append((place, poison[:20], error))
                    continue
            if isinstance(found["MSFT"], ProviderError):
                spoiled.append((place, poison[:20], found["MSFT"]))

    assert spoiled == []
