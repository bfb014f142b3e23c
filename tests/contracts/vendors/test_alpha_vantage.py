from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.company import FIGURES
from marketdata.errors import Kind, NotFound, PlanLocked, ProviderError, RateLimited
from marketdata.providers import alpha_vantage as alpha_vantage_module
from marketdata.providers.alpha_vantage import AlphaVantage
from marketdata.providers.alpha_vantage_answers import next_midnight
from marketdata.providers.base import Interval
from marketdata.providers.plans import plan_of
from marketdata.quotes import ActionKind
from marketdata.standins.alpha_vantage import AlphaVantageStandIn
from marketdata.standins.base import Fault, Reply
from tests.contracts.vendors.case import KEY, TOLD_IN_QUOTES, Case
from tests.contracts.vendors.secrets import assert_untold
from tests.contracts.vendors.suite import *  # noqa: F403 -- the shared tests, on CASE


def alpha_vantage(standin, patience=None, plan="premium-75"):
    return AlphaVantage(KEY, base_url=standin.url, plan=plan_of("alpha_vantage", plan))


CASE = Case(
    make_standin=AlphaVantageStandIn,
    make_provider=alpha_vantage,
    spellings={"BRK.B": "BRK-B", "BTC-USD": "BTC", "EURUSD=X": "EUR"},
    uncovered=("^GSPC", "ES=F", "VOD.L", "0700.HK", "ABR.PRD", "AAPL240119C00150000"),
    requests={"actions": 2, "fundamentals": 4},
    # It has nothing to say about symbols that it does not know.
    expected={
        ("calls", Fault.EMPTY_OBJECT): Kind.NOT_FOUND,
        ("fundamentals", Fault.EMPTY_OBJECT): Kind.NOT_FOUND,
    },
    told_of_calls=frozenset(),
    told_of_companies=frozenset(FIGURES) - {"revenue_growth_5y"},
    statuses=frozenset({200}),
    told=TOLD_IN_QUOTES - {"bid", "ask"},
    precision=timedelta(milliseconds=1),
)


@pytest.fixture
def free(standin):
    standin.paid = False
    return alpha_vantage(standin, plan="free")


def answering(standin, monkeypatch, body):
    async def respond(asked, fault):
        return Reply(body)

    monkeypatch.setattr(standin, "respond", respond)


def test_shares_of_other_exchanges_are_spelled_as_the_vendor_does(provider):
    assert [provider.covers(symbol) for symbol in ["SHOP.TO", "MBG.DE", "600104.SS", "RELIANCE.BO"]] == [
        True
    ] * 4


# --- refusals with status 200


@pytest.mark.parametrize(
    ("message", "kind", "seconds"),
    [
        ("burst_message", Kind.RATE_LIMITED, 1),
        ("old_message", Kind.RATE_LIMITED, 60),
        ("daily_message", Kind.RATE_LIMITED, None),
    ],
)
async def test_a_throttle_is_known_by_its_words(  # noqa: PLR0917 -- fixtures
    free, standin, monkeypatch, message, kind, seconds, calls
):
    answering(standin, monkeypatch, getattr(standin, message)())
    before = clock.now()
    monkeypatch.setattr(clock, "now", lambda: before)

    with pytest.raises(RateLimited) as caught:
        await free.fetch_quotes(["AAPL"])

    until = caught.value.retry_at
    if seconds:
        assert timedelta(seconds=seconds) <= until - before < timedelta(seconds=seconds + 30)
    else:
        assert until == next_midnight(before)
    assert [call.kind for call in calls] == [kind]
    assert_untold(caught.value, calls)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"Information": "This is a premium endpoint."}, Kind.PLAN_LOCKED),
        ({"Information": "The **demo** API key is for demo purposes only."}, Kind.AUTH),
        ({"Error Message": "the parameter apikey is invalid or missing."}, Kind.AUTH),
        ({"Error Message": "Invalid API call."}, Kind.NOT_FOUND),
        ({"Information": "Something new."}, Kind.RATE_LIMITED),
        ({"Global Quote": "none"}, Kind.MALFORMED),
        ([], Kind.MALFORMED),
    ],
)
async def test_other_words_have_their_kinds(free, standin, monkeypatch, body, kind):
    answering(standin, monkeypatch, body)
    try:
        found = (await free.fetch_quotes(["AAPL"]))["AAPL"]
    except ProviderError as error:
        found = error

    assert found.kind is kind


