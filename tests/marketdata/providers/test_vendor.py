"""What all adapters get from their base, where the vendors' suite does not reach."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock, http
from core.http import Answer
from marketdata import metering
from marketdata.errors import Kind, Malformed, NotFound, ProviderDown, RateLimited
from marketdata.providers.plans import Plan
from marketdata.providers.vendor import Vendor, number, parsed, positive, retry_after, whole
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.base import Fault

NOW = datetime(2026, 1, 6, 17, tzinfo=UTC)


class Plain(Vendor):
    name = "any"


def vendor(url="http://127.0.0.1:1"):
    return Plain(base_url=url, plan=Plan("any", "small"))


@pytest.fixture(autouse=True)
async def calls():
    with metering.collecting() as noted:
        yield noted
    await http.close_client()


@pytest.fixture
def still(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


async def test_a_question_given_up_by_its_asker_is_noted_all_the_same(calls):
    async with AlpacaStandIn(key="k").running() as standin:
        standin.fail(Fault.SLOW)
        asking = asyncio.ensure_future(vendor(standin.url).get_json("quotes", "/x", symbols=["AAPL"]))
        while not standin.asked:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert [(call.kind, call.status, call.symbols) for call in calls] == [(Kind.TRANSIENT, None, ("AAPL",))]


async def test_nobody_there_is_a_provider_that_is_down(calls):
    with pytest.raises(ProviderDown):
        await vendor().get_json("quotes", "/x")

    assert [call.kind for call in calls] == [Kind.TRANSIENT]


async def test_what_the_reader_finds_is_noted_as_the_end_of_the_call(calls):
    def unknown(body):
        raise NotFound("nothing")

    async with AlpacaStandIn(key="k", secret="s").running() as standin:
        standin.fail(Fault.EMPTY_OBJECT)
        asked = vendor(standin.url)
        assert await asked.get_json("quotes", "/x") == {}
        with pytest.raises(NotFound):
            await asked.get_json("quotes", "/x", read=unknown)
        with pytest.raises(Malformed) as caught:
            await asked.get_json("quotes", "/x", read=lambda body: body["no such field"])

    assert [call.kind for call in calls] == [Kind.OK, Kind.NOT_FOUND, Kind.MALFORMED]
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0", 0), ("1.5", 1.5), ("999999999", 86_400), ("Tue, 06 Jan 2026 17:00:45 GMT", 45)],
)
def test_retry_after_is_seconds_or_a_date(still, text, seconds):
    assert retry_after(text) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("text", [None, "", "soon", "nan", "Tue, 99 Jan 2026"])
def test_retry_after_may_say_nothing(still, text):
    assert retry_after(text) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"retry-after": "7"}, 7),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 20)}, 20),
        ({"retry-after": "7", "x-ratelimit-reset": str(int(NOW.timestamp()) + 20)}, 20),
        ({"x-ratelimit-reset": "soon"}, 60),
        ({"x-ratelimit-reset": "1e99"}, 60),
        ({"x-ratelimit-reset": "nan"}, 60),
    ],
)
def test_asked_to_wait_means_until_the_latest_of_what_headers_say(still, headers, seconds):
    error = vendor().error_of(Answer(429, headers, b"", 0.1), None)

    assert isinstance(error, RateLimited)
    assert error.retry_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"NaN", b'{"p": Infinity}', b"\xff", b"[" * 100_000, b"1e" + b"9" * 40]
)
def test_what_is_no_json_is_malformed_and_keeps_no_text(body):
    with pytest.raises(Malformed) as caught:
        parsed(body, "any")

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_numbers_with_a_point_are_exact():
    assert parsed(b'{"p": 0.1234567890123456789, "n": 5}', "any") == {
        "p": Decimal("0.1234567890123456789"),
        "n": 5,
    }


def test_numbers_are_finite_and_prices_above_zero():
    assert [number(value) for value in (5, "1,234.5", Decimal("1.5"))] == [
        5,
        Decimal("1234.5"),
        Decimal("1.5"),
    ]
    assert [number(value) for value in ("NaN", "inf", "x", None, True, 1.5, [], {})] == [None] * 8
    assert [positive(value) for value in (0, -1, "0.0", None)] == [None] * 4
    assert [whole(value) for value in (-1, "7.9", 3, None)] == [None, 7, 3, None]
