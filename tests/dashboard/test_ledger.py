from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import clock
from dashboard import ledger
from dashboard.cost_rows import HOUSE, NOBODY, GroupBy, rows_of, total_of
from dashboard.costs import PARTS, PARTS_PER_FEMTO, Amount
from dashboard.ledger import Window, cached_report, of_user, report, used_lately
from dashboard.text_ledger import grounding
from marketdata.models import Cause, Price, ProviderCall, Ticker
from marketdata.pricebook import book_of
from marketdata.pricing import fees_of
from subscriptions.watchlist import unwatch, watch
from summaries.models import Analysis, Article, ModelCall, RemoteBatch, Summary
from tests.factories import make_interval, make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 10, tzinfo=UTC)
NOON = START + timedelta(hours=12)
WINDOW = Window(START, START + timedelta(days=2))


@pytest.fixture(autouse=True)
def _no_demo(settings):
    settings.DEMO_SYMBOLS = []
    cache.clear()


def price(usd: str, **fields) -> Price:
    values = {"provider": "massive", "unit": "request", "valid_from": datetime(2026, 1, 1, tzinfo=UTC)}
    return Price.objects.create(usd=Decimal(usd), **{**values, **fields})


def call(*symbols: str, at: datetime = NOON, cause: str = Cause.POLL, **fields) -> ProviderCall:
    values = {"provider": "massive", "plan": "starter", "endpoint": "quotes", "outcome": "ok"}
    return ProviderCall.objects.create(at=at, cause=cause, symbols=list(symbols), **{**values, **fields})


def text(*symbols: str, at: datetime = NOON, **fields) -> ModelCall:
    """A call of a language model of a thousand tokens in, a thousand out."""
    values = {"vendor": "openai", "model": "gpt", "task": "summary", "lane": "minutes", "outcome": "ok"}
    tokens = {"input_tokens": 1000, "output_tokens": 1000}
    return ModelCall.objects.create(at=at, symbols=list(symbols), **{**values, **tokens, **fields})


def token_price(usd_in: str, usd_cached: str, usd_out: str, **fields) -> None:
    for unit, usd in (("ktoken_in", usd_in), ("ktoken_cached", usd_cached), ("ktoken_out", usd_out)):
        price(usd, **{"provider": "openai", "plan": "gpt", "unit": unit, **fields})


def wanted(user, ticker, start: datetime = START, **fields) -> None:
    make_interval(user, ticker, started_at=start, **fields)


def dollars(amount: Amount) -> tuple[Decimal, Decimal]:
    return Decimal(amount.cost) / PARTS, Decimal(amount.unshared) / PARTS


def shown(found, group_by) -> dict[str, tuple[int, int]]:
    return {row.name: (row.cost, row.unshared) for row in rows_of(found, group_by)}


def test_a_call_is_paid_by_those_who_watched_its_ticker_at_that_moment() -> None:
    alice, bob, aapl = make_user("alice"), make_user("bob"), make_ticker("AAPL")
    wanted(alice, aapl)
    wanted(bob, aapl, NOON - timedelta(hours=1), ended_at=NOON + timedelta(hours=1))
    price("0.02")
    call("AAPL")
    call("AAPL", at=NOON + timedelta(hours=2))

    found = report(WINDOW)

    assert dollars(of_user(found, alice.pk).total) == (Decimal("0.03"), Decimal("0.04"))
    assert dollars(of_user(found, bob.pk).total) == (Decimal("0.01"), Decimal("0.02"))
    assert set(of_user(found, bob.pk).tickers) == {"AAPL"}


def test_the_intervals_are_those_that_watching_writes() -> None:
    alice, aapl = make_user("alice"), make_ticker("AAPL")
    price("1")
    watch(alice, [aapl])
    call("AAPL", at=clock.now())
    unwatch(alice, [aapl])
    call("AAPL", at=clock.now())

    found = report(Window.last_days(2, clock.now()))

    assert dollars(of_user(found, alice.pk).total) == (1, 1)
    assert found.attribution.nobody == PARTS


