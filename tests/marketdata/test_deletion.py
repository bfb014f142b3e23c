"""A ticker is deleted while somebody writes for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction
from django.db.models.signals import post_delete

from marketdata import store
from marketdata.models import MinuteBar, Quote, Ticker
from marketdata.quotes import Bar
from tests.factories import make_ticker
from tests.providers import make_quote

pytestmark = pytest.mark.django_db(transaction=True)

# Not for another run's transaction in the same server.
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
BAR = Bar("GONE", datetime(2026, 3, 2, tzinfo=UTC), *[Decimal(1)] * 4, 1)


def with_own_connection(write: Callable[[], int]) -> int:
    try:
        return write()
    finally:
        connections.close_all()


def wait_until_somebody_waits_for_us(writing: Future[int]) -> None:
    """Or is done, where nobody has to wait."""
    while not writing.done():
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return


@pytest.mark.parametrize("what", ["bars", "ticked", "fetched"])
def test_a_write_for_a_ticker_that_is_deleted_meanwhile_leaves_it_out(what):
    ids = {"GONE": make_ticker("GONE").pk, "AAPL": make_ticker("AAPL").pk}
    quotes = [make_quote(symbol, epoch=1, seq=1) for symbol in ids]
    write = {
        "bars": lambda: store.past_deletions(lambda: store.store_minute_bars([BAR], ids)),
        "ticked": lambda: store.past_deletions(lambda: store.store_ticked(quotes, ids)),
        "fetched": lambda: store.store_fetched(quotes, ids),
    }[what]

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Ticker.objects.get(symbol="GONE").delete()
            writing = pool.submit(with_own_connection, write)
            wait_until_somebody_waits_for_us(writing)
        assert writing.result(20) == {"bars": 0}.get(what, 1)

    assert list(Quote.objects.values_list("ticker__symbol", flat=True)) == (
        [] if what == "bars" else ["AAPL"]
    )
    assert not MinuteBar.objects.exists()


def test_a_bar_that_is_written_in_the_middle_of_a_deletion_does_not_stop_it():
    ticker = make_ticker("GONE")
    writing: list[Future[int]] = []

    def write(**_: object) -> None:
        """Everything that hangs on the ticker is deleted, the ticker itself is about to be."""
        task = pool.submit(
            with_own_connection,
            lambda: store.past_deletions(lambda: store.store_minute_bars([BAR], {"GONE": ticker.pk})),
        )
        wait_until_somebody_waits_for_us(task)
        writing.append(task)

    Quote.objects.create(ticker=ticker, **{
        name: getattr(make_quote("GONE"), name) for name in ("price", "as_of", "received_at", "expires_at", "provider")
    })  # fmt: skip
    post_delete.connect(write, sender=Quote)
    try:
        with ThreadPoolExecutor(1) as pool:
            Ticker.objects.get(symbol="GONE").delete()
            assert writing[0].result(20) == 0
    finally:
        post_delete.disconnect(write, sender=Quote)

    assert not Ticker.objects.exists()
