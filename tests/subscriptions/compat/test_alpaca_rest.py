"""Alpaca's REST API as we serve it. Its own client library against it: test_alpaca_client.py."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from marketdata import cache
from marketdata.api import views
from marketdata.models import CorporateAction
from marketdata.quotes import ActionKind, NoQuote, Reason
from tests.accounts.keys import make_api_key
from tests.factories import make_daily_bar, make_minute_bar, make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db

BASE = "/compat/alpaca/v2/stocks"
# A Monday morning in New York.
AT = datetime(2026, 3, 2, 15, 30, 0, 123456, tzinfo=UTC)
MINUTE = datetime(2026, 3, 2, 15, 29, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def key():
    return make_api_key(make_user())[1]


@pytest.fixture
def ask(client, key):
    """`ask(path, …)`: (status, body), with our key."""

    def asked(path, *, secret=key, key_id=key, **params):
        headers = {"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret}
        response = client.get(BASE + path, params, headers=headers)
        assert response["Content-Type"] == "application/json"
        return response.status_code, response.json()

    return asked


def make_apple(**fields):
    ticker = make_ticker("AAPL")
    make_quote(
        ticker, "187.30", as_of=AT, volume=9012345,
        **{"previous_close": Decimal("185.1"), "open": Decimal(185), "high": Decimal(188), "low": Decimal(184),
           "bid": Decimal("187.29"), "ask": Decimal("187.31"), **fields},
    )  # fmt: skip
    return ticker


TRADE = {"i": 0, "x": "E", "p": 187.3, "s": 0, "c": ["@"], "t": "2026-03-02T15:30:00.123456Z", "z": "C"}
QUOTE = {
    "bx": "E", "bp": 187.29, "bs": 0, "ax": "E", "ap": 187.31, "as": 0, "c": ["R"],
    "t": "2026-03-02T15:30:00.123456Z", "z": "C",
}  # fmt: skip
MINUTE_BAR = {
    "o": 187.0, "h": 188.0, "l": 186.0, "c": 187.0, "v": 10, "n": None, "vw": None, "t": "2026-03-02T15:29:00Z",
}  # fmt: skip


# --- latest


def test_the_latest_trades_of_many(ask):
    make_apple()

    assert ask("/trades/latest", symbols="AAPL,NOSUCH") == (200, {"trades": {"AAPL": TRADE}})


def test_the_latest_quotes_of_many(ask):
    make_apple()

    assert ask("/quotes/latest", symbols="aapl", feed="iex") == (200, {"quotes": {"AAPL": QUOTE}})


def test_a_quote_without_bid_and_ask_has_the_price_zero(ask):
    make_apple(bid=None, ask=None)

    assert ask("/quotes/latest", symbols="AAPL")[1]["quotes"]["AAPL"] == QUOTE | {"bp": 0, "ap": 0}


def test_the_latest_bars_are_the_newest_minutes(ask):
    ticker = make_apple()
    for minutes in (5, 0, 3):
        make_minute_bar(ticker, MINUTE - timedelta(minutes=minutes), str(187 - minutes))

    assert ask("/bars/latest", symbols="AAPL,NOSUCH") == (200, {"bars": {"AAPL": MINUTE_BAR}})


def test_the_latest_of_one_symbol(ask):
    make_minute_bar(make_apple(), MINUTE, "187")

    assert ask("/AAPL/trades/latest") == (200, {"symbol": "AAPL", "trade": TRADE})
    assert ask("/AAPL/quotes/latest") == (200, {"symbol": "AAPL", "quote": QUOTE})
    assert ask("/AAPL/bars/latest") == (200, {"symbol": "AAPL", "bar": MINUTE_BAR})


@pytest.mark.parametrize("spelling", ["BRK.B", "brk-b", "BRK/B", "BRK%2FB"])
def test_any_spelling_is_answered_in_the_canonical_one(ask, spelling):
    make_quote(make_ticker("BRK.B"), "402.11")

    status, told = ask(f"/{spelling}/trades/latest")

    assert (status, told["symbol"], told["trade"]["p"]) == (200, "BRK.B", 402.11)


def test_one_symbol_that_nobody_knows_is_not_found(ask):
    assert ask("/NOSUCH/trades/latest") == (404, {"code": 40410000, "message": "no data for symbol NOSUCH"})


def test_many_symbols_that_nobody_knows_are_nothing(ask):
    assert ask("/trades/latest", symbols="NOSUCH") == (200, {"trades": {}})


# --- snapshots


def test_a_snapshot_has_all_five_parts(ask):
    ticker = make_apple()
    make_minute_bar(ticker, MINUTE, "187")
    make_daily_bar(ticker, date(2026, 2, 27), "185.1")
    day = {"o": 185.0, "h": 188.0, "l": 184.0, "c": 187.3, "v": 9012345, "n": None, "vw": None}
    before = {"o": 185.1, "h": 186.1, "l": 184.1, "c": 185.1, "v": 1000, "n": None, "vw": None}

    assert ask("/snapshots", symbols="AAPL") == (
        200,
        {
            "AAPL": {
                "latestTrade": TRADE,
                "latestQuote": QUOTE,
                "minuteBar": MINUTE_BAR,
                "dailyBar": day | {"t": "2026-03-02T05:00:00Z"},
                "prevDailyBar": before | {"t": "2026-02-27T05:00:00Z"},
            }
        },
    )


def test_the_snapshot_of_one_symbol_has_no_envelope(ask):
    make_apple()

    status, told = ask("/AAPL/snapshot")

    assert (status, told["symbol"], told["latestTrade"]) == (200, "AAPL", TRADE)


def test_the_day_before_is_its_close_where_nothing_else_is_known(ask):
    make_apple()

    assert ask("/AAPL/snapshot")[1]["prevDailyBar"] == {
        "o": 185.1, "h": 185.1, "l": 185.1, "c": 185.1, "v": 0, "n": None, "vw": None, "t": "2026-02-27T05:00:00Z",
    }  # fmt: skip


def test_a_stored_day_with_another_close_is_not_the_day_before(ask):
    make_daily_bar(make_apple(), date(2026, 2, 27), "740.40")

    assert ask("/AAPL/snapshot")[1]["prevDailyBar"]["h"] == 185.1


def test_parts_that_are_not_known_are_left_out(ask):
    make_apple(previous_close=None, open=None)

    assert list(ask("/AAPL/snapshot")[1]) == ["symbol", "latestTrade", "latestQuote"]


# --- past bars


def days_of(told, symbol="AAPL"):
    return [(bar["t"], bar["c"]) for bar in told["bars"][symbol]]


def make_week(symbol="AAPL"):
    """Wednesday to Tuesday, over the change of clocks of 2024-03-10."""
    ticker = make_ticker(symbol)
    for day, close in ((6, "100"), (7, "101"), (8, "102"), (11, "103"), (12, "104")):
        make_daily_bar(ticker, date(2024, 3, day), close)
    return ticker


def test_days_begin_at_new_yorks_midnight(ask):
    make_week()

    status, told = ask("/bars", symbols="AAPL", timeframe="1Day", start="2024-03-07", end="2024-03-11")

    assert status == 200
    assert told["next_page_token"] is None
    assert days_of(told) == [
        ("2024-03-07T05:00:00Z", 101.0), ("2024-03-08T05:00:00Z", 102.0), ("2024-03-11T04:00:00Z", 103.0),
    ]  # fmt: skip


def test_a_bar_has_alpacas_fields(ask):
    make_week()

    (bar,) = ask("/bars", symbols="AAPL", timeframe="1D", start="2024-03-07", end="2024-03-07")[1]["bars"][
        "AAPL"
    ]

    assert bar == {
        "o": 101.0, "h": 102.0, "l": 100.0, "c": 101.0, "v": 1000, "n": None, "vw": None, "t": "2024-03-07T05:00:00Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2024-03-07T05:00:00Z", "2024-03-08T05:00:00Z", ["07", "08"]),
        ("2024-03-07T05:00:01Z", "2024-03-08T04:59:59Z", []),
        ("2024-03-07T00:00:00-05:00", "2024-03-07T05:00:00.123456789Z", ["07"]),
        ("2024-03-07 00:00:00+00:00", "2024-03-08T00:00:00", ["07"]),
        ("9999-12-31", "9999-12-31T23:59:59-14:00", []),
        ("0001-01-01T00:00:00+14:00", "0001-01-02", []),
        ("0001-01-01", "9999-12-31", ["06", "07", "08", "11", "12"]),
    ],
)
def test_both_ends_are_included(ask, start, end, days):
    make_week()

    told = ask("/bars", symbols="AAPL", timeframe="1Day", start=start, end=end)[1]

    assert [bar["t"][8:10] for bar in told["bars"].get("AAPL", [])] == days


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 9, 10, 11])
def test_pages_together_are_everything_once(ask, sort, limit):
    make_week("MSFT")
    make_week("AAPL")
    asked = {"symbols": "MSFT,NOSUCH,AAPL", "timeframe": "1Day", "start": "2024-01-01", "end": "2024-12-31"}
    found, sizes, token = [], [], ""
    while token is not None:
        status, told = ask("/bars", **asked, sort=sort, limit=limit, page_token=token)
        assert status == 200
        rows = [(symbol, bar["c"]) for symbol, bars in told["bars"].items() for bar in bars]
        found, token = found + rows, told["next_page_token"]
        sizes.append(len(rows))

    closes = [100.0, 101.0, 102.0, 103.0, 104.0][:: 1 if sort == "asc" else -1]
    assert found == [(symbol, close) for symbol in ("AAPL", "MSFT") for close in closes]
    assert max(sizes) <= limit


def test_minutes(ask):
    ticker = make_ticker("AAPL")
    for minute in range(4):
        make_minute_bar(ticker, MINUTE + timedelta(minutes=minute), str(100 + minute))

    told = ask(
        "/bars", symbols="AAPL", timeframe="1Min", start="2026-03-02T15:30:00Z", end="2026-03-02T15:31:59Z"
    )[1]

    assert days_of(told) == [("2026-03-02T15:30:00Z", 101.0), ("2026-03-02T15:31:00Z", 102.0)]


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_longer_bars_are_merged_from_whole_windows(ask, sort, limit):
    ticker = make_ticker("AAPL")
    for minute in range(12):  # 15:29 to 15:40
        make_minute_bar(ticker, MINUTE + timedelta(minutes=minute), str(100 + minute))
    asked = {"timeframe": "5Min", "start": "2026-03-02T15:26:00Z", "end": "2026-03-02T15:36:00Z"}
    found, token = [], ""
    while token is not None:
        told = ask("/AAPL/bars", **asked, sort=sort, limit=limit, page_token=token)[1]
        found, token = found + told["bars"], told["next_page_token"]

    assert [(bar["t"][11:16], bar["o"], bar["h"], bar["l"], bar["c"], bar["v"]) for bar in found] == [
        ("15:30", 101.0, 106.0, 100.0, 105.0, 50),
        ("15:35", 106.0, 111.0, 105.0, 110.0, 50),
    ][:: 1 if sort == "asc" else -1]


def test_a_page_over_many_symbols_reads_no_more_stored_bars_than_one_symbol_may(ask, monkeypatch):
    monkeypatch.setattr("subscriptions.compat.alpaca_bars.MOST_ROWS", 7)
    symbols = ["AA", "BB", "CC", "DD", "EE"]
    for symbol in symbols:
        ticker = make_ticker(symbol)
        for minute in range(6):
            make_minute_bar(ticker, datetime(2026, 3, 2, 15, minute, tzinfo=UTC), "100")
    asked = {"timeframe": "3Min", "start": "2026-03-02T15:00:00Z", "end": "2026-03-02T16:00:00Z"}
    found, token = [], ""
    while token is not None:
        told = ask("/bars", symbols=",".join(symbols), **asked, page_token=token)[1]
        found, token = (
            [*found, {symbol: len(bars) for symbol, bars in told["bars"].items()}],
            told["next_page_token"],
        )

    assert found == [{"AA": 2, "BB": 2}, {"CC": 2, "DD": 2}, {"EE": 2}]


def test_a_page_with_more_stored_bars_than_may_be_read_goes_on_at_the_next(ask, monkeypatch):
    monkeypatch.setattr("subscriptions.compat.alpaca_bars.MOST_ROWS", 7)
    ticker = make_ticker("AAPL")
    for minute in range(20):
        make_minute_bar(ticker, datetime(2026, 3, 2, 15, minute, tzinfo=UTC), str(100 + minute))
    asked = {"timeframe": "3Min", "start": "2026-03-02T15:00:00Z", "end": "2026-03-02T16:00:00Z"}
    found, token = [], ""
    while token is not None:
        told = ask("/AAPL/bars", **asked, page_token=token)[1]
        found, token = found + told["bars"], told["next_page_token"]

    assert [(bar["t"][14:16], bar["v"]) for bar in found] == [
        ("00", 30), ("03", 30), ("06", 30), ("09", 30), ("12", 30), ("15", 30), ("18", 20),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("timeframe", "starts"),
    [("1Week", ["2024-03-04T05:00:00Z", "2024-03-11T04:00:00Z"]), ("1Month", ["2024-03-01T05:00:00Z"])],
)
def test_weeks_begin_on_monday_and_months_on_their_first(ask, timeframe, starts):
    make_week()

    told = ask("/bars", symbols="AAPL", timeframe=timeframe, start="2024-03-01", end="2024-03-31")[1]

    assert [start for start, _ in days_of(told)] == starts


@pytest.mark.parametrize(
    ("adjustment", "close"), [("raw", 100), ("split", 25), ("split,spin-off", 25), ("all", 25), ("", 100)]
)
def test_prices_are_raw_unless_the_adjustment_says_otherwise(ask, adjustment, close):
    CorporateAction.objects.create(
        ticker=make_week(), kind=ActionKind.SPLIT.value, ex_date=date(2024, 3, 7), split_from=1, split_to=4,
        provider="replay", loaded_at=AT,
    )  # fmt: skip

    told = ask(
        "/bars", symbols="AAPL", timeframe="1Day", start="2024-03-06", end="2024-03-06", adjustment=adjustment
    )[1]

    assert days_of(told) == [("2024-03-06T05:00:00Z", float(close))]


def test_without_a_start_it_is_today(ask, monkeypatch):
    ticker = make_week()
    monkeypatch.setattr("core.clock.now", lambda: datetime(2024, 3, 12, 20, tzinfo=UTC))
    make_minute_bar(ticker, datetime(2024, 3, 12, 15, tzinfo=UTC), "105")
    make_minute_bar(ticker, datetime(2024, 3, 11, 15, tzinfo=UTC), "104")

    assert days_of(ask("/bars", symbols="AAPL", timeframe="1Day")[1]) == [("2024-03-12T04:00:00Z", 104.0)]
    assert days_of(ask("/bars", symbols="AAPL", timeframe="1Min")[1]) == [("2024-03-12T15:00:00Z", 105.0)]


def test_of_a_replayed_ticker_no_later_day_is_told(ask):
    ticker = make_week()
    make_quote(ticker, "102", replay_date=date(2024, 3, 8))

    told = ask("/bars", symbols="AAPL", timeframe="1Day", start="2024-03-07", end="2024-03-31")[1]

    assert [close for _, close in days_of(told)] == [101.0, 102.0]


def test_the_bars_of_one_symbol_are_a_list(ask):
    make_week()

    status, told = ask("/AAPL/bars", timeframe="1Day", start="2024-03-12")

    assert (status, told["symbol"], told["next_page_token"]) == (200, "AAPL", None)
    assert [bar["c"] for bar in told["bars"]] == [104.0]


def test_the_bars_of_a_symbol_that_nobody_knows_are_an_empty_list(ask):
    assert ask("/NOSUCH/bars", timeframe="1Day") == (
        200, {"symbol": "NOSUCH", "bars": [], "next_page_token": None},
    )  # fmt: skip


# --- who may ask


def test_the_whole_key_in_either_place_is_enough(ask, key):
    make_apple()
    halves = [(key, key), (key.split("_")[1], key), (key, "x"), ("", key)]

    assert [ask("/AAPL/trades/latest", key_id=one, secret=other)[0] for one, other in halves] == [200] * 4


def test_two_keys_are_none(ask, key):
    _, other = make_api_key(make_user())

    assert ask("/AAPL/trades/latest", key_id=other) == (401, {"code": 40110000, "message": "unauthorized."})


@pytest.mark.parametrize("secret", ["", "x", "ot_ABCDEFGH_" + "a" * 40, "\xff\x00ü", "a" * 20_000])
def test_another_secret_is_refused(ask, secret):
    assert ask("/AAPL/trades/latest", secret=secret, key_id=secret)[0] == 401


def test_without_headers_nobody_is_let_in(client):
    assert client.get(f"{BASE}/AAPL/trades/latest").status_code == 401


def test_a_session_is_no_key(client):
    client.force_login(make_user())

    assert client.get(f"{BASE}/AAPL/trades/latest").status_code == 401


def test_a_revoked_key_is_refused(ask, client):
    _, revoked = make_api_key(make_user(), revoked_at=AT)

    assert ask("/AAPL/trades/latest", secret=revoked, key_id=revoked)[0] == 401


# --- what goes wrong


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"timeframe": ""}, "invalid timeframe"),
        ({"timeframe": "0Min"}, "invalid timeframe"),
        ({"timeframe": "60Min"}, "invalid timeframe"),
        ({"timeframe": "24Hour"}, "invalid timeframe"),
        ({"timeframe": "2Day"}, "invalid timeframe"),
        ({"timeframe": "5Month"}, "invalid timeframe"),
        ({"timeframe": "１Day"}, "invalid timeframe"),
        ({"limit": "0"}, "invalid limit: 1 to 10000"),
        ({"limit": "10001"}, "invalid limit: 1 to 10000"),
        ({"limit": "-1"}, "invalid limit: 1 to 10000"),
        ({"limit": "１２"}, "invalid limit: 1 to 10000"),
        ({"limit": "1_000"}, "invalid limit: 1 to 10000"),
        ({"limit": "1e3"}, "invalid limit: 1 to 10000"),
        ({"limit": "9" * 5_000}, "invalid limit: 1 to 10000"),
        ({"start": "yesterday"}, "invalid start"),
        ({"start": "0000-00-00"}, "invalid start"),
        ({"start": "2023-02-29"}, "invalid start"),
        ({"end": "2024-13-01"}, "invalid end"),
        ({"end": "2024-01-01T25:00:00Z"}, "invalid end"),
        ({"end": "\x00"}, "invalid end"),
        ({"start": "20240308T250000"}, "invalid start"),
        ({"start": "2024-03-08", "end": "2024-03-07"}, "end should not be before start"),
        ({"sort": "up"}, "invalid sort"),
        ({"feed": "moon"}, "invalid feed"),
        ({"currency": "EUR"}, "invalid currency"),
        ({"adjustment": "dividend"}, "invalid adjustment: raw, split or all"),
        ({"page_token": "x"}, "invalid page_token"),
        ({"page_token": "WzFd"}, "invalid page_token"),
        ({"page_token": "WyJBQVBMIiwgMWUzMDBd"}, "invalid page_token"),
        ({"page_token": "ünï"}, "invalid page_token"),
        ({"symbols": ""}, "symbols is required"),
        ({"symbols": ",, ,"}, "symbols is required"),
        ({"symbols": ",".join(f"A{n}" for n in range(101))}, "at most 100 symbols at once"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(ask, params, message):
    asked = {"symbols": "AAPL", "timeframe": "1Day", **params}

    assert ask("/bars", **asked) == (422, {"code": 42210000, "message": message})


@pytest.mark.parametrize(
    "symbol",
    [
        "../../etc",
        "A" * 100,
        "\x00",
        "AAPL\n",
        "ＡＡＰＬ\u200b",
        "\u202eAAPL",
        ";DROP",
        "*?[]",
        "АAPL",
        "😀",
        "=",
        "^",
    ],
)
def test_a_symbol_that_cannot_be_one_is_refused(ask, symbol):
    for path in ("/trades/latest", "/quotes/latest", "/bars/latest", "/snapshots"):
        assert ask(path, symbols=symbol)[0] == 422


def test_repeated_parameters_add_symbols_and_otherwise_the_last_one_counts(client, key):
    make_week("MSFT")
    make_week("AAPL")
    query = "symbols=AAPL&symbols=MSFT&timeframe=5Min&timeframe=1Day&start=2024-03-12"

    told = client.get(
        f"{BASE}/bars?{query}", headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": key}
    ).json()

    assert {symbol: len(bars) for symbol, bars in told["bars"].items()} == {"AAPL": 1, "MSFT": 1}


def test_too_many_parameters_are_refused_in_json(client, key):
    query = "&".join(f"a{n}=1" for n in range(2_000))

    response = client.get(
        f"{BASE}/bars?{query}", headers={"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": key}
    )

    assert (response.status_code, response.json()["code"]) == (422, 42210000)


@pytest.mark.parametrize("path", ["/trades", "/quotes", "/AAPL/trades", "/AAPL/quotes"])
def test_past_trades_and_quotes_are_not_included(ask, path):
    status, told = ask(path, symbols="AAPL")

    assert (status, told["code"]) == (403, 40310000)
    assert told["message"].startswith("subscription does not permit")


@pytest.mark.parametrize("path", ["/compat/alpaca/v2/account", "/compat/alpaca/", f"{BASE}/meta/exchanges"])
def test_what_we_do_not_serve_is_no_endpoint(client, path):
    response = client.get(path)

    assert (response.status_code, response.json()) == (
        404, {"code": 40410000, "message": "endpoint not found."},
    )  # fmt: skip


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_only_get_is_allowed(client, method):
    response = getattr(client, method)(f"{BASE}/trades/latest")

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert response.json() == {"code": 40510000, "message": "method not allowed"}


def test_an_answer_is_not_kept_by_caches(client, ask, key):
    response = client.get(f"{BASE}/trades/latest")

    assert "no-store" in response["Cache-Control"]


def test_a_database_that_is_away_is_told_in_alpacas_shape(client, ask, monkeypatch):
    def away(_):
        raise OperationalError

    monkeypatch.setattr("accounts.credentials.by_api_keys", away)

    response = client.get(
        f"{BASE}/trades/latest", {"symbols": "AAPL"},
        headers={"APCA-API-KEY-ID": "ABCDEFGH", "APCA-API-SECRET-KEY": "ot_ABCDEFGH_" + "a" * 40},
    )  # fmt: skip

    assert (response.status_code, response.json()["code"]) == (503, 50310000)
    assert response["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("reason", "status"), [(Reason.RATE_LIMITED, 429), (Reason.PROVIDER_DOWN, 503), (Reason.PLAN_LOCKED, 404)]
)
def test_a_price_that_cannot_be_had_now_is_not_said_to_be_none(ask, monkeypatch, reason, status):
    make_ticker("AAPL")
    monkeypatch.setattr(
        views, "get_quotes", lambda symbols, **_: {one: NoQuote(one, reason) for one in symbols}
    )

    assert ask("/AAPL/trades/latest")[0] == status


def test_of_many_those_that_can_be_had_are_told(ask, monkeypatch):
    make_apple()
    make_ticker("MSFT")
    real = views.get_quotes
    monkeypatch.setattr(
        views,
        "get_quotes",
        lambda *_, **__: {**real(["AAPL"]), "MSFT": NoQuote("MSFT", Reason.PROVIDER_DOWN)},
    )

    assert list(ask("/trades/latest", symbols="AAPL,MSFT")[1]["trades"]) == ["AAPL"]


def test_a_mistake_of_ours_is_told_in_alpacas_shape(ask, monkeypatch):
    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr("subscriptions.compat.alpaca_rest.quotes_of", broken)

    assert ask("/AAPL/trades/latest") == (
        500,
        {"code": 50010000, "message": "internal server error occurred"},
    )


def test_a_hundred_snapshots_cost_as_many_queries_as_one(ask, django_assert_max_num_queries):
    for number in range(100):
        make_quote(make_ticker(f"S{number}"), "10", as_of=AT, previous_close=Decimal(9))

    ask("/snapshots", symbols="S0")  # the calendar's exceptions are known for a minute
    with django_assert_max_num_queries(7):
        status, told = ask("/snapshots", symbols=",".join(f"S{number}" for number in range(100)))

    assert (status, len(told)) == (200, 100)


@pytest.mark.parametrize("timeframe", ["1Min", "5Min", "30Min", "1Hour"])
def test_the_hour_that_a_clock_is_put_back_is_two_hours(ask, timeframe):
    ticker = make_ticker("AAPL")
    for hour in (5, 6):  # both are one o'clock in New York on this day
        make_minute_bar(ticker, datetime(2025, 11, 2, hour, 0, tzinfo=UTC), str(100 + hour))

    told = ask(
        "/bars", symbols="AAPL", timeframe=timeframe, start="2025-11-02T05:00:00Z", end="2025-11-02T06:01:00Z"
    )[1]

    assert days_of(told) == [("2025-11-02T05:00:00Z", 105.0), ("2025-11-02T06:00:00Z", 106.0)]