def test_who_only_streamed_pays_until_the_row_ran_out() -> None:
    alice, aapl = make_user("alice"), make_ticker("AAPL")
    price("1")
    now = clock.now()
    wanted(alice, aapl, now - timedelta(minutes=10))
    make_subscription(alice, aapl, ends_at=now - timedelta(minutes=5))
    call("AAPL", at=now - timedelta(minutes=6))
    call("AAPL", at=now - timedelta(minutes=4))

    found = report(Window(now - timedelta(hours=1), now))

    assert dollars(of_user(found, alice.pk).total) == (1, 1)
    assert found.attribution.nobody == PARTS


def test_demo_tickers_are_paid_by_the_house_as_well(settings) -> None:
    settings.DEMO_SYMBOLS = ["AAPL"]
    alice = make_user("alice")
    wanted(alice, make_ticker("AAPL"))
    price("1")
    call("AAPL")

    assert shown(report(WINDOW), GroupBy.USER) == {
        "alice": (500_000_000, 1_000_000_000),
        "House": (500_000_000, 1_000_000_000),
        "Nobody": (0, 0),
    }


def test_a_call_without_a_price_is_counted_and_costs_nothing_yet() -> None:
    price("1")
    call("AAPL")
    call("AAPL", provider="finnhub")

    found = report(WINDOW)

    assert (found.total.calls, found.total.unpriced, found.total.cost) == (2, 1, PARTS)
    assert found.by_provider["finnhub"].unpriced == 1


def test_a_corrected_price_changes_the_past() -> None:
    line = price("1")
    call("AAPL")
    line.usd = Decimal(3)
    line.save()

    assert report(WINDOW).total.cost == 3 * PARTS


def test_fees_run_day_by_day_and_are_spread_over_what_was_asked() -> None:
    alice, bob, aapl = make_user("alice"), make_user("bob"), make_ticker("AAPL")
    wanted(alice, aapl)
    wanted(bob, aapl)
    price("0")
    price("31", unit="month", plan="starter")
    call("AAPL", at=NOON)

    found = report(WINDOW)

    assert {day: part.cost for day, part in found.by_day.items()} == {
        date(2026, 3, 10): PARTS,
        date(2026, 3, 11): PARTS,
    }
    assert dollars(of_user(found, alice.pk).total) == (1, 2)
    assert shown(found, GroupBy.CAUSE) == {
        "Monthly fees": (2_000_000_000, 4_000_000_000),
        "Wanted, does not stream": (0, 0),
    }


def test_only_calls_of_the_window_count() -> None:
    price("1")
    call("AAPL", at=WINDOW.start)
    call("AAPL", at=WINDOW.end)
    call("AAPL", at=WINDOW.start - timedelta(microseconds=1))

    assert report(WINDOW).total.calls == 1


@pytest.mark.parametrize("group_by", list(GroupBy))
def test_every_grouping_adds_up_to_the_total(group_by, settings) -> None:
    settings.DEMO_SYMBOLS = ["MSFT"]
    people = [make_user() for _ in range(3)]
    for person in people:
        wanted(person, make_ticker())
    wanted(people[0], make_ticker("AAPL"))
    for usd, unit in (("0.000000001", "request"), ("0.333333333", "symbol"), ("17", "month")):
        price(usd, unit=unit)
    for number in range(7):
        call("AAPL", "MSFT", "NONE", at=NOON + timedelta(hours=number))
        call("AAPL", unit="symbol", cause=Cause.WARM, units=Decimal("1.000001"))
    call(cause=Cause.CHECK)
    found = report(WINDOW)

    rows = rows_of(found, group_by)

    total = total_of(found)
    assert (sum(row.cost for row in rows), sum(row.unshared for row in rows)) == (total.cost, total.unshared)
    assert found.attribution.attributed == found.total.cost


def test_the_house_and_nobody_are_rows_of_the_people() -> None:
    rows = {row.key for row in rows_of(report(WINDOW), GroupBy.USER)}

    assert rows == {HOUSE, NOBODY}


def test_days_stand_in_their_order_also_without_a_purchase() -> None:
    assert [row.key for row in rows_of(report(WINDOW), GroupBy.DAY)] == ["2026-03-10", "2026-03-11"]


def test_a_report_costs_the_same_queries_for_any_number_of_rows(django_assert_num_queries) -> None:
    aapl = make_ticker("AAPL")
    for _ in range(5):
        wanted(make_user(), aapl)
        call("AAPL")
        text("AAPL")

    with django_assert_num_queries(4):  # the book, the calls, those of language models, the intervals
        report(WINDOW)


