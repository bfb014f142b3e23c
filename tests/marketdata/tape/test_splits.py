from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connections

from core import clock
from marketdata import market_hours, splits
from marketdata.baseline import Split
from marketdata.models import CorporateAction
from marketdata.splits import morning_of, split_factor, splits_on, today
from tests.factories import make_ticker
from tests.outages import postgres_switch

DAY = date(2026, 3, 4)


@pytest.mark.parametrize(
    ("split_from", "split_to", "factor"), [("1", "4", "4"), ("50", "1", "0.02"), ("2", "3", "1.5")]
)
def test_prices_are_divided_by_new_shares_for_one_old(split_from, split_to, factor):
    assert split_factor(Decimal(split_from), Decimal(split_to)) == Decimal(factor)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 3, 4, 4, 59, tzinfo=UTC), date(2026, 3, 3)),
        (datetime(2026, 3, 4, 5, 0, tzinfo=UTC), DAY),
        (datetime(2026, 7, 4, 4, 0, tzinfo=UTC), date(2026, 7, 4)),
    ],
)
def test_a_day_begins_at_midnight_in_new_york(monkeypatch, now, day):
    monkeypatch.setattr(clock, "now", lambda: now)

    assert today() == day
    assert morning_of(DAY) == int(datetime(2026, 3, 4, 5, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.django_db
def test_only_this_mornings_splits_of_these_tickers_count():
    tickers = {symbol: make_ticker(symbol) for symbol in ("AAPL", "MSFT", "NVDA", "OTHER")}

    def act(symbol, kind, ex_date=DAY, **fields):
        CorporateAction.objects.create(
            ticker=tickers[symbol], kind=kind, ex_date=ex_date, provider="x", loaded_at=clock.now(), **fields
        )

    act("AAPL", "split", split_from=1, split_to=4)
    act("AAPL", "dividend", amount=1)
    act("MSFT", "split", date(2026, 3, 5), split_from=1, split_to=2)
    act("OTHER", "split", split_from=1, split_to=2)
    ids = {symbol: tickers[symbol].pk for symbol in ("AAPL", "MSFT", "NVDA")}

    assert splits_on(DAY, ids) == {"AAPL": Split(morning_of(DAY), Decimal(4))}


@pytest.mark.django_db(transaction=True)
def test_each_process_reads_todays_splits_with_the_calendar_and_keeps_them_while_the_database_is_away(
    monkeypatch,
):
    monkeypatch.setattr(splits, "_of_today", {})
    monkeypatch.setattr(market_hours, "_read_at", None)
    CorporateAction.objects.create(
        ticker=make_ticker("AAPL"), kind="split", ex_date=today(), provider="x", loaded_at=clock.now(),
        split_from=1, split_to=4,
    )  # fmt: skip
    market_hours.refresh()
    known = dict(splits._of_today)
    connections.close_all()
    with postgres_switch() as postgres:
        postgres.off()
        market_hours.reread()

    assert known == splits._of_today == {"AAPL": Split(morning_of(today()), Decimal(4))}
