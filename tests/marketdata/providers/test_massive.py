from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from marketdata import checks
from marketdata.errors import Malformed, NotFound, PlanLocked, ProviderDown, RateLimited, Unauthorized
from marketdata.providers import registry
from marketdata.providers.base import AssetClass, Interval
from marketdata.providers.massive import Massive, from_settings
from marketdata.providers.massive_answers import (
    bar_of,
    dividend_of,
    is_real_time,
    item_error,
    last_of,
    match_of,
    refusal_of,
    split_of,
)
from marketdata.providers.massive_stream import feed_url
from marketdata.providers.plans import Plan, plan_of
from marketdata.quotes import ActionKind

NOW = datetime(2026, 3, 4, 15, 35, 20, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
BEFORE_NS = NOW_NS - 60_000_000_000


def massive(plan="advanced"):
    return Massive(
        "key",
        base_url="https://api.massive.com",
        stream_url="wss://socket.massive.com",
        plan=plan_of("massive", plan),
    )


# --- settings and plans


def test_a_missing_key_is_named(settings):
    settings.MASSIVE_API_KEY = ""

    with pytest.raises(ImproperlyConfigured, match="MASSIVE_API_KEY"):
        from_settings()


def test_an_unknown_plan_is_named_with_those_that_exist(settings):
    settings.MASSIVE_API_KEY, settings.MASSIVE_PLAN = "key", "golden"

    with pytest.raises(ImproperlyConfigured, match=r"MASSIVE_PLAN: .*golden.*basic, starter"):
        from_settings()


@pytest.mark.parametrize(
    ("key", "plan", "named"), [("", "basic", "MASSIVE_API_KEY"), ("key", "golden", "MASSIVE_PLAN")]
)
def test_what_it_lacks_is_told_before_anything_starts(settings, key, plan, named):
    settings.MARKETDATA_PROVIDERS = ["simulator", "massive"]
    settings.MASSIVE_API_KEY, settings.MASSIVE_PLAN = key, plan

    (found,) = checks.providers_can_be_made()

    assert found.id == "marketdata.E004"
    assert named in found.msg


def test_with_key_and_plan_it_can_be_made(settings):
    settings.MARKETDATA_PROVIDERS = ["simulator", "massive"]
    settings.MASSIVE_API_KEY = "key"

    assert checks.providers_can_be_made() == []


def test_the_registry_makes_it_by_the_settings(settings):
    settings.MASSIVE_API_KEY, settings.MASSIVE_PLAN = "key", "advanced"
    settings.MASSIVE_URL, settings.MASSIVE_STREAM_URL = "https://api.test/", "wss://socket.test/"

    provider = registry.make("massive")

    assert (provider.name, provider.base_url, provider.stream_url) == (
        "massive",
        "https://api.test",
        "wss://socket.test",
    )
    assert provider.capabilities.plan == "advanced"


def test_the_free_plan_asks_for_one_symbol_at_a_time_and_does_not_stream():
    can = massive("basic").capabilities

    assert (can.max_symbols_per_request, can.streams, can.delayed_s) == (1, False, 86_400)
    assert [(window.limit, window.seconds) for window in can.windows] == [(5, 60)]


def test_a_paid_plan_asks_for_250_and_streams_without_a_limit():
    can = massive("starter").capabilities

    assert (can.max_symbols_per_request, can.streams, can.max_streamed_symbols) == (250, True, None)
    assert (can.delayed_s, can.display_allowed) == (900, False)


@pytest.mark.parametrize(
    ("plan", "market", "url"),
    [
        (Plan("massive", "a"), "stocks", "wss://socket.massive.com/stocks"),
        (Plan("massive", "b", delayed=900), "stocks", "wss://delayed.massive.com/stocks"),
        (Plan("massive", "b", delayed=900), "crypto", "wss://socket.massive.com/crypto"),
        (Plan("massive", "c", feed="business"), "stocks", "wss://business.massive.com/stocks"),
        (Plan("massive", "d", feed="delayed-x", delayed=900), "stocks", "wss://delayed-x.massive.com/stocks"),
    ],
)
def test_the_address_of_a_stream_is_that_of_the_plans_feed(plan, market, url):
    assert feed_url("wss://socket.massive.com/", plan, market) == url


def test_another_host_of_the_stream_stays_as_it_was_set():
    plan = Plan("massive", "b", delayed=900)

    assert feed_url("ws://127.0.0.1:9/x", plan, "stocks") == "ws://127.0.0.1:9/x/stocks"


# --- answers


def test_the_last_trade_is_the_price():
    item = {
        "session": {"price": Decimal(9), "close": Decimal(8), "last_updated": BEFORE_NS},
        "last_trade": {"price": Decimal(10), "sip_timestamp": NOW_NS, "conditions": [12, 37]},
    }

    assert last_of("AAPL", item) == (10, NOW)


def test_a_trade_at_an_average_price_does_not_set_it():
    item = {
        "session": {"close": Decimal(8)},
        "last_trade": {"price": Decimal(10), "sip_timestamp": NOW_NS, "conditions": [2]},
    }

    assert last_of("AAPL", item) == (8, NOW)


def test_the_side_of_a_coins_trade_is_not_taken_for_a_condition():
    item = {"last_trade": {"price": Decimal(10), "last_updated": NOW_NS, "conditions": [2]}}

    assert last_of("BTC-USD", item) == (10, NOW)


def test_a_plan_without_trades_has_the_price_of_the_session():
    item = {"session": {"price": Decimal(9), "last_updated": NOW_NS}}

    assert last_of("AAPL", item) == (9, NOW)


def test_a_currency_pair_is_worth_the_middle_of_bid_and_ask():
    item = {"last_quote": {"bid": Decimal("1.08"), "ask": Decimal("1.10"), "last_updated": NOW_NS}}

    assert last_of("EURUSD=X", item) == (Decimal("1.09"), NOW)


def test_crossed_sides_have_no_middle():
    item = {"last_quote": {"bid": Decimal("1.10"), "ask": Decimal("1.08"), "last_updated": NOW_NS}}

    assert last_of("EURUSD=X", item) == (None, None)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"last_trade": {"timeframe": "REAL-TIME"}, "last_quote": {"timeframe": "REAL-TIME"}}, True),
        ({"last_trade": {"timeframe": "DELAYED"}, "last_quote": {"timeframe": "REAL-TIME"}}, False),
        ({"timeframe": "REAL-TIME"}, True),
        ({}, False),
    ],
)
def test_a_snapshot_says_whether_it_is_of_now(item, expected):
    assert is_real_time(item) is expected


