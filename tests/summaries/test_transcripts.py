from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest
from django.db import connections

from config.celery import app
from core.redis import client
from marketdata import cache
from marketdata.company import Speech
from marketdata.errors import NotFound, ProviderDown
from marketdata.providers import registry
from summaries import modelbook, orders, tasks, transcripts
from summaries.kinds import EXTRACTIVE
from summaries.models import EarningsSummary, Order, Transcript
from summaries.transcripts import NotKept
from tests.factories import make_subscription, make_user
from tests.providers import Scripted
from tests.summaries.making import body, ticker
from tests.summaries.telling import Telling, call

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def provider() -> Iterator[Telling]:
    client().flushall()
    cache.forget_memory()
    telling = Telling()
    with registry.override(telling):
        yield telling


@pytest.fixture(autouse=True)
def apple():
    return ticker("AAPL")


@pytest.fixture
def configured(monkeypatch):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "gpt-6-luna")
    monkeypatch.setattr(orders, "wake", lambda: None)


@pytest.fixture
def queued(monkeypatch) -> list[str]:
    symbols: list[str] = []
    monkeypatch.setattr(tasks.load_calls_of, "delay", symbols.append)
    return symbols


def quarters() -> list[tuple[int, int]]:
    return [(row.year, row.quarter) for row in transcripts.of("AAPL")]


def asked_again_in_s() -> int:
    return client().ttl("cache:1:calls:asked:AAPL")


# --- keeping


def test_a_call_is_kept_as_plain_text_by_speaker(apple):
    speeches = (
        Speech("<b>Ada</b> Lee", "<p>We sold more.</p><p>Much more.</p>", "CFO"),
        Speech("Bob", " <br> "),
    )

    row = transcripts.keep(call(speeches=speeches, held_on=date(2026, 1, 29)), "telling")

    assert row.speeches == [{"speaker": "Ada Lee", "role": "CFO", "text": "We sold more.\nMuch more."}]
    assert (row.ticker, row.year, row.quarter, row.held_on) == (apple, 2026, 1, date(2026, 1, 29))
    assert (row.title, row.provider, row.is_fictional) == ("AAPL Q1 2026", "telling", False)
    assert transcripts.text_of(row) == "Ada Lee (CFO): We sold more.\nMuch more."


def test_a_call_has_a_summary_of_its_own_sentences_at_once():
    row = transcripts.keep(call(), "telling")

    assert [one.model for one in row.summaries.all()] == [EXTRACTIVE]


def test_a_models_summary_is_wanted_once(configured):
    row = transcripts.keep(call(), "telling")
    transcripts.keep(call(), "telling")

    assert [(order.transcript, order.symbols) for order in Order.objects.all()] == [(row, ["AAPL"])]


def test_what_was_kept_first_stays():
    first = transcripts.keep_once(call(text="First words."), "telling")
    second = transcripts.keep_once(call(text="Other words."), "other")

    assert (first.is_new, second.is_new) == (True, False)
    assert second.transcript == first.transcript
    assert Transcript.objects.get().speeches[1]["text"] == "First words."


def test_a_fictional_call_gives_way_to_a_real_one_and_never_takes_its_place():
    transcripts.keep(call(text="Fiction."), "demo", fictional=True)
    real = transcripts.keep(call(text="Real."), "telling")
    transcripts.keep(call(text="Fiction."), "demo", fictional=True)

    assert Transcript.objects.get() == real
    assert not real.is_fictional
    assert EarningsSummary.objects.get().transcript == real


def test_the_same_words_in_two_quarters_are_two_contents():
    first = transcripts.keep(call(quarter=1, text="Same words."), "telling")
    second = transcripts.keep(call(quarter=2, text="Same words."), "telling")

    assert first.content_hash != second.content_hash


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (call("NOPE"), "NOPE is no ticker that is known."),
        (call("AAPL\0"), "AAPL is no ticker that is known."),
        (call("AAPL\ud800"), "AAPL is no ticker that is known."),
        (call(quarter=5), "AAPL has no quarter 5 of 2026."),
        (call(year=1907), "AAPL has no quarter 1 of 1907."),
        (call(year=9999), "AAPL has no quarter 1 of 9999."),
        (call(speeches=(Speech("Ada", "<br>"),)), "AAPL, Q1 2026: nobody says anything."),
    ],
)
def test_a_call_that_cannot_be_is_not_kept(told, reason):
    with pytest.raises(NotKept, match=reason.replace(".", r"\.")):
        transcripts.keep(told, "telling")

    assert Transcript.objects.count() == 0


def test_a_call_that_is_longer_than_any_is_cut(monkeypatch):
    monkeypatch.setattr(transcripts, "MOST_CHARS", 12)
    ticker("AAPL")
    said = (Speech("Ada", "We sold"), Speech("Ben", "five things"), Speech("Cy", "today"))

    kept = transcripts.keep(call(speeches=said), "telling")

    assert [one["text"] for one in kept.speeches] == ["We sold", "five"]