def test_readers_of_the_same_minute_share_a_report() -> None:
    call("AAPL")
    cached_report(WINDOW)
    call("AAPL")

    assert cached_report(WINDOW).total.calls == 1


def test_the_last_days_end_with_this_minute() -> None:
    window = Window.last_days(7, NOON + timedelta(seconds=30))

    assert (window.start, window.end) == (START - timedelta(days=6), NOON + timedelta(minutes=1))
    assert len(list(window.days())) == 7


def test_what_was_used_lately_is_counted_by_provider() -> None:
    call("AAPL", at=NOON - timedelta(seconds=60))
    call("AAPL", at=NOON - timedelta(seconds=59))
    call("AAPL", at=NOON, provider="finnhub")
    call("AAPL", at=NOON + timedelta(seconds=1))

    assert used_lately(NOON, 60) == {"massive": 1, "finnhub": 1}


def test_who_comes_while_a_report_is_made_does_not_make_it_again(monkeypatch):
    made, found, others = [], report(WINDOW), 5
    everybody_looked = threading.Barrier(others)
    read = cache.get

    def look(key):
        if threading.get_ident() not in looked:
            looked.add(threading.get_ident())
            everybody_looked.wait(20)
        return read(key)

    looked: set[int] = set()
    monkeypatch.setattr(ledger.cache, "get", look)
    monkeypatch.setattr(ledger, "report", lambda window: made.append(window) or found)
    with ThreadPoolExecutor(others) as pool:
        reports = list(pool.map(lambda _: cached_report(WINDOW).window, range(others)))

    assert made == [WINDOW]
    assert reports == [WINDOW] * others


# --- language models


def test_a_text_is_paid_by_those_who_watched_its_tickers_when_it_was_bought() -> None:
    alice, bob = make_user("alice"), make_user("bob")
    aapl, msft = make_ticker("AAPL"), make_ticker("MSFT")
    wanted(alice, aapl)
    wanted(bob, aapl)
    wanted(bob, msft)
    token_price("0.25", "0.05", "2")
    text("AAPL", "MSFT", cached_tokens=400)

    found = report(WINDOW)

    # 600 and 400 tokens in, 1000 out: 0.15 + 0.02 + 2
    assert found.total.cost == Decimal("2.17") * PARTS
    assert dollars(of_user(found, alice.pk).total) == (Decimal("0.5425"), Decimal("1.085"))
    assert dollars(of_user(found, bob.pk).total) == (Decimal("1.6275"), Decimal("2.17"))
    assert dollars(found.attribution.tickers["AAPL"]) == (Decimal("1.085"), Decimal("2.17"))


def test_a_text_stands_under_its_task_vendor_model_and_day() -> None:
    price("1")
    token_price("1", "1", "1")
    call("AAPL")
    text("AAPL")
    text("AAPL", task="analysis", model="gpt")

    found = report(WINDOW)

    dollar = 10**9
    assert shown(found, GroupBy.CAUSE) == {
        "Wanted, does not stream": (dollar, dollar),
        "Summaries of articles": (2 * dollar, 2 * dollar),
        "Analyses": (2 * dollar, 2 * dollar),
    }
    assert shown(found, GroupBy.PROVIDER) == {"massive": (dollar, dollar), "openai": (4 * dollar, 4 * dollar)}
    assert shown(found, GroupBy.MODEL) == {
        "openai gpt": (4 * dollar, 4 * dollar),
        "No language model": (dollar, dollar),
    }
    assert found.by_day[date(2026, 3, 10)].cost == 5 * PARTS
    assert found.by_provider["openai"].plans == {"gpt"}


def test_a_text_of_no_ticker_is_paid_by_the_house() -> None:
    token_price("1", "1", "1")
    text()

    found = report(WINDOW)

    assert dollars(found.attribution.house) == (2, 2)


def test_a_text_without_a_price_is_counted_and_costs_nothing_yet() -> None:
    token_price("1", "1", "1")
    text("AAPL", model="other")

    found = report(WINDOW)

    assert (found.total.calls, found.total.unpriced, found.total.cost) == (1, 1, 0)
    assert found.texts.models["openai other"].unpriced == 1


def test_what_is_not_asked_of_a_provider_is_not_counted_as_asked() -> None:
    price("1")
    call("AAPL")
    text("AAPL")

    found = report(WINDOW)

    assert (found.attribution.asked.cost, found.attribution.asked.unshared) == (1, 1)


