"""Two vendors on loopback, while the first one fails: readers of the API notice nothing but another source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connections

from core.redis import client as redis
from marketdata import attention, cache, claims, lookup, polling
from marketdata.cache import LATEST_KEY
from marketdata.fetcher import BatchFetcher
from marketdata.models import ProviderCall, Ticker
from marketdata.models import Quote as QuoteRow
from marketdata.providers import attempts, breakers, chain, registry
from marketdata.providers.alpaca import Alpaca
from marketdata.providers.base import Provider
from marketdata.providers.breakers import FAIL_MAX
from marketdata.providers.finnhub import Finnhub
from marketdata.providers.plans import plan_of
from marketdata.providers.vendor import Vendor
from marketdata.quotes import Quote
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.base import Fault, StandIn
from marketdata.standins.finnhub import FinnhubStandIn
from subscriptions.models import Subscription
from tests.factories import make_ticker, make_user

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = ["AAPL", "IBM", "MSFT"]
LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)
MANY = 5000


def alpaca(standin: StandIn) -> Alpaca:
    plan = replace(plan_of("alpaca", "basic"), windows=())
    urls = {"base_url": standin.url, "stream_url": standin.stream_url}
    return Alpaca(**urls, key=standin.key, secret=standin.secret, plan=plan)


def finnhub(standin: FinnhubStandIn) -> Finnhub:
    plan = replace(plan_of("finnhub", "free"), windows=())
    return Finnhub(standin.key, base_url=standin.rest_url, stream_url=standin.stream_url, plan=plan)


@pytest.fixture(autouse=True)
def quiet(caplog, settings, monkeypatch):
    """What is provoked on purpose need not fill the log."""
    caplog.set_level("ERROR")
    settings.DEMO_SYMBOLS = []
    settings.TIME_FACTOR = (
        20  # a breaker that opens stays so for ten minutes: a busy machine must not see it half open
    )
    # Nor is a vendor of this machine away because it answers late.
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 30.0)
    monkeypatch.setitem(Vendor.get_json.__kwdefaults__, "budget_s", 30.0)
    redis().flushall()
    cache.forget_memory()
    attention.forget()


@pytest.fixture
def main() -> Iterator[AlpacaStandIn]:
    with AlpacaStandIn(secret="standin-secret").in_thread() as standin:
        yield standin


@pytest.fixture
def other() -> Iterator[FinnhubStandIn]:
    with FinnhubStandIn().in_thread() as standin:
        yield standin


@pytest.fixture
def vendors(main, other) -> Iterator[tuple[Provider, ...]]:
    with registry.override(alpaca(main), finnhub(other)):
        yield registry.providers()
        lookup.fetcher.close()


@pytest.fixture
def reader(client):
    """Reads the three tickers through the API."""
    client.force_login(make_user(tier="expert"))
    for symbol in SYMBOLS:
        make_ticker(symbol)

    def read() -> dict[str, dict]:
        answer = client.get("/api/v1/quotes/", {"symbols": ",".join(SYMBOLS)})
        assert answer.status_code == 200, answer.content
        return {one["symbol"]: one for one in answer.json()["results"]}

    return read


def grow_old() -> None:
    """Every quote is known still, and its time is over."""
    cache.forget_memory()
    redis().delete(LATEST_KEY, *redis().keys("quote:claim:*"))
    QuoteRow.objects.update(expires_at=LONG_AGO)


def settle() -> None:
    """Whatever a hurried reader began has landed, and is stored."""
    lookup.get_quotes(SYMBOLS, patience_s=None)
    while lookup.fetcher._tasks:
        pass


def window_ends() -> None:
    """The time for which the main vendor is left alone is over."""
    redis().delete("breaker:alpaca:quotes:open")


def sources(quotes: dict[str, dict]) -> set[tuple[str, bool]]:
    return {(one["provider"], one["stale"]) for one in quotes.values()}


@pytest.mark.parametrize(
    "fault",
    [
        Fault.DROPPED, Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.HTML, Fault.TRUNCATED, Fault.TRUNCATED_GZIP,
        Fault.REDIRECT_LOOP, Fault.UNAUTHORIZED, Fault.PLAN, Fault.RATE_LIMITED, Fault.RATE_LIMITED_BARE,
        Fault.NOT_A_NUMBER,
    ],
)  # fmt: skip
def test_while_the_main_vendor_fails_quotes_come_from_the_next_and_it_is_left_alone(
    fault, main, other, vendors, reader
):
    assert sources(reader()) == {("alpaca", False)}
    settle()
    main.asked.clear()
    main.fail(fault)

    for _ in range(8):
        grow_old()
        reader()
        settle()
        assert sources(reader()) == {("finnhub", False)}

    held = {Fault.UNAUTHORIZED, Fault.RATE_LIMITED, Fault.RATE_LIMITED_BARE}
    assert len(main.asked) == {**dict.fromkeys(held, 1), Fault.PLAN: 8}.get(fault, FAIL_MAX)
    assert attempts.recent(1)[0]["attempts"][0]["provider"] == "alpaca"


def test_a_vendor_that_never_answers_costs_three_waits_and_no_reader_an_error(
    monkeypatch, main, other, vendors, reader
):
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 3.0)  # in which the other one answers on a busy machine, too
    reader()
    settle()
    main.asked.clear()
    main.fail(Fault.SLOW)

    for _ in range(6):
        grow_old()
        reader()
        settle()
        assert sources(reader()) == {("finnhub", False)}
    assert len(main.asked) == FAIL_MAX


def test_when_the_main_vendor_is_back_it_is_the_source_again(main, other, vendors, reader):
    main.fail(Fault.SERVER_ERROR)
    while breakers.reading("alpaca:quotes").failures < FAIL_MAX:
        grow_old()
        reader()
        settle()
    window_ends()
    grow_old()
    settle()
    assert breakers.reading("alpaca:quotes").state is breakers.State.OPEN

    main.heal()
    window_ends()
    while sources(reader()) != {("alpaca", False)}:
        grow_old()
        settle()

    assert breakers.reading("alpaca:quotes") == breakers.Reading(breakers.State.CLOSED)


def test_when_both_are_away_the_old_price_is_shown_stale_until_one_is_back(main, other, vendors, reader):
    before = reader()
    settle()
    main.fail(Fault.DROPPED)
    other.fail(Fault.DROPPED)
    grow_old()
    QuoteRow.objects.update(received_at=LONG_AGO)

    reader()
    lookup.get_quotes(SYMBOLS, patience_s=None)
    during = reader()
    assert {one["stale"] for one in during.values()} == {True}
    assert {symbol: one["price"] for symbol, one in during.items()} == {
        symbol: one["price"] for symbol, one in before.items()
    }

    other.heal()
    for name in ("alpaca", "finnhub"):
        breakers.reset(f"{name}:quotes")
    grow_old()
    settle()
    assert sources(reader()) == {("finnhub", False)}


# --- a cold start


@pytest.fixture
def crowd(main, monkeypatch) -> list[str]:
    """Five thousand wanted tickers of which no price is known."""
    # Nobody dies; a busy machine may be late to renew a claim, to hear what came of it, or to begin.
    monkeypatch.setattr(claims, "CLAIM_MS", 120_000)
    monkeypatch.setattr(claims, "SETTLED_MS", 120_000)
    monkeypatch.setattr(polling, "RUN_S", 120.0)
    model = main.market.listed["AAPL"]
    symbols = [f"Z{number:04d}" for number in range(MANY)]
    main.market.listed |= {
        symbol: replace(model, symbol=symbol, price=Decimal(number + 1) / 10)
        for number, symbol in enumerate(symbols)
    }
    user = make_user(tier="expert")
    tickers = Ticker.objects.bulk_create([Ticker(symbol=symbol, name=symbol) for symbol in symbols])
    Subscription.objects.bulk_create([Subscription(user=user, ticker=ticker) for ticker in tickers])
    return symbols


def asked_symbols(standin: StandIn) -> Counter[str]:
    return Counter(symbol for one in standin.asked for symbol in one.params["symbols"].split(","))


def poll(_: int) -> int:
    try:
        return polling.fetch_wanted()
    finally:
        connections.close_all()


@pytest.mark.timeout(400)
def test_a_cold_start_of_five_thousand_asks_for_each_once_however_many_poll(main, other, vendors, crowd):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(poll, range(4)))
    lookup.fetcher.close()

    assert asked_symbols(main) == Counter(crowd)
    assert len(main.asked) == MANY / 100
    assert other.asked == []
    assert QuoteRow.objects.count() == MANY
    paid = ProviderCall.objects.values_list("symbols", flat=True)
    assert Counter(symbol for symbols in paid for symbol in symbols) == Counter(crowd)


@pytest.mark.timeout(400)
def test_a_cold_start_in_four_processes_asks_for_each_once(main, crowd):
    # Each has a provider and a loop of its own, and shares nothing but Redis.
    vendors = [alpaca(main) for _ in range(4)]
    made = [BatchFetcher(route=lambda _, one=one: (one,), store=cache.fill_redis) for one in vendors]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: one.fetch(crowd), made))
    for one in made:
        one.close()

    assert all(isinstance(one, Quote) for answer in answers for one in answer.values())
    assert asked_symbols(main) == Counter(crowd)