async def test_an_invalid_call_that_is_about_no_symbol_is_a_bad_request(provider, standin, monkeypatch):
    answering(standin, monkeypatch, {"Error Message": "Invalid API call."})

    with pytest.raises(ProviderError) as caught:
        await provider.search("apple")

    assert caught.value.kind is Kind.BAD_REQUEST


async def test_samples_invented_for_a_free_key_are_no_prices(provider, standin):
    standin.paid = False

    with pytest.raises(PlanLocked):
        await provider.fetch_quotes(["AAPL", "MSFT"])


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (datetime(2026, 1, 14, 15, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC)),
        (datetime(2026, 1, 15, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 15, 5, tzinfo=UTC)),
        (datetime(2026, 7, 15, 3, tzinfo=UTC), datetime(2026, 7, 15, 4, tzinfo=UTC)),
        (datetime(2026, 1, 15, 5, tzinfo=UTC), datetime(2026, 1, 16, tzinfo=UTC)),
    ],
)
def test_a_used_up_day_ends_at_the_sooner_midnight(now, until):
    assert next_midnight(now) == until


# --- quotes


async def test_the_key_stands_in_the_address_only(standin, provider, calls):
    await provider.fetch_quotes(["AAPL"])

    assert standin.asked[0].params["apikey"] == KEY
    assert_untold(standin.asked[0].headers, calls, provider)


@pytest.mark.parametrize(
    ("at", "now", "as_of"),
    [
        # after the close of that day, and before it: a price is not from the future
        (datetime(2026, 1, 14, 18, tzinfo=UTC), datetime(2026, 1, 15, 3, tzinfo=UTC), "2026-01-14T21:00Z"),
        (datetime(2026, 7, 14, 18, tzinfo=UTC), datetime(2026, 7, 15, 3, tzinfo=UTC), "2026-07-14T20:00Z"),
        (datetime(2026, 1, 14, 18, tzinfo=UTC), datetime(2026, 1, 14, 18, tzinfo=UTC), "2026-01-14T18:00Z"),
    ],
)
async def test_a_free_quote_is_dated_to_the_close_of_its_day(free, standin, monkeypatch, at, now, as_of):
    monkeypatch.setattr("core.clock.now", lambda: now)
    standin.market.put("AAPL", at=at)

    quote = (await free.fetch_quotes(["AAPL"]))["AAPL"]

    assert quote.as_of == datetime.fromisoformat(as_of)
    assert (quote.price, quote.previous_close) == (Decimal("189.34"), Decimal("187.15"))
    assert (quote.volume, quote.delayed_s) == (1_000_000, 86_400)
    assert standin.asked[0].params["function"] == "GLOBAL_QUOTE"


@pytest.mark.parametrize("missing", ["None", "-", "", None, "N/A"])
async def test_a_missing_figure_is_none(free, standin, monkeypatch, missing):
    figures = {"05. price": "10.5", "07. latest trading day": "2026-01-14"}
    answering(standin, monkeypatch, {"Global Quote": {**figures, "02. open": missing, "06. volume": missing}})

    quote = (await free.fetch_quotes(["AAPL"]))["AAPL"]

    assert (quote.price, quote.open, quote.volume, quote.change) == (Decimal("10.5"), None, None, None)


async def test_an_empty_quote_is_a_symbol_nobody_knows(free):
    found = await free.fetch_quotes(["NOSUCH"])

    assert isinstance(found["NOSUCH"], NotFound)


