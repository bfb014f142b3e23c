from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core import metrics
from core.redis import client
from marketdata.errors import Kind
from marketdata.models import Cause
from marketdata.providers import attempts
from marketdata.providers.attempts import RECENT_KEY, Attempt, Skip
from marketdata.providers.chain import Asking
from marketdata.providers.registry import Purpose
from marketdata.quota import Priority
from tests.outages import redis_away

FINE = Attempt("main", 1, Kind.OK)
DOWN = Attempt("main", 1, Kind.TRANSIENT, detail="main answered 500", took_s=0.1234)
NEXT = Attempt("next", 1, Kind.OK)
SEEDING = Asking(Priority.HELD, Cause.POLL)


@pytest.fixture(autouse=True)
def empty():
    client().flushall()


def remember(*tried: Attempt, symbols=("AAPL",)) -> None:
    attempts.remember(Purpose.QUOTES, SEEDING, symbols, tried)


@pytest.mark.parametrize("tried", [(), (FINE,), (FINE, FINE, FINE)])
def test_what_was_plainly_fine_is_not_remembered(tried):
    remember(*tried)

    assert attempts.recent() == []


@pytest.mark.parametrize(
    "tried",
    [(DOWN,), (DOWN, NEXT), (FINE, NEXT), (Attempt("main", 1, skip=Skip.NO_QUOTA), NEXT), (FINE, DOWN)],
)
def test_whatever_else_happened_is_remembered(tried):
    remember(*tried)

    assert len(attempts.recent()[0]["attempts"]) == len(tried)


def test_an_entry_says_who_was_asked_why_and_what_came_of_it():
    moment = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
    remember(Attempt("main", 1, skip=Skip.CIRCUIT_OPEN, detail="main failed lately", retry_at=moment), DOWN)

    (entry,) = attempts.recent()

    assert datetime.fromisoformat(entry.pop("at")).tzinfo
    assert entry == {
        "purpose": "quotes",
        "priority": "held",
        "cause": "poll",
        "symbols": ["AAPL"],
        "more": 0,
        "attempts": [
            {
                "provider": "main", "parts": 1, "symbols": 1, "outcome": "circuit_open", "skipped": True,
                "detail": "main failed lately", "retry_at": "2026-03-04T15:00:00+00:00", "took_ms": 0.0,
            },
            {
                "provider": "main", "parts": 1, "symbols": 1, "outcome": "transient", "skipped": False,
                "detail": "main answered 500", "retry_at": None, "took_ms": 123.4,
            },
        ],
    }  # fmt: skip


def test_parts_that_ended_alike_are_one_entry():
    late = Attempt("main", 3, Kind.TRANSIENT, detail="main answered 500", took_s=0.5)
    remember(DOWN, NEXT, late, NEXT)

    (entry,) = attempts.recent()

    assert [(one["provider"], one["parts"], one["symbols"], one["took_ms"]) for one in entry["attempts"]] == [
        ("main", 2, 4, 500.0),
        ("next", 2, 2, 0.0),
    ]


def test_of_many_symbols_a_few_are_shown():
    remember(DOWN, symbols=[f"S{n}" for n in range(12)])

    (entry,) = attempts.recent()
    assert (entry["symbols"], entry["more"]) == (["S0", "S1", "S2", "S3", "S4"], 7)


def test_the_newest_are_first_and_the_oldest_go(monkeypatch):
    monkeypatch.setattr(attempts, "RECENT", 3)
    for number in range(5):
        remember(DOWN, symbols=[f"S{number}"])

    assert [entry["symbols"] for entry in attempts.recent(10)] == [["S4"], ["S3"], ["S2"]]
    assert client().llen(RECENT_KEY) == 3


def test_three_hundred_are_kept():
    assert attempts.RECENT == 300


def test_without_redis_nothing_is_remembered_and_it_is_counted():
    failures = metrics.redis_failures.labels(used_by="attempts")._value.get
    before = failures()

    with redis_away():
        remember(DOWN)

    assert failures() == before + 1
