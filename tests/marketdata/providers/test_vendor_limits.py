"""Hostile figures and headers: what the base of the adapters makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import clock
from core.http import Answer
from marketdata.errors import Malformed, RateLimited
from marketdata.providers.plans import Plan
from marketdata.providers.vendor import LONGEST_WAIT, Vendor, number, parsed, positive, retry_after, whole
from marketdata.providers.vendor_stream import VendorStream

NOW = datetime(2026, 1, 6, 17, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Plain(Vendor):
    name = "any"


@pytest.fixture(autouse=True)
def still(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


def answer(**headers: str) -> Answer:
    return Answer(429, {name.replace("_", "-"): value for name, value in headers.items()}, b"", 0.1)


def vendor() -> Plain:
    return Plain(base_url="http://127.0.0.1:1", plan=Plan("any", "small"))


def unix(moment: datetime) -> str:
    return str(int(moment.timestamp()))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0), (-5, -5), (12, 12), (Decimal("0.1"), Decimal("0.1")), ("1,234.5", Decimal("1234.5")), (" 7 ", 7),
        ("-0", 0), ("1e3", 1000), ("12.5", Decimal("12.5")), ("1e-400", Decimal("1e-400")),
        ("", None), ("-", None), ("None", None), ("NaN", None), ("-Infinity", None), ("sNaN", None), ("0x10", None),
        ("1_000", None), ("１２", None), ("12 USD", None), ("12%", None), (True, None), (False, None), (None, None),
        (1.5, None), ([], None), ({}, None), (b"12", None), (Decimal("NaN"), None), (Decimal("Infinity"), None),
    ],
)  # fmt: skip
def test_a_number_is_finite_and_exact_or_none(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize("value", [0, -1, "0.0", "-0", Decimal(0), Decimal("-0.01"), "", None, "NaN", True])
def test_what_is_not_above_zero_is_no_price(value):
    assert positive(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0), ("7.9", 7), (Decimal("1e3"), 1000), (2**63 - 1, 2**63 - 1), (-1, None), ("-0.5", None), (None, None),
        (2**63, None), (Decimal("1e999999999"), None), ("1e999999999999", None), ("1e30", None), ("NaN", None),
    ],
)  # fmt: skip
def test_a_count_fits_a_column_and_never_fills_the_memory(value, expected):
    assert whole(value) == expected


@given(st.integers() | st.text() | st.decimals() | JSON)
def test_no_value_at_all_raises(value):
    assert all(one is None or one.is_finite() for one in (number(value), positive(value)))
    assert whole(value) is None or 0 <= whole(value) < 2**63


@pytest.mark.parametrize(
    "body",
    [
        b"NaN", b'{"p":NaN}', b'{"p":-Infinity}', b'{"p":Infinity}', b"[" * 200_000, b'{"a":' * 100_000, b"", b" ",
        b"<html>", b"\xff\xfe\x00", b"9" * 5000, b'{"a":1', b"{'a': 1}", b"True", b"\x1f\x8b\x08\x00",
    ],
)  # fmt: skip
def test_what_is_no_strict_json_is_malformed(body):
    with pytest.raises(Malformed, match="the answer is not JSON") as raised:
        parsed(body, "any")
    assert raised.value.__context__ is None


def test_an_absurd_figure_is_read_without_computing_it():
    assert parsed(b"[1e999999999, 1e-999999999]", "any") == [Decimal("1e999999999"), Decimal("1e-999999999")]


@pytest.mark.parametrize("hours", [-5, -1 / 60, 0])
def test_a_moment_that_has_passed_is_no_leave_to_ask_at_once(hours):
    told = vendor().retry_at(answer(x_ratelimit_reset=unix(NOW + timedelta(hours=hours)), retry_after="0"))

    assert told == NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    "headers",
    [
        {"retry_after": "Fri, 01 Jan 2999 00:00:00 GMT"},
        {"retry_after": "1e300"},
        {"retry_after": "inf"},
    ],
)
def test_nobody_is_kept_away_for_years(headers):
    assert vendor().retry_at(answer(**headers)) == NOW + LONGEST_WAIT


def test_a_reset_in_milliseconds_says_nothing():
    headers = answer(x_ratelimit_reset=unix(NOW) + "000", x_ratelimit_remaining="0")

    assert vendor().window_told(headers) == (0, None)
    assert vendor().retry_at(headers) == NOW + timedelta(seconds=60)


@given(st.text(max_size=40))
def test_no_header_raises(text):
    error = vendor().error_of(
        answer(retry_after=text, x_ratelimit_reset=text, x_ratelimit_remaining=text), None
    )

    assert isinstance(error, RateLimited)
    assert NOW < error.retry_at <= NOW + LONGEST_WAIT
    assert retry_after(text) is None or retry_after(text).tzinfo


class PlainStream(VendorStream):
    async def greet(self): ...

    async def subscribe(self, symbols): ...

    async def unsubscribe(self, symbols): ...

    def events_of(self, message):
        return ()


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        (None, timedelta(seconds=60)),
        ("30", timedelta(seconds=30)),
        ("0", timedelta(seconds=1)),
        ("-5", timedelta(seconds=1)),
        ("Fri, 01 Jan 1999 00:00:00 GMT", timedelta(seconds=1)),
        ("Fri, 01 Jan 2999 00:00:00 GMT", LONGEST_WAIT),
    ],
)
def test_a_refused_stream_waits_neither_no_time_nor_for_years(text, wait):
    refusal = PlainStream("any", "ws://127.0.0.1:1").refused(429, text)

    assert isinstance(refusal, RateLimited)
    assert refusal.retry_at == NOW + wait


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1,234.5", Decimal("1234.5")),
        ("-12,345,678", Decimal(-12345678)),
        ("12,5", None),
        ("1,2345", None),
        (",123", None),
        ("1,,234", None),
        ("1.234,5", None),
    ],
)
def test_a_comma_groups_thousands_and_is_no_decimal_point(text, meant):
    assert number(text) == meant