def test_an_index_has_a_value():
    assert last_of("^GSPC", {"value": Decimal(6000), "last_updated": NOW_NS}) == (6000, NOW)


@pytest.mark.parametrize(
    "told", [NOW_NS // 1_000, NOW_NS // 1_000_000, NOW_NS // 1_000_000_000, 0, None, "soon"]
)
def test_a_time_in_another_unit_is_no_time(told):
    item = {"last_trade": {"price": Decimal(10), "sip_timestamp": told}}

    assert last_of("AAPL", item) == (10, None)


def test_a_day_begins_in_new_york_for_shares_and_in_utc_for_coins():
    row = dict.fromkeys("ohlc", Decimal(1)) | {"v": Decimal("12.7")}
    new_york, utc = datetime(2026, 7, 1, 4, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)

    bars = [
        bar_of("AAPL", Interval.DAY, {**row, "t": int(moment.timestamp()) * 1_000})
        for moment in (new_york, utc)
    ]

    assert [(bar.start, bar.volume) for bar in bars] == [(utc, 12), (utc, 12)]


@pytest.mark.parametrize("spoiled", [{"o": 0}, {"h": None}, {"l": -1}, {"c": "much"}, {"t": 7}])
def test_a_bar_without_one_of_its_figures_is_none(spoiled):
    row = dict.fromkeys("ohlc", Decimal(1)) | {"v": 1, "t": 1_700_000_000_000, **spoiled}

    assert bar_of("AAPL", Interval.MINUTE, row) is None


def test_a_special_dividend_is_marked():
    row = {
        "ex_dividend_date": "2026-03-04",
        "cash_amount": Decimal(5),
        "dividend_type": "SC",
        "currency": "usd",
    }

    action = dividend_of("AAPL", row)

    assert (action.kind, action.amount, action.special, action.currency) == (
        ActionKind.DIVIDEND,
        5,
        True,
        "USD",
    )
    assert (action.declared_date, action.record_date, action.pay_date) == (None, None, None)


@pytest.mark.parametrize("split_from", [0, None, -1])
def test_a_split_without_a_ratio_is_none(split_from):
    row = {"execution_date": "2026-03-04", "split_from": split_from, "split_to": 1}

    assert split_of("AAPL", row) is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"ticker": "SPY", "market": "stocks", "type": "ETF", "currency_name": "usd"},
            (AssetClass.ETF, "USD"),
        ),
        (
            {"ticker": "IBM", "market": "stocks", "type": "CS", "currency_name": "usd"},
            (AssetClass.STOCK, "USD"),
        ),
        ({"ticker": "X:ETHEUR", "market": "crypto", "currency_symbol": "EUR"}, (AssetClass.CRYPTO, "EUR")),
        ({"ticker": "C:EURUSD", "market": "fx", "currency_symbol": "USD"}, (AssetClass.FOREX, "USD")),
    ],
)
def test_a_find_is_told_with_its_class_and_currency(row, expected):
    match = match_of(row)

    assert (match.asset_class, match.currency) == expected


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        ("ERROR", "You've exceeded the maximum requests per minute, please wait", RateLimited),
        ("ERROR", "Unknown API Key", Unauthorized),
        ("NOT_AUTHORIZED", "You are not entitled to this data.", PlanLocked),
        ("NOT_FOUND", "Ticker not found.", NotFound),
        ("ERROR", "Something else", ProviderDown),
        (None, "", Malformed),
    ],
)
def test_a_refusal_with_status_200_is_told_by_its_words(status, words, expected):
    error = refusal_of(status, words, NOW)

    assert type(error) is expected
    assert error.retry_at == (NOW if expected is RateLimited else None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("NOT_FOUND", NotFound),
        ("NOT_ENTITLED", PlanLocked),
        ("NOT_AUTHORIZED", PlanLocked),
        ("OOPS", ProviderDown),
    ],
)
def test_an_error_of_one_symbol_is_told_by_its_code(code, expected):
    assert type(item_error(code)) is expected
