from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.company import FIGURES
from marketdata.errors import Kind, ProviderError, RateLimited, Unauthorized
from marketdata.providers.base import Interval
from marketdata.providers.plans import plan_of
from marketdata.providers.yahoo import Yahoo
from marketdata.providers.yahoo_session import Pass
from marketdata.quotes import Action, ActionKind
from marketdata.standins.base import Fault, Reply
from marketdata.standins.stream import StreamFault, Trade
from marketdata.standins.yahoo import COOKIE, CRUMB, YahooStandIn, pricing
from tests.contracts.vendors.case import Case
from tests.contracts.vendors.stream_suite import *  # noqa: F403 -- the shared tests, on CASE
from tests.contracts.vendors.stream_suite import skipped, streaming, ticks_of
from tests.contracts.vendors.suite import *  # noqa: F403 -- the shared tests, on CASE


def unknown(standin, patience=None):
    """As it is before the first request."""
    return Yahoo(
        base_url=standin.url,
        cookie_url=standin.cookie_url,
        stream_url=standin.stream_url,
        plan=plan_of("yahoo", "unofficial"),
        patience=patience,
    )


def yahoo(standin, patience=None):
    provider = unknown(standin, patience)
    provider.known_pass = Pass(COOKIE, CRUMB)
    return provider


def keyless(market, **keys):
    return YahooStandIn(market, key="")


CASE = Case(
    make_standin=keyless,
    make_provider=yahoo,
    batch=("AAPL", "MSFT", "IBM", "BRK.B"),
    spellings={"BTC-USD": "BTC-USD", "EURUSD=X": "EURUSD=X", "BRK.B": "BRK-B"},
    lacks=frozenset({Fault.UNAUTHORIZED, Fault.THROTTLED_200}),
    told_of_actions=frozenset(),
    told_of_news=frozenset({"headline", "published_at", "source", "url"}),
    told_of_companies=frozenset(FIGURES) - {"revenue_growth_5y", "eps_growth_3y", "eps_growth_5y"},
    precision=timedelta(seconds=1),
    stream_lacks=frozenset(
        {
            StreamFault.GREETING_WITHHELD,
            StreamFault.AUTH_UNANSWERED,
            StreamFault.SUBSCRIBE_UNANSWERED,
        }
    ),
    trade_ids=False,
    life_message=False,
)


async def price_of(provider, symbol="AAPL"):
    return (await provider.fetch_quotes([symbol]))[symbol].price


def paths(standin):
    return [asked.path for asked in standin.asked]


# --- cookie and crumb


async def test_the_first_quote_fetches_cookie_and_crumb_and_the_next_ones_reuse_them(standin, calls):
    provider = unknown(standin)

    assert await price_of(provider) == await price_of(provider) == Decimal("189.34")

    assert paths(standin) == ["/cookie", "/v1/test/getcrumb", "/v7/finance/quote", "/v7/finance/quote"]
    assert standin.asked[1].headers["cookie"] == COOKIE
    assert standin.asked[2].headers["cookie"] == COOKIE
    assert standin.asked[2].params["crumb"] == CRUMB
    assert [(call.endpoint, call.status) for call in calls] == [
        ("session", 404),
        ("session", 200),
        ("quotes", 200),
        ("quotes", 200),
    ]


async def test_a_crumb_that_ran_out_is_fetched_anew_once(standin, provider):
    standin.crumb = "another.one"

    assert await price_of(provider) == Decimal("189.34")

    assert paths(standin) == ["/v7/finance/quote", "/cookie", "/v1/test/getcrumb", "/v7/finance/quote"]


async def test_a_fresh_crumb_that_is_refused_is_unauthorized(standin, provider):
    standin.fail(Fault.UNAUTHORIZED)

    with pytest.raises(Unauthorized):
        await provider.fetch_quotes(["AAPL"])

    assert paths(standin).count("/v7/finance/quote") == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(b"Too Many Requests\r\n", 200), Kind.RATE_LIMITED),
        (Reply(b"Too Many Requests\r\n", 429), Kind.RATE_LIMITED),
        (Reply({"finance": {"error": {"code": "Unauthorized"}}}, 401), Kind.AUTH),
        (Reply(b"<html><body>consent</body></html>", 200), Kind.MALFORMED),
        (Reply(b"", 200), Kind.MALFORMED),
        (Reply(b"x" * 65, 200), Kind.MALFORMED),
        (Reply(b"oops", 503), Kind.TRANSIENT),
    ],
)
async def test_a_crumb_that_is_none_is_told_by_its_kind(standin, calls, reply, kind):
    standin.crumb_reply = reply

    with pytest.raises(ProviderError) as caught:
        await unknown(standin).fetch_quotes(["AAPL"])

    assert caught.value.kind is kind
    assert [(call.endpoint, call.kind) for call in calls] == [("session", Kind.OK), ("session", kind)]
    if kind is Kind.RATE_LIMITED:
        assert caught.value.retry_at - clock.now() > timedelta(minutes=14)


