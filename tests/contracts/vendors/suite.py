"""What every vendor's adapter promises over HTTP, against its stand-in.

A vendor's module has `CASE = Case(...)` and imports all of this: `from tests.contracts.vendors.suite import *`.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.company import FIGURES
from marketdata.errors import Kind, NotFound, PlanLocked, ProviderError
from marketdata.providers.base import Interval
from marketdata.quotes import Quote, change_of
from marketdata.standins.base import Fault
from tests.contracts.vendors.case import FIRST_ONLY, last_open_day
from tests.contracts.vendors.secrets import assert_untold

__all__ = [
    "test_a_batch_in_other_order_with_extras_is_matched_by_symbol",
    "test_a_better_price_is_told_at_the_next_request",
    "test_a_call_is_told_by_speaker",
    "test_a_call_that_was_not_held_is_not_found",
    "test_a_clock_ahead_is_told_as_it_is",
    "test_a_fault_is_told_by_its_kind_noted_once_and_heals",
    "test_a_later_page_that_fails_fails_the_whole",
    "test_a_price_that_is_none_is_never_a_quote",
    "test_a_price_without_a_day_is_a_quote_all_the_same",
    "test_a_quote_tells_what_the_market_says",
    "test_a_search_finds_by_name_best_first",
    "test_a_symbol_is_asked_in_the_vendors_spelling",
    "test_actions_are_whole_oldest_first_and_within_the_range",
    "test_articles_are_those_published_since_then_newest_first",
    "test_asking_for_nothing_sends_nothing",
    "test_bars_are_those_of_the_market_oldest_first_and_half_open",
    "test_bars_of_a_range_without_any_are_none",
    "test_bars_of_an_unknown_symbol",
    "test_bars_of_many_pages_are_whole",
    "test_calls_are_listed_newest_first",
    "test_figures_of_a_company_are_what_the_market_says",
    "test_more_symbols_than_agreed_are_a_mistake_of_the_caller",
    "test_of_an_unknown_company_nothing_is_told",
    "test_one_request_notes_one_call",
    "test_the_same_symbol_twice_is_asked_once",
    "test_the_wrong_key_is_unauthorized",
    "test_uncovered_symbols_are_known_without_asking",
    "test_unknown_symbols_are_told_as_not_found",
    "test_what_the_vendor_lacks_is_refused_without_asking",
]

IN_TIME = {Fault.SLOW, Fault.TRICKLE}
WITHOUT_ANSWER = {Fault.SLOW, Fault.TRICKLE, Fault.DROPPED}
STATUS = {
    Fault.UNAUTHORIZED: {401, 403},
    Fault.PLAN: {401, 402, 403},
    Fault.RATE_LIMITED: {429},
    Fault.RATE_LIMITED_BARE: {429},
    Fault.SERVER_ERROR: {500},
    Fault.BAD_GATEWAY: {502},
    Fault.REDIRECT_LOOP: {302},
    # The body breaks while it is unpacked, before or after the status is kept.
    Fault.TRUNCATED_GZIP: {200, None},
    **{fault: {None} for fault in WITHOUT_ANSWER},
}
PRICE = Decimal("189.3412")


async def do(operation, provider, case):
    """The operation as the fetcher, the backfill and the search ask for it."""
    symbol, day = case.batch[0], last_open_day()
    match operation:
        case "quotes":
            return await provider.fetch_quotes(case.symbols(provider))
        case "bars_1day":
            start = day.replace(hour=0) - timedelta(days=7)
            return await provider.fetch_bars(symbol, Interval.DAY, start, start + timedelta(days=7))
        case "bars_1min":
            start = day.replace(hour=15)
            return await provider.fetch_bars(symbol, Interval.MINUTE, start, start + timedelta(minutes=30))
        case "actions":
            return await provider.fetch_actions(symbol, date(2020, 1, 1), date(2025, 1, 1))
        case "search":
            return await provider.search("apple")
        case _:
            return await of_company(operation, provider, symbol)


async def of_company(operation, provider, symbol):
    match operation:
        case "news":
            return await provider.fetch_news(symbol, clock.now() - timedelta(days=3))
        case "calls":
            return await provider.fetch_calls(symbol, 4)
        case "call":
            return await provider.fetch_call(symbol, 2026, 1)
        case "fundamentals":
            return await provider.fetch_fundamentals(symbol)


async def outcome(operation, provider, case):
    """(what was raised or None, kind of each symbol's outcome)"""
    try:
        found = await do(operation, provider, case)
    except ProviderError as error:
        return error, [error.kind] * len(case.symbols(provider))
    if operation != "quotes":
        return None, [Kind.OK] if found else [Kind.NOT_FOUND]
    assert list(found) == case.symbols(provider)
    return None, [one.kind if isinstance(one, ProviderError) else Kind.OK for one in found.values()]


def asked_of(operation, provider, case):
    if operation == "search":
        return ()
    return tuple(case.symbols(provider)) if operation == "quotes" else (case.batch[0],)


async def test_a_fault_is_told_by_its_kind_noted_once_and_heals(  # noqa: PLR0917 -- fixtures
    operation, fault, case, standin, provider, calls, caplog, monkeypatch
):
    caplog.set_level(logging.DEBUG)
    asked_at = clock.now()  # and no later: a window of a vendor may end at any moment
    monkeypatch.setattr(clock, "now", lambda: asked_at)
    standin.fail(fault)
    usual, provider.longest_s = provider.longest_s, 0.4 if fault in IN_TIME else 20.0

    raised, kinds = await outcome(operation, provider, case)

    expected = case.kind_of(operation, fault)
    if fault in FIRST_ONLY:
        assert kinds == [expected, *[Kind.OK] * (len(kinds) - 1)]
    else:
        assert set(kinds) == {expected}
    if expected is Kind.RATE_LIMITED:
        assert raised.retry_at > clock.now()
    assert len(calls) == (case.requests.get(operation, 1) if raised is None else 1)
    assert calls[-1].kind is (Kind.OK if raised is None else raised.kind)
    assert calls[-1].status in STATUS.get(fault, {200}) | case.statuses
    assert calls[-1].symbols == asked_of(operation, provider, case)
    assert_untold(raised, calls, caplog.text, *[record.__dict__ for record in caplog.records])

    standin.heal()
    provider.longest_s = max(usual, 20.0)
    raised, kinds = await outcome(operation, provider, case)
    assert (raised, set(kinds)) == (None, {Kind.OK})


async def test_one_request_notes_one_call(operation, case, standin, provider, calls):
    await do(operation, provider, case)

    assert len(calls) == len(standin.asked) == case.requests.get(operation, 1)
    for call in calls:
        assert (call.provider, call.endpoint, call.kind) == (provider.name, operation, Kind.OK)
        assert (call.symbols, call.status) == (asked_of(operation, provider, case), 200)
        assert call.plan == provider.capabilities.plan
        assert call.bytes > 0
        assert call.took_s > 0


# --- quotes


async def fetched(provider, symbol):
    return (await provider.fetch_quotes([symbol]))[symbol]


async def test_a_quote_tells_what_the_market_says(case, standin, provider):
    at = clock.now().replace(microsecond=123_000) - timedelta(seconds=3)
    row = standin.market.put(case.batch[0], price=str(PRICE), at=at)

    quote = await fetched(provider, case.batch[0])

    assert (quote.symbol, quote.provider, quote.price) == (case.batch[0], provider.name, PRICE)
    assert {name: getattr(quote, name) for name in case.told} == {
        name: getattr(row, name) for name in case.told
    }
    assert (quote.change, quote.change_percent) == change_of(PRICE, quote.previous_close)
    assert abs(quote.as_of - at) < case.precision
    assert quote.as_of.tzinfo is not None
    assert quote.received_at < quote.expires_at
    assert quote.delayed_s == provider.capabilities.delayed_s
    assert (quote.epoch, quote.seq, quote.stale, quote.reason) == (0, 0, False, None)


async def test_a_better_price_is_told_at_the_next_request(case, standin, provider):
    prices = []
    for price in ("189.01", "1234567.8901", "0.0123"):
        standin.market.put(case.batch[0], price=price)
        prices.append((await fetched(provider, case.batch[0])).price)

    assert prices[0] == Decimal("189.01")
    assert prices[2] == Decimal("0.0123")
    assert abs(prices[1] - Decimal("1234567.8901")) < Decimal("0.07")  # some tell prices in single precision


@pytest.mark.parametrize("price", ["0", "-1.50"])
async def test_a_price_that_is_none_is_never_a_quote(case, standin, provider, price):
    standin.market.put(case.batch[0], price=price)
    try:
        found = await fetched(provider, case.batch[0])
    except ProviderError as error:
        found = error

    assert isinstance(found, ProviderError)


async def test_a_price_without_a_day_is_a_quote_all_the_same(case, standin, provider):
    zeros = dict.fromkeys(("open", "high", "low", "previous_close", "bid", "ask"), "0")
    standin.market.put(case.batch[0], price="189.01", **zeros)

    quote = await fetched(provider, case.batch[0])

    assert (quote.price, quote.change) == (Decimal("189.01"), None)
    assert [quote.open, quote.high, quote.low, quote.previous_close, quote.bid, quote.ask] == [None] * 6


async def test_a_symbol_is_asked_in_the_vendors_spelling(case, standin, provider):
    asked = {}
    for symbol, spelled in case.spellings.items():
        standin.asked.clear()
        quote = await fetched(provider, symbol)
        assert (quote.symbol, quote.price) == (symbol, standin.market.get(symbol).price)
        request = standin.asked[-1]
        if spelled in [*request.params.values(), *request.path.split("/")]:
            asked[symbol] = spelled

    assert asked == dict(case.spellings)


async def test_unknown_symbols_are_told_as_not_found(case, provider):
    asked = ["NOSUCH", *case.batch][: provider.capabilities.max_symbols_per_request]
    try:
        found = await provider.fetch_quotes(asked)
    except NotFound as error:
        found = {"NOSUCH": error}

    assert isinstance(found["NOSUCH"], NotFound)
    assert [type(found[symbol]) for symbol in asked[1:]] == [Quote] * len(asked[1:])


async def test_a_batch_in_other_order_with_extras_is_matched_by_symbol(case, standin, provider):
    if len(case.symbols(provider)) == 1:
        pytest.skip("no batches")
    standin.fail(Fault.SCRAMBLED, 1)

    found = await provider.fetch_quotes(case.symbols(provider))

    assert {symbol: quote.price for symbol, quote in found.items()} == {
        symbol: standin.market.get(symbol).price for symbol in case.symbols(provider)
    }


async def test_the_same_symbol_twice_is_asked_once(case, standin, provider, calls):
    if provider.capabilities.max_symbols_per_request == 1:
        pytest.skip("no batches")

    found = await provider.fetch_quotes([case.batch[0], case.batch[0]])

    assert list(found) == [case.batch[0]]
    assert [call.symbols for call in calls] == [(case.batch[0],)]


async def test_a_clock_ahead_is_told_as_it_is(case, standin, provider):
    """Whether to believe it is decided above, where it is counted."""
    if Fault.SKEWED in case.lacks:
        pytest.skip("tells no time")
    standin.fail(Fault.SKEWED, 1)

    quote = await fetched(provider, case.batch[0])

    assert timedelta(minutes=50) < quote.as_of - clock.now() < timedelta(minutes=70)


async def test_asking_for_nothing_sends_nothing(standin, provider, calls):
    assert await provider.fetch_quotes([]) == {}
    assert (standin.asked, calls) == ([], [])


async def test_more_symbols_than_agreed_are_a_mistake_of_the_caller(case, standin, provider, calls):
    many = [
        f"{case.batch[0][:2]}{number}" for number in range(provider.capabilities.max_symbols_per_request + 1)
    ]

    with pytest.raises(ValueError, match="symbols at once"):
        await provider.fetch_quotes(many)

    assert (standin.asked, calls) == ([], [])


async def test_the_wrong_key_is_unauthorized(case, standin, provider):
    if Fault.UNAUTHORIZED in case.lacks:
        pytest.skip("has no key")
    standin.key = standin.secret = "another"

    raised, kinds = await outcome("quotes", provider, case)

    assert set(kinds) == {Kind.AUTH}
    assert_untold(raised)


def test_uncovered_symbols_are_known_without_asking(case, provider):
    covered = [*case.batch, *case.spellings]
    assert [symbol for symbol in covered if not provider.covers(symbol)] == []
    assert [symbol for symbol in ["", "aapl", "A B", *case.uncovered] if provider.covers(symbol)] == []


# --- bars


def ranges(interval):
    """(start, end, step) on a day that is over, both ends on the start of a bar."""
    day = last_open_day()
    if interval is Interval.DAY:
        end = day.replace(hour=0)
        return end - timedelta(days=10), end, timedelta(days=1)
    start = day.replace(hour=15)
    return start, start + timedelta(minutes=60), timedelta(minutes=1)


def bar_intervals(provider):
    return [interval for interval in Interval if interval in provider.capabilities.intervals]


async def test_bars_are_those_of_the_market_oldest_first_and_half_open(case, standin, provider):
    symbol = case.batch[0]
    for interval in bar_intervals(provider):
        start, end, step = ranges(interval)

        assert await provider.fetch_bars(symbol, interval, start, end) == list(
            standin.market.bars(symbol, start, end, step)
        )


async def test_bars_of_many_pages_are_whole(case, standin, provider, calls):
    if not case.pages:
        pytest.skip("no pages")
    standin.page_size = 7
    start, end, step = ranges(Interval.MINUTE)

    found = await provider.fetch_bars(case.batch[0], Interval.MINUTE, start, end)

    assert found == list(standin.market.bars(case.batch[0], start, end, step))
    assert len(calls) == len(standin.asked) == 9
    assert {call.endpoint for call in calls} == {"bars_1min"}


async def test_a_later_page_that_fails_fails_the_whole(case, standin, provider, calls):
    if not case.pages:
        pytest.skip("no pages")
    standin.page_size = 7
    standin.fail(Fault.SERVER_ERROR, 1, after=3)

    with pytest.raises(ProviderError) as caught:
        await provider.fetch_bars(case.batch[0], Interval.MINUTE, *ranges(Interval.MINUTE)[:2])

    assert caught.value.kind is Kind.TRANSIENT
    assert [call.kind for call in calls] == [Kind.OK, Kind.OK, Kind.OK, Kind.TRANSIENT]


async def test_bars_of_an_unknown_symbol(case, provider):
    for interval in bar_intervals(provider):
        try:
            found = await provider.fetch_bars("NOSUCH", interval, *ranges(interval)[:2])
        except ProviderError as error:
            found = error.kind

        assert found == ([] if case.unknown_bars is None else case.unknown_bars)


async def test_bars_of_a_range_without_any_are_none(case, provider):
    for interval in bar_intervals(provider):
        start, _, step = ranges(interval)
        between = start + step / 4

        assert await provider.fetch_bars(case.batch[0], interval, between, between + step / 4) == []
        assert await provider.fetch_bars(case.batch[0], interval, start, start) == []


# --- actions and search


async def test_actions_are_whole_oldest_first_and_within_the_range(case, standin, provider):
    if not provider.capabilities.actions:
        pytest.skip("no actions")
    symbol = "AAPL"
    dates = ["declared_date", "record_date", "pay_date"]
    untold = {name: None for name in dates if name not in case.told_of_actions}
    everything = [
        replace(action, **untold)
        for action in standin.market.actions_of(symbol, date(2000, 1, 1), date(2030, 1, 1))
    ]
    first, last = everything[0].ex_date, everything[-1].ex_date
    day = timedelta(days=1)

    assert await provider.fetch_actions(symbol, first, last + day) == everything
    assert await provider.fetch_actions(symbol, first, last) == everything[:-1]
    assert await provider.fetch_actions(symbol, first + day, last + day) == everything[1:]


async def test_a_search_finds_by_name_best_first(standin, provider):
    if not provider.capabilities.search:
        pytest.skip("no search")

    found = await provider.search("apple")

    assert [(match.symbol, match.name) for match in found[:1]] == [("AAPL", "Apple Inc.")]


# --- companies: news, earnings calls, figures


async def test_articles_are_those_published_since_then_newest_first(case, standin, provider):
    if not provider.capabilities.news:
        pytest.skip("no news")
    since = clock.now() - timedelta(hours=40)
    expected = standin.market.news_of("AAPL", since)

    found = await provider.fetch_news("AAPL", since)

    assert [{name: getattr(one, name) for name in case.told_of_news} for one in found] == [
        {name: getattr(one, name) for name in case.told_of_news} for one in expected
    ]
    symbols = [set(one.symbols) if case.tells_other_symbols else {"AAPL"} for one in expected]
    assert [set(one.symbols) for one in found] == symbols
    assert len({one.external_id for one in found} - {""}) == len(expected) == 2
    assert await provider.fetch_news("AAPL", clock.now()) == []


async def test_calls_are_listed_newest_first(provider):
    if not provider.capabilities.transcripts:
        pytest.skip("no transcripts")

    assert await provider.fetch_calls("AAPL", 9) == [(2026, 1), (2025, 4), (2025, 3)]
    assert await provider.fetch_calls("AAPL", 2) == [(2026, 1), (2025, 4)]


async def test_a_call_is_told_by_speaker(case, standin, provider):
    if not provider.capabilities.transcripts:
        pytest.skip("no transcripts")
    for expected in standin.market.calls_of("AAPL"):
        found = await provider.fetch_call("AAPL", expected.year, expected.quarter)

        assert (found.symbol, found.year, found.quarter) == ("AAPL", expected.year, expected.quarter)
        assert found.speeches == expected.speeches
        assert found.title
        assert {name: getattr(found, name) for name in case.told_of_calls} == {
            name: getattr(expected, name) for name in case.told_of_calls
        }


async def test_a_call_that_was_not_held_is_not_found(provider, calls):
    if not provider.capabilities.transcripts:
        pytest.skip("no transcripts")

    with pytest.raises(NotFound):
        await provider.fetch_call("AAPL", 2031, 2)


async def test_figures_of_a_company_are_what_the_market_says(case, standin, provider):
    if not provider.capabilities.fundamentals:
        pytest.skip("no fundamentals")
    expected = standin.market.figures["BRK.B"]

    found = await provider.fetch_fundamentals("BRK.B")

    assert (found.symbol, found.as_of, found.currency) == ("BRK.B", expected.as_of, "USD")
    untold = set(FIGURES) - case.told_of_companies
    assert {name: getattr(found, name) for name in untold} == dict.fromkeys(untold)
    wrong = {
        name: (getattr(found, name), getattr(expected, name))
        for name in case.told_of_companies
        if abs(getattr(found, name) / getattr(expected, name) - 1) > Decimal("1e-6")
    }
    assert wrong == {}


COMPANY = {"news": "news", "calls": "transcripts", "call": "transcripts", "fundamentals": "fundamentals"}


async def test_of_an_unknown_company_nothing_is_told(provider):
    told = {}
    for operation, capability in COMPANY.items():
        if getattr(provider.capabilities, capability):
            with suppress(NotFound):
                told[operation] = await of_company(operation, provider, "NOSUCH")

    assert told in ({}, {"news": []})


async def test_what_the_vendor_lacks_is_refused_without_asking(standin, provider, calls):
    lacking = [name for name, able in COMPANY.items() if not getattr(provider.capabilities, able)]
    for operation in lacking:
        with pytest.raises(PlanLocked):
            await of_company(operation, provider, "AAPL")

    assert (standin.asked, calls) == ([], [])
