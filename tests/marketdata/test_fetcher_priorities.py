"""Who waits for whom: other processes, and others in this one who are more or less important."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core.redis import client
from marketdata import claims, quota
from marketdata.claims import Claim
from marketdata.fetcher import THREADS, BatchFetcher
from marketdata.models import Cause
from marketdata.providers import chain
from marketdata.providers.base import Window
from marketdata.providers.chain import Asking
from marketdata.quota import Priority
from marketdata.quotes import Quote, Reason
from tests.providers import Scripted, make_quote

pytestmark = pytest.mark.django_db(transaction=True)

HELD = Asking(Priority.HELD, Cause.POLL)
VISIBLE = Asking(Priority.VISIBLE)


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    client().flushall()
    # What was told is known for as long as a busy machine may need to hear it.
    monkeypatch.setattr(claims, "CLAIM_MS", 700_000)
    monkeypatch.setattr(claims, "SETTLED_MS", 200_000)
    monkeypatch.setattr(chain, "QUOTE_BUDGET_S", 30.0)


@pytest.fixture
def scarce() -> Scripted:
    """One request is left of its budget, for what somebody looks at."""
    found = Scripted(windows=(Window(10, 60),))
    for _ in range(9):
        quota.take(found, Priority.ALERT)
    return found


@pytest.fixture
def fetcher(scarce) -> Iterator[BatchFetcher]:
    made = BatchFetcher(route=lambda _: (scarce,), store=lambda _: None)
    yield made
    made.close()


@pytest.fixture
def slow() -> Scripted:
    found = Scripted()
    found.answering.clear()
    return found


@pytest.fixture
def waiting(slow) -> Iterator[BatchFetcher]:
    made = BatchFetcher(route=lambda _: (slow,), store=lambda _: None)
    yield made
    slow.answering.set()
    made.close()


def test_what_one_was_refused_is_asked_for_who_is_more_important(fetcher, scarce):
    assert fetcher.fetch(["A"], HELD)["A"].reason is Reason.RATE_LIMITED

    assert isinstance(fetcher.fetch(["A"], VISIBLE)["A"], Quote)


def test_also_where_both_ask_at_the_same_time(fetcher, scarce):
    held = fetcher.begin(["A"], HELD)
    visible = fetcher.begin(["A"], VISIBLE)

    assert held.result()["A"].reason is Reason.RATE_LIMITED
    assert isinstance(visible.result()["A"], Quote)
    assert scarce.requests == [["A"]]


def test_another_processs_outcome_counts_while_our_own_provider_is_slow(waiting, slow):
    theirs = make_quote("B", "7")
    claims.claim(["B"])
    ours = waiting.begin(["A", "B"])
    assert slow.asked.wait(30)

    claims.settle([theirs])

    assert waiting.fetch(["B"], patience_s=30) == {"B": theirs}
    client().delete("quote:claim:B")  # it does not stay
    slow.answering.set()
    assert ours.result()["B"] == theirs
    assert slow.requests == [["A"]]


def test_who_ends_in_the_middle_leaves_no_claim(waiting, slow):
    waiting.begin(["A"])
    assert slow.asked.wait(30)

    waiting.close()

    assert claims.claim(["A"]) == {"A": Claim.MINE}


def test_slow_writes_do_not_hold_up_the_next_fetch():
    """More of them than asyncio would have threads on a small machine."""
    writing = threading.Barrier(THREADS)  # THREADS - 1 writes, and the test
    made = BatchFetcher(route=lambda _: (Scripted(batch=1),), store=lambda _: writing.wait(45) and None)

    for number in range(THREADS - 1):
        assert isinstance(made.fetch([f"S{number}"])[f"S{number}"], Quote)
    writing.wait(45)
    made.close()