async def test_several_cookies_are_sent_back_without_their_attributes(standin):
    told = "A1=x=1&y; Expires=Sat, 20 Nov 2027 12:00:00 GMT; Secure, A3=z; Path=/"
    standin.cookie_reply = Reply(b"", 404, {"Set-Cookie": told})
    with pytest.raises(Unauthorized):
        await unknown(standin).fetch_quotes(["AAPL"])

    assert standin.asked[1].headers["cookie"] == "A1=x=1&y; A3=z"


async def test_without_a_cookie_no_crumb_is_asked_for(standin):
    standin.cookie_reply = Reply(b"<html>", 200)

    with pytest.raises(ProviderError):
        await unknown(standin).fetch_quotes(["AAPL"])

    assert paths(standin) == ["/cookie"]


async def test_cookie_and_crumb_are_told_to_nobody(standin, provider, caplog, calls):
    caplog.set_level("DEBUG")
    await price_of(provider)

    told = f"{provider.known_pass!r} {calls} {caplog.text}"
    assert [secret for secret in (COOKIE, CRUMB) if secret in told] == []


async def test_charts_and_searches_need_no_crumb(standin):
    await unknown(standin).search("apple")

    assert paths(standin) == ["/v1/finance/search"]


# --- refusals


async def test_a_throttle_keeps_us_away_for_at_least_a_quarter_of_an_hour(standin, provider):
    standin.fail(Fault.RATE_LIMITED_BARE, 1)
    with pytest.raises(RateLimited) as bare:
        await provider.fetch_quotes(["AAPL"])
    standin.fail(Fault.RATE_LIMITED, 1)
    with pytest.raises(RateLimited) as told:
        await provider.fetch_quotes(["AAPL"])

    assert timedelta(minutes=14) < bare.value.retry_at - clock.now() <= timedelta(minutes=15)
    assert timedelta(minutes=29) < told.value.retry_at - clock.now() <= timedelta(minutes=30)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Unauthorized", Kind.AUTH),
        ("Not Found", Kind.NOT_FOUND),
        ("Bad Request", Kind.BAD_REQUEST),
        ("Too Many Requests", Kind.RATE_LIMITED),
        ("Internal", Kind.TRANSIENT),
    ],
)
async def test_an_error_within_status_200_has_its_kind(standin, provider, monkeypatch, code, kind):
    async def respond(asked, fault):
        return Reply({"chart": {"result": None, "error": {"code": code, "description": "words"}}})

    monkeypatch.setattr(standin, "respond", respond)

    with pytest.raises(ProviderError) as caught:
        await provider.fetch_actions("AAPL", date(2024, 1, 1), date(2025, 1, 1))

    assert caught.value.kind is kind


# --- quotes


@pytest.mark.parametrize(
    ("symbol", "asked"),
    [
        ("ABR.PRD", "ABR-PD"),
        ("ABC.WS", "ABC-WT"),
        ("ABC.U", "ABC-UN"),
        ("0700.HK", "0700.HK"),
        ("VOD.L", "VOD.L"),
        ("RCI.B.TO", "RCI-B.TO"),
        ("^GSPC", "^GSPC"),
        ("ES=F", "ES=F"),
    ],
)
async def test_symbols_are_asked_as_yahoo_spells_them(standin, provider, symbol, asked):
    await provider.fetch_quotes([symbol])

    assert standin.asked[0].params["symbols"] == asked
    assert provider.covers(symbol)


@pytest.mark.parametrize(
    ("currency", "price"), [("GBp", "1.8934"), ("GBX", "1.8934"), ("ZAc", "1.8934"), ("GBP", "189.34")]
)
async def test_prices_in_pence_are_told_in_pounds(standin, provider, currency, price):
    listed = standin.market.put("AAPL", currency=currency)

    quote = (await provider.fetch_quotes(["AAPL"]))["AAPL"]

    factor = quote.price / listed.price
    assert quote.price == Decimal(price)
    for name in ("previous_close", "open", "high", "low", "bid", "ask"):
        assert getattr(quote, name) == getattr(listed, name) * factor
    assert quote.volume == listed.volume