def test_calls_are_listed_the_newest_first():
    ticker("MSFT")
    for year, quarter in ((2025, 4), (2026, 2), (2026, 1)):
        transcripts.keep(call(year=year, quarter=quarter), "telling")
    transcripts.keep(call("MSFT"), "telling")

    assert quarters() == [(2026, 2), (2026, 1), (2025, 4)]


# --- buying


def test_the_newest_calls_are_bought_once_for_ever(provider):
    provider.calls = [call(year=2025, quarter=quarter) for quarter in (1, 2, 3, 4)] + [call()]

    assert transcripts.fetch("AAPL") == 4
    client().flushall()
    assert transcripts.fetch("AAPL") == 0

    assert quarters() == [(2026, 1), (2025, 4), (2025, 3), (2025, 2)]
    assert sorted(provider.call_requests) == [
        ("AAPL", 2025, 2),
        ("AAPL", 2025, 3),
        ("AAPL", 2025, 4),
        ("AAPL", 2026, 1),
    ]


def test_the_list_is_asked_for_once_a_day(provider):
    transcripts.fetch("AAPL")
    transcripts.fetch("AAPL")

    assert provider.list_requests == ["AAPL"]
    assert 19 * 3_600 < asked_again_in_s() <= 20 * 3_600


@pytest.mark.parametrize(("failure", "seconds"), [(ProviderDown(), 600), (NotFound(), 20 * 3_600)])
def test_only_what_may_be_told_soon_is_asked_for_soon_after_a_failure(provider, failure, seconds):
    provider.failure = failure

    assert transcripts.fetch("AAPL") == 0

    assert seconds - 60 < asked_again_in_s() <= seconds


def test_a_call_without_a_transcript_is_asked_for_tomorrow_and_costs_no_other(provider):
    provider.calls = [call(year=2025, quarter=4)]
    provider.unwritten = {(2026, 1)}

    assert transcripts.fetch("AAPL") == 1
    assert quarters() == [(2025, 4)]

    client().flushall()
    provider.calls.append(call())
    assert transcripts.fetch("AAPL") == 1
    assert quarters() == [(2026, 1), (2025, 4)]


def test_a_call_that_cannot_be_kept_costs_no_other(provider):
    provider.calls = [call(year=9999), call()]

    assert transcripts.fetch("AAPL") == 1
    assert quarters() == [(2026, 1)]


def test_a_real_call_is_bought_where_there_is_a_fictional_one(provider):
    transcripts.keep(call(text="Fiction."), "demo", fictional=True)
    provider.calls = [call()]

    assert transcripts.fetch("AAPL") == 1

    assert not Transcript.objects.get().is_fictional


def test_a_simulated_provider_tells_fiction(provider):
    provider.capabilities = replace(provider.capabilities, simulated=True)
    provider.calls = [call()]

    transcripts.fetch("AAPL")

    assert Transcript.objects.get().is_fictional


def test_a_call_that_another_process_has_bought_meanwhile_is_not_bought_again(provider):
    provider.calls = [call()]
    transcripts.keep(call(), "other")

    assert not transcripts._buy("AAPL", 2026, 1)
    assert provider.call_requests == []


def test_ten_processes_buy_a_call_once(provider):
    provider.calls = [call(quarter=quarter) for quarter in (1, 2, 3)]
    at_once = threading.Barrier(10)

    def buy(number: int) -> bool:
        try:
            at_once.wait(30)
            return transcripts._buy("AAPL", 2026, number % 3 + 1)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        bought = list(pool.map(buy, range(10)))

    assert sum(bought) == 3
    assert sorted(provider.call_requests) == [("AAPL", 2026, 1), ("AAPL", 2026, 2), ("AAPL", 2026, 3)]
    assert (Transcript.objects.count(), EarningsSummary.objects.count()) == (3, 3)


def test_ten_processes_with_the_same_call_keep_it_once():
    at_once = threading.Barrier(10)

    def keep(number: int) -> bool:
        try:
            at_once.wait(30)
            return transcripts.keep_once(call(text=body(number)), f"vendor{number}").is_new
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(keep, range(10))) == 1

    assert (Transcript.objects.count(), EarningsSummary.objects.count()) == (1, 1)


# --- which, and when


def test_wanted_tickers_are_asked_for_once_a_day(queued):
    ticker("KO")
    make_subscription(make_user(), ticker("MSFT"))
    transcripts.fetch("AAPL")  # a ticker of the demo: everybody wants it

    assert transcripts.fetch_wanted() == 1
    assert queued == ["MSFT"]


def test_nothing_is_queued_where_no_provider_has_transcripts(queued):
    with registry.override(Scripted()):
        assert transcripts.fetch_wanted() == 0

    assert queued == []


def test_the_periodic_task_leads_to_transcripts(provider):
    provider.calls = [call()]
    app.conf.task_always_eager = True
    try:
        tasks.load_calls()
    finally:
        app.conf.task_always_eager = False

    assert quarters() == [(2026, 1)]
