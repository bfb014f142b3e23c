"""Massive's REST API as we serve it: addresses, figures, errors. Its own client library: test_massive_client.py."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from marketdata import cache
from marketdata.errors import InvalidSymbol
from marketdata.instruments import asset_class_of
from marketdata.models import CorporateAction
from marketdata.providers.massive_symbols import symbol_of
from marketdata.providers.spelling import is_canonical
from marketdata.quotes import ActionKind, NoQuote, Reason
from subscriptions.compat.massive_shapes import meant
from tests.accounts.keys import make_api_key
from tests.factories import (
    make_daily_bar,
    make_minute_bar,
    make_quote,
    make_subscription,
    make_ticker,
    make_user,
)

pytestmark = pytest.mark.django_db

BASE = "/compat/massive"
TICKERS = "/v2/snapshot/locale/us/markets/stocks/tickers"
AT = datetime(2026, 3, 2, 15, 30, 0, 123456, tzinfo=UTC)
AT_NS = 1772465400123456000


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def key(user):
    return make_api_key(user)[1]


@pytest.fixture
def ask(client, key):
    """`ask(path, …)`: (status, body) with our key in the header."""

    def asked(path, **params):
        response = client.get(BASE + path, params, headers={"Authorization": f"Bearer {key}"})
        assert response["Content-Type"] == "application/json"
        return response.status_code, response.json()

    return asked


def make_apple(**fields):
    values = {
        "change": Decimal("1.5"), "change_percent": Decimal("0.8"), "volume": 1200, "open": Decimal(188),
        "high": Decimal(190), "low": Decimal("187.5"), "previous_close": Decimal("187.84"), "bid": Decimal("189.33"),
        "ask": Decimal("189.35"), "as_of": AT, "epoch": 4, "seq": 17, **fields,
    }  # fmt: skip
    ticker = make_ticker("AAPL", name="Apple Inc.", exchange="NASDAQ")
    make_quote(ticker, "189.34", **values)
    return ticker


# --- who asks


def test_a_key_in_the_address_is_as_good_as_one_in_the_header(client, key):
    make_apple()

    response = client.get(f"{BASE}/v2/last/trade/AAPL", {"apiKey": key})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "API Key was not provided"),
        ({"Authorization": "Bearer ot_abcdefgh_" + "x" * 40}, "Unknown API Key"),
        ({"Authorization": "Bearer \x00"}, "Unknown API Key"),
        ({"Authorization": "Basic YTpi"}, "API Key was not provided"),
    ],
)
def test_without_a_key_of_ours_the_answer_is_massives_401(client, headers, words):
    response = client.get(f"{BASE}/v2/last/trade/AAPL", headers=headers)

    assert response.status_code == 401
    assert response.json() == {"status": "ERROR", "request_id": response["X-Request-ID"], "error": words}


def test_a_session_of_the_pages_does_not_let_in(client, user):
    client.force_login(user)

    assert client.get(f"{BASE}/v2/last/trade/AAPL").status_code == 401


# --- the last trade and quote


def test_the_last_trade_is_the_last_price(ask):
    make_apple()

    status, body = ask("/v2/last/trade/AAPL")

    assert (status, body["status"]) == (200, "OK")
    assert body["results"] == {"T": "AAPL", "i": "4-17", "p": 189.34, "q": 17, "t": AT_NS, "y": AT_NS}


def test_a_late_price_is_told_as_delayed(ask):
    make_apple(delayed_s=900)

    assert ask("/v2/last/trade/AAPL")[1]["status"] == "DELAYED"


def test_the_last_quote_has_both_sides(ask):
    make_apple()

    assert ask("/v2/last/nbbo/AAPL")[1]["results"] == {
        "T": "AAPL", "p": 189.33, "P": 189.35, "t": AT_NS, "y": AT_NS,
    }  # fmt: skip


def test_where_no_side_is_known_there_is_no_quote(ask):
    make_apple(bid=None, ask=None)

    status, body = ask("/v2/last/nbbo/AAPL")

    assert (status, body["status"], body["message"]) == (
        404,
        "NOT_FOUND",
        "No quote is known of this ticker.",
    )


@pytest.mark.parametrize(
    "path", ["/v2/last/trade/{}", "/v2/last/nbbo/{}", "/v2/snapshot/locale/us/markets/stocks/tickers/{}"]
)
@pytest.mark.parametrize("ticker", ["NOSUCH", "А", "A*", "X:", "A" * 300, "..%2F..%2Fetc", "%00", "🚀"])
def test_what_is_no_ticker_is_not_found(ask, path, ticker):
    status, body = ask(path.format(ticker))

    assert (status, body["status"], body["message"]) == (404, "NOT_FOUND", "Ticker not found.")


@pytest.mark.parametrize("text", ["A" * 5_000, "X:" + "A" * 5_000, "O:" + "1" * 5_000])
def test_a_text_that_is_too_long_for_a_ticker_is_not_kept_in_memory(text):
    looked_up = [one.cache_info().misses for one in (symbol_of, asset_class_of, is_canonical)]

    with pytest.raises(InvalidSymbol):
        meant(text)

    assert [one.cache_info().misses for one in (symbol_of, asset_class_of, is_canonical)] == looked_up


@pytest.mark.parametrize("spelling", ["BRK.B", "brk-b", "BRK/B"])
def test_every_spelling_of_ours_is_understood_and_massives_is_told(ask, spelling):
    make_quote(make_ticker("BRK.B"), "400")

    assert ask(f"/v2/last/trade/{spelling}")[1]["results"]["T"] == "BRK.B"


def test_a_coin_has_massives_spelling(ask):
    make_quote(make_ticker("BTC-USD"), "64250.55")

    assert ask("/v2/last/trade/X:BTCUSD")[1]["results"]["T"] == "X:BTCUSD"


@pytest.mark.parametrize(
    ("reason", "status", "told"),
    [
        (Reason.PLAN_LOCKED, 403, "NOT_AUTHORIZED"),
        (Reason.PROVIDER_DOWN, 503, "ERROR"),
        (Reason.RATE_LIMITED, 503, "ERROR"),
        (Reason.NO_DATA_YET, 503, "ERROR"),
    ],
)
def test_a_price_that_is_not_to_be_had_is_refused_in_massives_words(ask, monkeypatch, reason, status, told):
    monkeypatch.setattr(
        "subscriptions.compat.massive_views.quotes_of_known",
        lambda symbols, _: {one: NoQuote(one, reason) for one in symbols},
    )

    for path in ("/v2/last/trade/AAPL", f"{TICKERS}/AAPL"):
        found, body = ask(path)
        assert (found, body["status"]) == (status, told)


# --- snapshots


def test_a_snapshot_has_what_is_known_of_the_day(ask):
    apple = make_apple()
    make_minute_bar(apple, AT - timedelta(minutes=2), "188")
    make_minute_bar(apple, AT.replace(second=0, microsecond=0), "189")

    status, body = ask(f"{TICKERS}/AAPL")

    assert (status, body["status"]) == (200, "OK")
    assert body["ticker"] == {
        "ticker": "AAPL", "todaysChange": 1.5, "todaysChangePerc": 0.8, "updated": AT_NS,
        "day": {"o": 188.0, "h": 190.0, "l": 187.5, "c": 189.34, "v": 1200},
        "lastTrade": {"i": "4-17", "p": 189.34, "q": 17, "t": AT_NS},
        "lastQuote": {"p": 189.33, "P": 189.35, "t": AT_NS},
        "min": {"av": 1200, "v": 10, "o": 189.0, "c": 189.0, "h": 190.0, "l": 188.0, "t": 1772465400000},
        "prevDay": {"c": 187.84},
    }  # fmt: skip


def test_what_is_not_known_is_left_out(ask):
    make_quote(make_ticker("IBM"), "250", as_of=AT)

    assert ask(f"{TICKERS}/IBM")[1]["ticker"] == {
        "ticker": "IBM", "updated": AT_NS, "day": {"c": 250.0}, "lastTrade": {"p": 250.0, "t": AT_NS},
    }  # fmt: skip


def test_snapshots_are_those_that_were_asked_for_and_exist(ask):
    make_apple()
    make_quote(make_ticker("IBM"), "250")
    make_quote(make_ticker("MSFT"), "500")

    status, body = ask(TICKERS, tickers="IBM,NOSUCH,AAPL,*,IBM")

    assert (status, body["count"]) == (200, 2)
    assert [item["ticker"] for item in body["tickers"]] == ["IBM", "AAPL"]


def test_each_ticker_has_its_own_minute(ask):
    for number, symbol in enumerate(["AAPL", "MSFT"]):
        ticker = make_ticker(symbol)
        make_quote(ticker, "100")
        make_minute_bar(ticker, datetime(2026, 3, 2, 15, number, tzinfo=UTC), str(100 + number))
        make_minute_bar(ticker, datetime(2026, 3, 2, 14, 1 - number, tzinfo=UTC), "1")

    found = ask(TICKERS, tickers="AAPL,MSFT")[1]["tickers"]

    assert [item["min"]["c"] for item in found] == [100.0, 101.0]


def test_all_tickers_are_the_watchlist(ask, user):
    make_quote(make_ticker("MSFT"), "500")
    for symbol in ("IBM", "AAPL"):
        ticker = make_ticker(symbol)
        make_quote(ticker, "250")
        make_subscription(user, ticker)
    make_subscription(make_user(), make_ticker("NVDA"))

    assert [item["ticker"] for item in ask(TICKERS)[1]["tickers"]] == ["IBM", "AAPL"]


def test_too_many_tickers_are_refused(ask):
    status, body = ask(TICKERS, tickers=",".join(f"T{number}" for number in range(251)))

    assert (status, body["status"], body["error"]) == (400, "ERROR", "At most 250 tickers at once.")


def test_snapshots_without_any_price_say_that_waiting_helps(ask, monkeypatch):
    monkeypatch.setattr(
        "subscriptions.compat.massive_views.quotes_of_known",
        lambda symbols, _: {one: NoQuote(one, Reason.PROVIDER_DOWN) for one in symbols},
    )

    assert ask(TICKERS, tickers="AAPL,IBM")[0] == 503


def test_a_universal_snapshot_has_an_error_in_the_place_of_what_there_is_not(ask):
    make_apple()

    body = ask("/v3/snapshot", **{"ticker.any_of": "AAPL,NOSUCH"})[1]

    apple, other = body["results"]
    assert apple == {
        "ticker": "AAPL", "name": "Apple Inc.", "type": "stocks", "market_status": "open",
        "session": {
            "change": 1.5, "change_percent": 0.8, "open": 188.0, "high": 190.0, "low": 187.5, "close": 189.34,
            "price": 189.34, "previous_close": 187.84, "volume": 1200, "last_updated": AT_NS,
        },
        "last_quote": {"bid": 189.33, "ask": 189.35, "last_updated": AT_NS, "timeframe": "REAL-TIME"},
        "last_trade": {
            "price": 189.34, "last_updated": AT_NS, "sip_timestamp": AT_NS, "timeframe": "REAL-TIME",
        },
    }  # fmt: skip
    assert other == {"error": "NOT_FOUND", "message": "Ticker not found.", "ticker": "NOSUCH"}


def test_an_index_has_a_value_and_a_currency_pair_no_trade(ask):
    make_quote(make_ticker("^GSPC"), "6800", as_of=AT)
    make_quote(make_ticker("EURUSD=X"), "1.1", as_of=AT, bid=Decimal("1.09"), ask=Decimal("1.11"))

    index, pair = ask("/v3/snapshot", **{"ticker.any_of": "I:SPX,C:EURUSD"})[1]["results"]

    assert (index["ticker"], index["type"], index["value"]) == ("I:SPX", "indices", 6800.0)
    assert (pair["ticker"], pair["type"], pair["last_quote"]["bid"]) == ("C:EURUSD", "fx", 1.09)
    assert "last_trade" not in pair


def test_the_next_page_of_snapshots_is_named_without_our_prefix_and_without_the_key(client, key):
    for number in range(12):
        make_quote(make_ticker(f"S{chr(65 + number)}"), "10")
    wanted = ",".join(f"S{chr(65 + number)}" for number in range(12))

    body = client.get(f"{BASE}/v3/snapshot", {"ticker.any_of": wanted, "apiKey": key}).json()

    assert len(body["results"]) == 10
    assert body["next_url"] == "http://testserver/v3/snapshot?ticker.any_of=SK%2CSL"


@pytest.mark.parametrize("limit", ["0", "-1", "1e3", "１２", "x", "", "9" * 5000])
def test_a_limit_that_is_none_is_refused(ask, limit):
    status, body = ask("/v3/snapshot", **{"ticker.any_of": "AAPL", "limit": limit})

    assert (status, body["error"]) == (400, "The parameter 'limit' must be a whole number above 0.")


# --- bars


def aggs(rest, ticker="AAPL"):
    return f"/v2/aggs/ticker/{ticker}/range/{rest}"


def test_days_begin_at_midnight_in_new_york_and_both_ends_belong_to_the_range(ask):
    apple = make_ticker("AAPL")
    for day in range(4, 9):
        make_daily_bar(apple, date(2026, 3, day), str(100 + day))

    status, body = ask(aggs("1/day/2026-03-05/2026-03-07"))

    assert status == 200
    assert {name: value for name, value in body.items() if name not in {"results", "request_id"}} == {
        "ticker": "AAPL", "adjusted": True, "queryCount": 3, "resultsCount": 3, "count": 3, "status": "OK",
    }  # fmt: skip
    assert [(bar["t"], bar["c"]) for bar in body["results"]] == [
        (1772686800000, 105.0), (1772773200000, 106.0), (1772859600000, 107.0),
    ]  # fmt: skip
    assert body["results"][0] == {
        "t": 1772686800000, "o": 105.0, "h": 106.0, "l": 104.0, "c": 105.0, "v": 1000,
    }  # fmt: skip


def test_a_coins_days_begin_at_midnight_utc(ask):
    make_daily_bar(make_ticker("BTC-USD"), date(2026, 3, 5))

    (bar,) = ask(aggs("1/day/2026-03-05/2026-03-05", "X:BTCUSD"))[1]["results"]

    assert bar["t"] == 1772668800000


def test_prices_are_adjusted_for_splits_unless_they_are_not_to_be(ask):
    apple = make_ticker("AAPL")
    make_daily_bar(apple, date(2026, 3, 5), "400")
    CorporateAction.objects.create(
        ticker=apple, kind=ActionKind.SPLIT.value, ex_date=date(2026, 3, 6), split_from=1, split_to=4,
        provider="scripted", loaded_at=AT,
    )  # fmt: skip
    path = aggs("1/day/2026-03-05/2026-03-05")

    adjusted, raw = ask(path)[1], ask(path, adjusted="false")[1]

    assert (adjusted["adjusted"], adjusted["results"][0]["c"], adjusted["results"][0]["v"]) == (
        True,
        100.0,
        4000,
    )
    assert (raw["adjusted"], raw["results"][0]["c"], raw["results"][0]["v"]) == (False, 400.0, 1000)


def minutes(ticker, start, count):
    for number in range(count):
        make_minute_bar(ticker, start + timedelta(minutes=number), str(100 + number))


def test_minutes_within_milliseconds(ask):
    start = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    minutes(make_ticker("AAPL"), start, 5)

    body = ask(aggs("1/minute/1772463660000/1772463780000"))[1]

    assert [(bar["t"], bar["c"]) for bar in body["results"]] == [
        (1772463660000, 101.0), (1772463720000, 102.0), (1772463780000, 103.0),
    ]  # fmt: skip


def test_longer_windows_are_made_of_minutes(ask):
    start = datetime(2026, 3, 2, 15, 3, tzinfo=UTC)
    minutes(make_ticker("AAPL"), start, 5)

    body = ask(aggs("5/minute/2026-03-02/2026-03-02"))[1]

    assert body["results"] == [
        {"t": 1772463600000, "o": 100.0, "h": 102.0, "l": 99.0, "c": 101.0, "v": 20},
        {"t": 1772463900000, "o": 102.0, "h": 105.0, "l": 101.0, "c": 104.0, "v": 30},
    ]


def test_weeks_begin_on_sunday_and_a_range_covers_the_whole_of_its_first_and_last_one(ask):
    apple = make_ticker("AAPL")
    for day in (2, 6, 9, 13, 16):  # Mondays and Fridays
        make_daily_bar(apple, date(2026, 3, day), str(100 + day))

    body = ask(aggs("1/week/2026-03-04/2026-03-10"))[1]

    assert [(bar["t"], bar["o"], bar["c"], bar["v"]) for bar in body["results"]] == [
        (1772341200000, 102.0, 106.0, 2000), (1772946000000, 109.0, 113.0, 2000),
    ]  # fmt: skip


def test_the_newest_first(ask):
    apple = make_ticker("AAPL")
    for day in (4, 5, 6):
        make_daily_bar(apple, date(2026, 3, day), str(100 + day))

    body = ask(aggs("1/day/2026-03-01/2026-03-31"), sort="desc", limit=2)[1]

    assert [bar["c"] for bar in body["results"]] == [106.0, 105.0]


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize(("count", "span"), [(1, "minute"), (5, "minute"), (1, "hour")])
def test_all_pages_together_are_what_one_large_page_is(client, key, ask, sort, count, span):
    start = datetime(2026, 3, 2, 15, 3, tzinfo=UTC)
    minutes(make_ticker("AAPL"), start, 130)
    path = aggs(f"{count}/{span}/2026-03-02/2026-03-02")
    whole = ask(path, sort=sort)[1]["results"]

    found, body = [], ask(path, sort=sort, limit=7)[1]
    while True:
        found += body["results"]
        if "next_url" not in body:
            break
        further = body["next_url"].removeprefix("http://testserver")
        assert further.startswith("/v2/aggs/ticker/AAPL/range/")
        body = client.get(BASE + further, headers={"Authorization": f"Bearer {key}"}).json()

    assert found == whole
    assert len(found) == {1: {"minute": 130, "hour": 3}[span], 5: 27}[count]


def test_bars_of_what_is_no_ticker_are_none(ask):
    for ticker in ("NOSUCH", "A*"):
        status, body = ask(aggs("1/day/2026-03-04/2026-03-05", ticker))
        assert (status, body["resultsCount"], "results" in body) == (200, 0, False)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("1/day/2026-03-5/2026-03-07", "Could not parse the time parameter: 'from'"),
        ("1/day/0000-00-00/2026-03-07", "Could not parse the time parameter: 'from'"),
        ("1/day/2026-03-05/2026-02-30", "Could not parse the time parameter: 'to'"),
        ("1/day/１７/2026-02-01", "Could not parse the time parameter: 'from'"),
        ("1/day/1/99999999999999999999", "Could not parse the time parameter: 'to'"),
        ("1/day/2026-03-07/2026-03-05", "The parameter 'to' cannot be a time that occurs before 'from'"),
        ("0/day/2026-03-05/2026-03-07", "The parameter 'multiplier' must be a whole number above 0."),
        ("x/day/2026-03-05/2026-03-07", "The parameter 'multiplier' must be a whole number above 0."),
        ("1/decade/2026-03-05/2026-03-07", "The timespan must be one of"),
        ("1/second/2026-03-05/2026-03-07", "The timespan must be one of"),
        ("5000/year/2026-03-05/2026-03-07", "The multiplier is too large."),
        ("1/day/2026-03-05/2026-03-07?sort=up", "The parameter 'sort' must be asc or desc."),
        ("1/day/2026-03-05/2026-03-07?limit=-1", "The parameter 'limit' must be a whole number above 0."),
    ],
)
def test_a_range_that_cannot_be_read_is_refused(ask, rest, words):
    status, body = ask(aggs(rest))

    assert (status, body["status"], body["error"].startswith(words)) == (400, "ERROR", True)


@pytest.mark.parametrize("span", ["minute", "hour", "day", "week", "month", "quarter", "year"])
@pytest.mark.parametrize("ends", ["0001-01-01/9999-12-31", "-62000000000000/253402300799999", "0/0"])
def test_the_ends_of_time_are_no_fault_of_ours(ask, span, ends):
    make_daily_bar(make_ticker("AAPL"), date(2026, 3, 5))

    assert ask(aggs(f"7/{span}/{ends}"))[0] == 200


def test_the_previous_day_is_the_last_whole_one_dated_with_its_close(ask):
    apple = make_apple(replay_date=date(2026, 3, 6))
    for day in (4, 5, 6):
        make_daily_bar(apple, date(2026, 3, day), str(100 + day))

    body = ask("/v2/aggs/ticker/AAPL/prev")[1]

    assert body["results"] == [
        {"T": "AAPL", "t": 1772744400000, "o": 105.0, "h": 106.0, "l": 104.0, "c": 105.0, "v": 1000}
    ]
    assert (body["resultsCount"], body["adjusted"]) == (1, True)


def test_of_a_replayed_ticker_no_day_beyond_the_replayed_one_is_told(ask):
    apple = make_apple(replay_date=date(2026, 3, 5))
    for day in (4, 5, 6):
        make_daily_bar(apple, date(2026, 3, day))

    assert ask(aggs("1/day/2026-03-01/2026-03-31"))[1]["resultsCount"] == 2


# --- everything else


@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v3/trades/AAPL", f"{TICKERS}/", "/v2/last/trade/"])
def test_any_other_address_is_an_error_in_massives_shape(ask, path):
    status, body = ask(path)

    assert (status, body["status"]) == (404, "NOT_FOUND")


def test_only_get_is_possible(client, key):
    response = client.post(
        f"{BASE}/v2/last/trade/AAPL",
        "{",
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    assert (response.status_code, response.json()["error"]) == (405, "Only GET is possible.")


def test_a_database_that_is_away_is_a_503_in_massives_shape(client, key, monkeypatch):
    def away(_):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("accounts.credentials.by_api_keys", away)

    response = client.get(f"{BASE}/v2/last/trade/AAPL", headers={"Authorization": f"Bearer {key}"})

    assert (response.status_code, response.json()["status"]) == (503, "ERROR")
    assert int(response["Retry-After"]) > 0