@pytest.mark.parametrize(
    ("state", "session"),
    [
        ("PRE", "pre"),
        ("REGULAR", "regular"),
        ("POST", "post"),
        ("POSTPOST", "closed"),
        ("PREPRE", "closed"),
        ("CLOSED", "closed"),
    ],
)
async def test_the_state_of_the_market_is_the_session(standin, provider, state, session):
    standin.states["AAPL"] = {"marketState": state}

    assert (await provider.fetch_quotes(["AAPL"]))["AAPL"].session.value == session


async def test_before_the_open_the_last_price_is_the_previous_close_and_today_has_no_day_yet(
    standin, provider
):
    later = int(clock.now().timestamp()) + 30
    standin.market.put("AAPL", at=clock.now() - timedelta(hours=15))
    standin.states["AAPL"] = {"marketState": "PRE", "preMarketPrice": 190.5, "preMarketTime": later}

    quote = (await provider.fetch_quotes(["AAPL"]))["AAPL"]

    assert (quote.price, quote.previous_close) == (Decimal("190.5"), Decimal("189.34"))
    assert (quote.open, quote.high, quote.low, quote.volume) == (None, None, None, None)
    assert quote.as_of.timestamp() == later


async def test_after_the_close_the_day_goes_on_with_the_extended_price(standin, provider):
    later = int(clock.now().timestamp()) + 30
    standin.states["AAPL"] = {"marketState": "POST", "postMarketPrice": 188.1, "postMarketTime": later}

    quote = (await provider.fetch_quotes(["AAPL"]))["AAPL"]

    assert (quote.price, quote.previous_close) == (Decimal("188.1"), Decimal("187.15"))
    assert quote.open == standin.market.get("AAPL").open


async def test_an_extended_price_older_than_the_regular_one_does_not_count(standin, provider):
    standin.states["AAPL"] = {"postMarketPrice": 1.0, "postMarketTime": 1_700_000_000}

    assert await price_of(provider) == Decimal("189.34")


async def test_a_delay_is_told_in_seconds(standin, provider):
    standin.states["AAPL"] = {"exchangeDataDelayedBy": 15}

    assert (await provider.fetch_quotes(["AAPL"]))["AAPL"].delayed_s == 900


async def test_a_price_in_single_precision_is_told_as_it_was_meant(standin, provider):
    standin.states["AAPL"] = {"regularMarketPrice": 189.33999633789062}

    assert await price_of(provider) == Decimal("189.34")


# --- charts


@pytest.mark.parametrize("symbol", ["AAPL", "^GSPC"])
async def test_the_symbol_stands_in_the_path_as_a_path_allows(standin, provider, symbol):
    standin.market.listed["^GSPC"] = standin.market.listed["SPY"]
    start = datetime(2024, 1, 8, tzinfo=UTC)

    bars = await provider.fetch_bars(symbol, Interval.DAY, start, start + timedelta(days=1))

    assert [bar.symbol for bar in bars] == [symbol]
    assert paths(standin) == [f"/v8/finance/chart/{symbol.replace('^', '%5E')}"]


async def test_days_before_a_split_are_as_they_were_traded(standin, provider):
    """The stand-in tells them adjusted and in single precision, as Yahoo does."""
    start, end = datetime(2020, 8, 24, tzinfo=UTC), datetime(2020, 9, 5, tzinfo=UTC)

    bars = await provider.fetch_bars("AAPL", Interval.DAY, start, end)

    assert bars == list(standin.market.bars("AAPL", start, end, timedelta(days=1)))


async def test_days_in_pence_are_told_in_pounds(standin, provider):
    standin.market.put("AAPL", currency="GBp")
    start = datetime(2024, 1, 8, tzinfo=UTC)

    (bar,) = await provider.fetch_bars("AAPL", Interval.DAY, start, start + timedelta(days=1))

    (plain,) = standin.market.bars("AAPL", start, start + timedelta(days=1), timedelta(days=1))
    assert (bar.open, bar.close, bar.volume) == (plain.open / 100, plain.close / 100, plain.volume)


async def test_a_dividend_before_a_split_is_told_as_it_was_paid(standin, provider):
    paid = Action("AAPL", ActionKind.DIVIDEND, date(2020, 8, 7), amount=Decimal("0.82"))
    standin.market.actions.append(paid)

    found = await provider.fetch_actions("AAPL", date(2020, 8, 1), date(2020, 8, 31))

    assert found == [paid]


