from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from marketdata.payload import quote_payload
from marketdata.quotes import NoQuote, Quote, Reason, Session

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
QUOTE = Quote(
    symbol="AAPL",
    price=Decimal("1234567.89000000"),
    as_of=NOW - timedelta(seconds=1, microseconds=-7_891),
    received_at=NOW,
    expires_at=NOW + timedelta(seconds=15),
    provider="replay",
    session=Session.REGULAR,
    change=Decimal("0.46"),
    change_percent=Decimal("150.0000"),
    volume=9_012_345_678,
    bid=Decimal("0.00001234"),
    replay_date=date(2012, 10, 25),
    epoch=7,
    seq=1042,
)


def test_a_quote_has_its_promised_shape():
    assert quote_payload(QUOTE) == {
        "symbol": "AAPL",
        "price": "1234567.89",
        "change": "0.46",
        "change_percent": "150.00",
        "volume": 9_012_345_678,
        "open": None,
        "high": None,
        "low": None,
        "previous_close": None,
        "bid": "0.00001234",
        "ask": None,
        "as_of": "2026-01-05T14:59:59.007Z",
        "received_at": "2026-01-05T15:00:00.000Z",
        "provider": "replay",
        "market": "always",
        "session": "regular",
        "replay_date": "2012-10-25",
        "halted": False,
        "delayed_s": 0,
        "stale": False,
        "reason": None,
        "e": 7,
        "n": 1042,
    }


def test_no_quote_has_the_same_keys_and_a_reason():
    payload = quote_payload(NoQuote("ZZZZ", Reason.NOT_FOUND))

    assert payload.keys() == quote_payload(QUOTE).keys()
    assert (payload["symbol"], payload["price"], payload["reason"]) == ("ZZZZ", None, "not_found")


def test_a_quote_marked_stale_says_why():
    payload = quote_payload(QUOTE.marked_stale(Reason.PROVIDER_DOWN))

    assert (payload["stale"], payload["reason"]) == (True, "provider_down")


def test_a_halt_is_a_reason_but_not_stale():
    payload = quote_payload(replace(QUOTE, halted=True))

    assert (payload["halted"], payload["stale"], payload["reason"]) == (True, False, "halted")
