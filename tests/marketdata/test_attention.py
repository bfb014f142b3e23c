from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock, metrics
from core.redis import client
from marketdata import attention
from tests.outages import redis_away


@pytest.fixture(autouse=True)
def _nobody_looks():
    client().delete(attention.LOOKED_KEY)
    attention.forget()
    yield
    attention.forget()


def age_by(seconds: int) -> None:
    """Everything told so far was told so much earlier."""
    for symbol, _ in client().zscan_iter(attention.LOOKED_KEY):
        client().zincrby(attention.LOOKED_KEY, -seconds, symbol)


def test_what_is_looked_at_is_known_to_every_process():
    attention.look(["AAPL", "BRK.B"])
    attention.look(["AAPL"])

    assert attention.looked_at() == {"AAPL", "BRK.B"}


def test_nobody_looks_at_anything_in_the_beginning():
    assert attention.looked_at() == set()


def test_looking_ends_when_it_is_not_told_again():
    attention.look(["AAPL"])
    age_by(16)
    attention.look(["MSFT"])
    assert attention.looked_at() == {"AAPL", "MSFT"}

    age_by(16)

    assert attention.looked_at() == {"MSFT"}
    assert attention.looked_at(timedelta(minutes=1)) == {"AAPL", "MSFT"}


def test_a_process_tells_the_same_ticker_every_few_seconds_only(monkeypatch):
    start = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: start)
    attention.look(["AAPL"])
    client().delete(attention.LOOKED_KEY)

    attention.look(["AAPL", "MSFT"])
    assert attention.looked_at() == {"MSFT"}

    monkeypatch.setattr(clock, "monotonic", lambda: start + attention.TOLD_FOR_S)
    attention.look(["AAPL"])
    assert attention.looked_at() == {"AAPL", "MSFT"}


def test_what_nobody_has_looked_at_for_long_is_forgotten():
    attention.look(["AAPL"])
    age_by(attention.FORGOTTEN_AFTER_S + 1)

    attention.look(["MSFT"])

    assert client().zcard(attention.LOOKED_KEY) == 1


def test_any_number_of_tickers_can_be_told():
    symbols = {f"S{number}" for number in range(2_500)}

    attention.look(symbols)

    assert attention.looked_at() == symbols


def test_without_redis_it_is_counted_and_told_again_as_soon_as_it_is_back():
    failures = metrics.redis_failures.labels(used_by="attention")._value.get
    before = failures()
    with redis_away():
        attention.look(["AAPL"])
        assert attention.looked_at() == set()
    assert failures() == before + 2

    attention.look(["AAPL"])

    assert attention.looked_at() == {"AAPL"}