async def test_a_dividend_in_pence_is_told_in_pounds(standin, provider):
    standin.market.put("AAPL", currency="GBp")

    (found,) = await provider.fetch_actions("AAPL", date(2024, 1, 1), date(2025, 1, 1))

    assert (found.amount, found.currency) == (Decimal("0.0024"), "GBP")


async def test_gaps_in_a_chart_are_left_out(standin, provider, monkeypatch):
    columns = {name: [1.5, None] for name in ("open", "high", "low", "close", "volume")}
    chart = {
        "meta": {"currency": "USD", "exchangeTimezoneName": "America/New_York"},
        "timestamp": [1704724200, 1704810600],
        "indicators": {"quote": [columns]},
    }

    async def respond(asked, fault):
        return Reply({"chart": {"result": [chart], "error": None}})

    monkeypatch.setattr(standin, "respond", respond)
    start = datetime(2024, 1, 8, tzinfo=UTC)

    bars = await provider.fetch_bars("AAPL", Interval.DAY, start, start + timedelta(days=9))

    assert [(bar.start, bar.close) for bar in bars] == [(start, Decimal("1.5"))]


async def test_days_of_an_exchange_east_of_us_have_their_own_date(standin, provider, monkeypatch):
    """Sydney opens at 23:00 UTC of the day before."""
    columns = {name: [1.5] for name in ("open", "high", "low", "close", "volume")}
    opens = int(datetime(2024, 1, 8, 23, tzinfo=UTC).timestamp())
    chart = {
        "meta": {"currency": "AUD", "exchangeTimezoneName": "Australia/Sydney"},
        "timestamp": [opens],
        "indicators": {"quote": [columns]},
    }

    async def respond(asked, fault):
        assert int(asked.params["period1"]) <= opens
        return Reply({"chart": {"result": [chart], "error": None}})

    monkeypatch.setattr(standin, "respond", respond)
    start = datetime(2024, 1, 9, tzinfo=UTC)

    bars = await provider.fetch_bars("BHP.AX", Interval.DAY, start, start + timedelta(days=1))

    assert [bar.start for bar in bars] == [start]


async def test_minutes_are_asked_for_a_week_at_a_time_as_far_back_as_they_are_kept(standin, provider):
    now = clock.now()

    await provider.fetch_bars("AAPL", Interval.MINUTE, now - timedelta(days=100), now)

    spans = [(int(asked.params["period1"]), int(asked.params["period2"])) for asked in standin.asked]
    assert len(spans) == 5
    assert timedelta(days=28) < now - datetime.fromtimestamp(spans[0][0], UTC) < timedelta(days=30)
    assert [one[1] for one in spans[:-1]] == [one[0] for one in spans[1:]]


async def test_the_running_day_is_no_bar_yet(provider):
    now = clock.now()

    bars = await provider.fetch_bars("AAPL", Interval.DAY, now - timedelta(days=9), now + timedelta(days=1))

    assert bars
    assert bars[-1].start.date() < now.date()


# --- stream


async def sent(standin, **fields):
    numbers = {"id": 1, "price": 2, "time": 3, "currency": 4, "market_hours": 7, "day_volume": 9,
               "day_high": 10, "open": 15, "last_size": 22}  # fmt: skip
    data = pricing({numbers[name]: value for name, value in fields.items()})
    await standin.send_raw(json.dumps({"type": "pricing", "message": base64.b64encode(data).decode()}))


NOW_MS = {"time": 1_773_500_000_000}


async def test_subscriptions_are_said_again_as_a_sign_of_life(standin, provider):
    async with streaming(provider, standin, "AAPL", "MSFT") as stream:
        stream._renew_at = 0.0
        await standin.sell(Trade("AAPL", Decimal(1)))
        reading = ticks_of(stream, 2)
        await standin.sell(Trade("AAPL", Decimal(2)))
        await reading
        await standin.until(lambda: len(standin.received) >= 2)

    assert standin.received[:2] == [{"subscribe": ["AAPL", "MSFT"]}] * 2


@pytest.mark.parametrize(
    "message",
    [
        "not base64!",
        base64.b64encode(b"\x0a\x7fAAPL").decode(),
        base64.b64encode(b"\x10\x01").decode(),
        base64.b64encode(b"\xff" * 12).decode(),
        base64.b64encode(b"\x0a\x02\xff\xfe").decode(),
        base64.b64encode(b"\x0b\x00").decode(),
        "",
        7,
        None,
    ],
)
async def test_a_frame_that_is_no_pricing_is_skipped_and_counted(standin, provider, message):
    async with streaming(provider, standin, "AAPL") as stream:
        before = skipped(provider)
        await standin.send_raw(json.dumps({"type": "pricing", "message": message}))
        await standin.sell(Trade("AAPL", Decimal("189.01")))
        (tick,) = await ticks_of(stream, 1)

    assert tick.price == Decimal("189.01")
    assert skipped(provider) - before == 1