def test_a_call_that_has_not_ended_costs_nothing_yet_and_a_lost_one_its_most() -> None:
    token_price("1", "1", "1")
    text("AAPL", outcome="open")
    text("AAPL", outcome="lost")

    assert (report(WINDOW).total.calls, report(WINDOW).total.cost) == (1, 2 * PARTS)


def test_a_batch_is_cheaper_and_a_price_counts_from_its_moment_on() -> None:
    token_price("1", "1", "1", valid_to=NOON)
    token_price("3", "3", "3", valid_from=NOON)
    token_price("0.5", "0.5", "0.5", endpoint="batch")
    text("AAPL", at=NOON - timedelta(microseconds=1))
    text("AAPL", at=NOON)
    text("AAPL", at=NOON, batch=RemoteBatch.objects.create(model="gpt", external_id="b"))

    assert report(WINDOW).total.cost == (2 + 6 + 1) * PARTS


def test_a_corrected_price_prices_texts_of_the_past_again() -> None:
    token_price("1", "1", "1")
    text("AAPL", counted_femto=2 * 10**15)
    Price.objects.update(usd=Decimal(5))

    assert report(WINDOW).total.cost == 10 * PARTS


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["AAPL", "MSFT", "KO"]), unique=True),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
            st.sampled_from(["gpt", "mini", "unpriced"]),
            st.integers(0, 23),
        ),
        max_size=12,
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_texts_are_bought_what_is_attributed_is_what_was_billed(calls) -> None:
    with transaction.atomic():
        alice, bob = make_user(), make_user()
        for user, symbol in ((alice, "AAPL"), (bob, "AAPL"), (bob, "MSFT")):
            ticker = Ticker.objects.get_or_create(symbol=symbol)[0]
            wanted(user, ticker, NOON - timedelta(hours=3), ended_at=NOON + timedelta(hours=5))
        token_price("0.000333333", "0.000000001", "0.7")
        token_price("0.1", "0.01", "0.000000007", plan="mini")
        price("29", plan="team", provider="openai", unit="month")
        for symbols, plain, cached, output, model, hour in calls:
            tokens = {"input_tokens": plain + cached, "cached_tokens": cached, "output_tokens": output}
            text(*symbols, at=START + timedelta(hours=hour), model=model, **tokens)

        found = report(WINDOW)

        plainly = fees_of(book_of(WINDOW.start, WINDOW.end), WINDOW.start, WINDOW.end)["openai"]
        for _, plain, cached, output, model, _ in calls:
            usd = {"gpt": (333_333, 1, 700_000_000), "mini": (100_000_000, 10_000_000, 7)}.get(
                model, (0, 0, 0)
            )
            plainly += 1000 * (plain * usd[0] + cached * usd[1] + output * usd[2])
        assert found.total.cost == found.attribution.attributed == plainly * PARTS_PER_FEMTO
        for group_by in GroupBy:
            assert sum(row.cost for row in rows_of(found, group_by)) == total_of(found).cost
            assert sum(row.unshared for row in rows_of(found, group_by)) == total_of(found).unshared
        of_texts = sum(part.cost for part in found.texts.models.values())
        assert sum(part.cost for part in found.texts.tickers.values()) == of_texts
        transaction.set_rollback(True)


def test_how_true_texts_were_is_known_by_model() -> None:
    article = Article.objects.create(headline="h", provider="p", content_hash="a", published_at=NOON)
    common = {"model": "gpt", "prompt_version": "1", "created_at": NOON}
    Summary.objects.create(
        article=article, sentences=[], key_points=[], sentiment=0, claims=7, grounded=6, **common
    )
    Analysis.objects.create(
        ticker=make_ticker("AAPL"), persona="basic", inputs_hash="x", inputs={}, score=1, criteria=[],
        sentences=[], claims=3, grounded=3, **common,
    )  # fmt: skip
    Summary.objects.create(
        article=article, sentences=[], key_points=[], sentiment=0, claims=5, grounded=5,
        **{**common, "created_at": START - timedelta(days=1), "prompt_version": "0"},
    )  # fmt: skip

    assert grounding(WINDOW.start, WINDOW.end) == {"gpt": (10, 9)}