async def test_a_free_price_of_zero_is_not_found(free, standin):
    standin.fail(Fault.ZEROS, 1)

    found = await free.fetch_quotes(["AAPL"])

    assert isinstance(found["AAPL"], NotFound)


async def test_outside_regular_hours_the_extended_price_is_the_last(provider, standin, monkeypatch):
    row = {
        "symbol": "AAPL", "timestamp": "2026-07-14 19:59:57.644", "close": "247.31",
        "previous_close": "258.24", "extended_hours_quote": "242.9",
    }  # fmt: skip
    answering(standin, monkeypatch, {"endpoint": "Realtime Bulk Quotes", "message": "success", "data": [row]})

    quote = (await provider.fetch_quotes(["AAPL"]))["AAPL"]

    assert quote.price == Decimal("242.9")
    assert quote.as_of == datetime(2026, 7, 14, 23, 59, 57, 644_000, tzinfo=UTC)


async def test_a_mixed_batch_is_one_request_for_the_shares_and_one_for_each_rate(provider, standin, calls):
    found = await provider.fetch_quotes(["BTC-USD", "AAPL", "NOSUCH", "MSFT", "EURUSD=X"])

    assert list(found) == ["BTC-USD", "AAPL", "NOSUCH", "MSFT", "EURUSD=X"]
    assert {symbol: getattr(one, "price", None) for symbol, one in found.items()} == {
        "BTC-USD": Decimal("64250.55"),
        "AAPL": Decimal("189.34"),
        "NOSUCH": None,
        "MSFT": Decimal("412.65"),
        "EURUSD=X": Decimal("1.0842"),
    }
    assert [call.symbols for call in calls] == [("AAPL", "NOSUCH", "MSFT"), ("BTC-USD",), ("EURUSD=X",)]
    assert (found["BTC-USD"].bid, found["BTC-USD"].ask) == (Decimal("64250.54"), Decimal("64250.56"))


async def test_what_was_bought_before_a_refusal_is_kept(provider, standin):
    standin.fail(Fault.RATE_LIMITED, 1, after=1)

    found = await provider.fetch_quotes(["AAPL", "BTC-USD", "EURUSD=X"])

    assert found["AAPL"].price == Decimal("189.34")
    assert [found[symbol].kind for symbol in ("BTC-USD", "EURUSD=X")] == [Kind.RATE_LIMITED] * 2
    assert len(standin.asked) == 2


async def test_an_unknown_rate_does_not_stop_the_others(provider, standin):
    found = await provider.fetch_quotes(["XXXUSD=X", "BTC-USD"])

    assert isinstance(found["XXXUSD=X"], NotFound)
    assert found["BTC-USD"].price == Decimal("64250.55")


async def test_rates_of_the_free_plan_are_not_delayed(free):
    quote = (await free.fetch_quotes(["EURUSD=X"]))["EURUSD=X"]

    assert (quote.price, quote.delayed_s) == (Decimal("1.0842"), 0)


# --- bars


async def test_the_free_plan_has_a_hundred_days_and_no_minutes(free, standin):
    start = datetime.combine(clock.now().date(), datetime.min.time(), UTC) - timedelta(days=30)

    bars = await free.fetch_bars("AAPL", Interval.DAY, start - timedelta(days=400), start)

    assert bars == list(standin.market.bars("AAPL", bars[0].start, start, timedelta(days=1)))
    assert standin.asked[0].params["outputsize"] == "compact"
    assert free.capabilities.intervals == {Interval.DAY}
    with pytest.raises(PlanLocked):
        await free.fetch_bars("AAPL", Interval.MINUTE, start, start + timedelta(days=1))


async def test_a_long_range_of_a_paid_plan_is_asked_for_in_full(provider, standin):
    start = datetime(clock.now().year - 2, 1, 1, tzinfo=UTC)

    bars = await provider.fetch_bars("AAPL", Interval.DAY, start, start + timedelta(days=30))

    assert bars == list(standin.market.bars("AAPL", start, start + timedelta(days=30), timedelta(days=1)))
    assert standin.asked[0].params["outputsize"] == "full"


