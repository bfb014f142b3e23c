from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock, metrics
from marketdata import day_bars, store
from marketdata.models import CorporateAction, DailyBar
from marketdata.quotes import Bar
from tests.factories import make_ticker

pytestmark = pytest.mark.django_db

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_partitions():
    store._made.clear()


def bars(*closes):
    return [
        Bar("VOD.L", FIRST + timedelta(days=i), *[Decimal(close)] * 4, 1000) for i, close in enumerate(closes)
    ]


def stored():
    return [float(bar.close) for bar in DailyBar.objects.order_by("day")]


def test_days_in_another_unit_are_stored_put_right_and_counted(caplog):
    make_ticker("VOD.L")
    before = metrics.unit_flips._value.get()

    assert day_bars.keep("VOD.L", bars(70, 71, 7100, 7200, 72, 71, 70)) == 7

    assert stored() == [70, 71, 71, 72, 72, 71, 70]
    assert metrics.unit_flips._value.get() == before + 2
    assert "VOD.L: 2 days from 2024-01-03 on" in caplog.text


def test_a_known_reverse_split_is_stored_as_it_came():
    CorporateAction.objects.create(
        ticker=make_ticker("VOD.L"),
        kind="split",
        ex_date=FIRST.date() + timedelta(days=5),
        split_from=100,
        split_to=1,
        provider="alpaca",
        loaded_at=clock.now(),
    )

    day_bars.keep("VOD.L", bars(70, 71, 72, 71, 70, 7000))

    assert stored()[-1] == 7000


def test_nothing_is_kept_of_nothing():
    assert day_bars.keep("VOD.L", []) == 0