async def test_frames_of_other_types_are_no_news(standin, provider):
    async with streaming(provider, standin, "AAPL") as stream:
        before = skipped(provider)
        await standin.send_raw('{"type":"news","message":"x"}')
        await standin.sell(Trade("AAPL", Decimal("189.01")))
        await ticks_of(stream, 1)

    assert skipped(provider) == before


@pytest.mark.parametrize("price", [float("nan"), float("inf"), float("-inf"), -1.0])
async def test_a_price_that_is_no_number_is_no_tick(standin, provider, price):
    async with streaming(provider, standin, "AAPL") as stream:
        await sent(standin, id="AAPL", price=price, **NOW_MS)
        await sent(standin, id="AAPL", price=2.5, **NOW_MS)
        ticks = await ticks_of(stream, 1)

    assert [tick.price for tick in ticks] == [Decimal("2.5")]


@pytest.mark.parametrize(("hours", "session"), [(0, "pre"), (1, "regular"), (2, "post")])
async def test_market_hours_are_the_session(standin, provider, hours, session):
    async with streaming(provider, standin, "AAPL") as stream:
        await sent(standin, id="AAPL", price=2.5, market_hours=hours, **NOW_MS)
        (tick,) = await ticks_of(stream, 1)

    assert tick.session.value == session


async def test_dollar_pairs_are_called_by_the_other_currency(standin, provider):
    async with streaming(provider, standin, "USDJPY=X") as stream:
        await sent(standin, id="JPY=X", price=159.25, **NOW_MS)
        (tick,) = await ticks_of(stream, 1)

    assert (tick.symbol, tick.price) == ("USDJPY=X", Decimal("159.25"))


async def test_a_price_in_pence_is_streamed_in_pounds(standin, provider):
    async with streaming(provider, standin, "VOD.L") as stream:
        await sent(standin, id="VOD.L", price=72.5, currency="GBp", day_high=73.0, **NOW_MS)
        (tick,) = await ticks_of(stream, 1)

    assert (tick.price, tick.high) == (Decimal("0.725"), Decimal("0.73"))


async def test_a_unit_that_is_not_streamed_is_that_of_the_last_quote(standin, provider):
    standin.market.listed["VOD.L"] = standin.market.listed["AAPL"]
    standin.market.put("VOD.L", currency="GBp")
    await provider.fetch_quotes(["VOD.L"])
    async with streaming(provider, standin, "VOD.L") as stream:
        await sent(standin, id="VOD.L", price=72.5, **NOW_MS)
        (tick,) = await ticks_of(stream, 1)

    assert tick.price == Decimal("0.725")


async def test_a_streamed_price_is_as_late_as_the_last_quote_said(standin, provider):
    standin.states["AAPL"] = {"exchangeDataDelayedBy": 15}
    await provider.fetch_quotes(["AAPL"])
    async with streaming(provider, standin, "AAPL", "MSFT") as stream:
        await sent(standin, id="AAPL", price=189.5, **NOW_MS)
        await sent(standin, id="MSFT", price=189.5, **NOW_MS)
        ticks = await ticks_of(stream, 2)

    assert [tick.delayed_s for tick in ticks] == [900, 0]


async def test_a_price_of_unknown_unit_is_skipped(standin, provider):
    async with streaming(provider, standin, "VOD.L") as stream:
        before = skipped(provider)
        await sent(standin, id="VOD.L", price=72.5, **NOW_MS)
        await sent(standin, id="VOD.L", price=72.5, currency="GBp", **NOW_MS)
        ticks = await ticks_of(stream, 1)

    assert [tick.price for tick in ticks] == [Decimal("0.725")]
    assert skipped(provider) - before == 1


async def test_a_size_is_what_was_traded_since_the_last_frame(standin, provider):
    async with streaming(provider, standin, "BTC-USD") as stream:
        await sent(standin, id="BTC-USD", price=2.5, day_volume=1000, last_size=1000, **NOW_MS)
        await sent(standin, id="BTC-USD", price=2.5, day_volume=1250, last_size=1250, **NOW_MS)
        ticks = await ticks_of(stream, 2)

    assert [(tick.size, tick.volume) for tick in ticks] == [(0, 1000), (250, 1250)]