async def test_minutes_are_asked_for_month_by_month_unadjusted(provider, standin):
    first = (clock.now().replace(day=1) - timedelta(days=40)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    after = (first + timedelta(days=32)).replace(day=1)
    start, end = after - timedelta(hours=12), after + timedelta(hours=12)

    bars = await provider.fetch_bars("AAPL", Interval.MINUTE, start, end)

    assert bars == list(standin.market.bars("AAPL", start, end, timedelta(minutes=1)))
    assert [asked.params["month"] for asked in standin.asked] == [f"{first:%Y-%m}", f"{after:%Y-%m}"]
    assert {asked.params["adjusted"] for asked in standin.asked} == {"false"}


@pytest.mark.parametrize("symbol", ["BTC-USD", "EURUSD=X"])
async def test_bars_of_coins_and_currencies_are_not_to_be_had(provider, standin, symbol):
    start = datetime(2024, 1, 2, tzinfo=UTC)

    with pytest.raises(PlanLocked):
        await provider.fetch_bars(symbol, Interval.DAY, start, start + timedelta(days=1))

    assert standin.asked == []


# --- actions and search


async def test_a_dividend_is_paid_in_the_currency_of_its_exchange(provider, standin, monkeypatch):
    answering(standin, monkeypatch, {"data": [{"ex_dividend_date": "2024-05-01", "amount": "0.5"}]})

    found = await provider.fetch_actions("RY.TO", date(2024, 1, 1), date(2025, 1, 1))

    assert {one.currency for one in found} == {"CAD"}


@pytest.mark.parametrize(
    ("factor", "before", "after"),
    [
        ("4.0000", 1, 4),
        ("0.0200", 50, 1),
        ("0.0333", 30, 1),
        ("1.5000", 2, 3),
        ("0.6667", 3, 2),
        ("1.0123", 1, "1.0123"),
    ],
)
async def test_a_split_factor_becomes_shares_before_and_after(
    provider, standin, monkeypatch, factor, before, after
):
    answering(standin, monkeypatch, {"data": [{"effective_date": "2024-05-01", "split_factor": factor}]})

    found = await provider.fetch_actions("AAPL", date(2024, 1, 1), date(2025, 1, 1))

    assert [(one.kind, one.split_from, one.split_to) for one in found] == [
        (ActionKind.SPLIT, Decimal(before), Decimal(after))
    ]


async def test_a_match_in_pence_is_told_in_pounds_and_unknown_exchanges_are_left_out(
    provider, standin, monkeypatch
):
    rows = [
        {"1. symbol": "TSCO.LON", "2. name": "Tesco PLC", "3. type": "Equity", "8. currency": "GBX"},
        {"1. symbol": "TCO0.FRK", "2. name": "Tesco PLC", "3. type": "Equity", "8. currency": "EUR"},
        {"1. symbol": "BRK-B", "2. name": "Berkshire", "3. type": "Equity", "8. currency": "USD"},
        {"1. symbol": "SPY", "2. name": "SPDR", "3. type": "ETF", "8. currency": "USD"},
    ]
    answering(standin, monkeypatch, {"bestMatches": rows})

    found = await provider.search("tesco")

    assert [(one.symbol, one.currency, one.asset_class.value) for one in found] == [
        ("TSCO.L", "GBP", "stock"),
        ("BRK.B", "USD", "stock"),
        ("SPY", "USD", "etf"),
    ]


async def test_two_requests_of_one_question_are_as_far_apart_as_the_plan_wants(
    standin, free, provider, monkeypatch
):
    waited = []

    async def sleep(seconds):
        waited.append((len(standin.asked), seconds))

    standin.paid = True
    monkeypatch.setattr(alpha_vantage_module, "sleep", sleep)
    await free.fetch_actions("AAPL", date(2024, 1, 1), date(2025, 1, 1))
    await provider.fetch_actions("AAPL", date(2024, 1, 1), date(2025, 1, 1))

    assert waited == [(1, 1.1)]
