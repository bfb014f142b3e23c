from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from dashboard.rows import age_of, row_of, source_label, table_of
from marketdata.models import Ticker
from marketdata.quotes import NoQuote, Quote, Reason, Session

NOW = datetime(2026, 1, 31, 14, 5, tzinfo=UTC)


def quote(symbol: str = "AAPL", provider: str = "replay", **fields) -> Quote:
    as_of = NOW - timedelta(seconds=0.4)
    plain = Quote(
        symbol=symbol,
        price=Decimal("589.58"),
        change=Decimal("21.48"),
        change_percent=Decimal("3.7812"),
        volume=50_673_412,
        as_of=as_of,
        received_at=as_of,
        expires_at=NOW + timedelta(minutes=1),
        provider=provider,
        replay_date=date(2012, 3, 14) if provider == "replay" else None,
    )
    return replace(plain, **fields)


def row(outcome: Quote | NoQuote, asked_at: datetime | None = None):
    return row_of(Ticker(symbol=outcome.symbol, name="A name"), outcome, NOW, asked_at)


def test_a_row_says_all_its_facts_in_words() -> None:
    shown = row(quote())

    assert (shown.state, shown.price, shown.change, shown.percent) == (
        "ok",
        "589.58",
        "+21.48",
        "+3.78\u2009%",
    )
    assert (shown.volume, shown.direction, shown.source) == ("50.67\u2009M", "up", "Replay")
    assert (shown.age, shown.badge) == ("0.4\u2009s", "")


def test_a_stale_row_says_how_old_it_is() -> None:
    old = quote(as_of=NOW - timedelta(seconds=40)).marked_stale(Reason.PROVIDER_DOWN)

    assert (row(old).state, row(old).badge) == ("stale", "Stale 40\u2009s")


def test_a_halted_row_says_since_when() -> None:
    assert row(quote(halted=True, as_of=datetime(2026, 1, 31, 14, 2, tzinfo=UTC))).badge == "Halted 14:02"


def test_silence_is_worse_than_a_halt() -> None:
    assert row(quote(halted=True).marked_stale(Reason.PROVIDER_DOWN)).state == "stale"


def test_a_row_without_a_price_says_since_when_it_is_asked_for() -> None:
    shown = row(NoQuote("NVDA", Reason.NO_DATA_YET), asked_at=NOW - timedelta(seconds=2))

    assert (shown.state, shown.price, shown.change, shown.age) == ("none", "\u2014", "\u2014", "")
    assert shown.badge == "No price yet, asked 2.0\u2009s ago"
    assert row(NoQuote("XYZQ", Reason.NOT_FOUND)).badge == "Not found"


def test_rows_are_grouped_by_source_and_keep_their_order_within_it() -> None:
    outcomes = [
        NoQuote("NVDA", Reason.NO_DATA_YET),
        quote("SPY", "simulator"),
        quote("MSFT"),
        quote("QQQ", "simulator"),
        quote("AAPL"),
        quote("TSLA", "alpaca"),
    ]

    table = table_of([row(one) for one in outcomes], {"SPY": "<svg/>"})

    assert [one.symbol for one in table] == ["TSLA", "MSFT", "AAPL", "SPY", "QQQ", "NVDA"]
    assert [one.spark for one in table] == ["", "", "", "<svg/>", "", ""]


def test_all_rows_get_the_decimals_of_the_smallest_price() -> None:
    table = table_of([row(quote()), row(quote("PENNY", price=Decimal("0.42")))], {})

    assert [one.price for one in table] == ["589.5800", "0.4200"]


def test_the_age_of_a_table_names_its_main_source_and_what_differs() -> None:
    rows = [row(quote()), row(quote("SPY", "simulator")), row(NoQuote("NVDA", Reason.NO_DATA_YET))]

    age = age_of(rows, NOW)

    assert (age.state, age.words, age.newest) == ("replay", "Replay of 14 Mar 2012", "0.4\u2009s")
    assert age.notes == "1 of 3 simulated, 1 of 3 without a price"


def test_a_table_is_stale_when_all_of_it_is() -> None:
    old = quote(as_of=NOW - timedelta(seconds=40)).marked_stale(Reason.RATE_LIMITED)

    assert age_of([row(old)], NOW).words == "Stale 40\u2009s"
    assert age_of([row(old)], NOW).notes == "rate-limited"
    assert age_of([row(old), row(quote("MSFT"))], NOW).notes == "1 of 2 stale"


def test_real_prices_are_live_delayed_or_closed() -> None:
    saturday, monday = NOW, datetime(2026, 2, 2, 15, tzinfo=UTC)

    def said(now: datetime, symbol: str = "AAPL", **fields) -> tuple[str, str, str]:
        age = age_of([row(quote(symbol, "alpaca", as_of=saturday, **fields))], now)
        return age.state, age.words, age.notes

    assert said(monday) == ("live", "Live", "")
    assert said(monday, delayed_s=900) == ("delayed", "Delayed 15 min", "")
    closed = ("closed", "Closed since Fri 16:00", "opens Mon 09:30 New York time")
    assert said(saturday) == said(saturday, session=Session.CLOSED, delayed_s=900) == closed
    assert said(saturday, "BTC-USD") == ("live", "Live", "")
    assert said(saturday, "0700.HK", session=Session.CLOSED) == ("closed", "Closed since 14:05", "")


def test_what_differs_stands_behind_when_the_market_opens() -> None:
    age = age_of([row(quote(provider="alpaca")), row(quote("SPY", "simulator"))], NOW)

    assert age.notes == "opens Mon 09:30 New York time, 1 of 2 simulated"


def test_a_table_of_made_up_prices_says_so() -> None:
    assert age_of([row(quote("SPY", "simulator"))], NOW).words == "Simulated"


def test_an_empty_table_has_no_price_yet() -> None:
    assert age_of([], NOW).state == "none"


def test_a_provider_without_a_label_is_named_as_it_is() -> None:
    assert source_label("alpha_vantage") == "Alpha vantage"
