"""Lies of every kind through the whole tape, with a split and a real gap: only the real prices are ever shown."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core import clock
from core.database import in_thread
from marketdata.models import CorporateAction, Ticker
from marketdata.quotes import price_text
from marketdata.splits import morning_of, today
from tests.marketdata.hostile import LIES, HostileTape
from tests.marketdata.tape.test_owner import begin, tape, unconnected

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["tape", "unconnected"]

HOUR_US = 3_600_000_000


def announce_split(symbol: str, split_to: int) -> None:
    ticker = Ticker.objects.get(symbol=symbol)
    CorporateAction.objects.create(
        ticker=ticker, kind="split", ex_date=today(), split_from=1, split_to=split_to, provider="x",
        loaded_at=clock.now(),
    )  # fmt: skip


async def test_of_a_hostile_tape_only_the_real_prices_are_ever_shown(tape):
    await tape.watch("AAPL")
    await in_thread(announce_split, "AAPL", 4)
    office = await begin()
    await tape.opens("AAPL")
    morning = morning_of(today())
    hostile = HostileTape(
        "AAPL", "scripted", at_us=morning - HOUR_US, step_us=1000, price="400.00", now_us=clock.now_us(),
        previous_close=Decimal("396.00"),
    )  # fmt: skip

    async def play() -> None:
        for step in ("real", "real", *[step for lie in LIES for step in (lie, lie, "real")]):
            tape.provider.emit(*hostile.play(step))
        await tape.publishes("AAPL", price_text(hostile.price))

    await play()
    hostile.at_us, hostile.price = morning, Decimal("100.10")
    await play()
    hostile.price = Decimal("65.20")
    await play()
    await tape.stores("AAPL", "65.20")

    frames = [json.loads(event["d"]) for event in tape.published("AAPL")]
    assert {frame["p"] for frame in frames} == {"400.00", "100.10", "65.20"}
    assert min(Decimal(frame["cp"]) for frame in frames) > -35
    assert office.term.counts["scripted"].refused == {
        "not_finite": 12, "not_positive": 12, "unit_mistake": 12, "future": 6, "out_of_order": 12, "duplicate": 6,
        "unknown_correction": 6, "taken_back": 6, "outlier_held": 1,
    }  # fmt: skip
    assert office.term.counts["scripted"].accepted == len(hostile.real)
    await office.end()
