"""The oracle must find what is wrong: a verdict that is always good proves nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from benchmarks.storm import oracle
from benchmarks.storm.clients import UNWATCH, WATCH, Deed
from subscriptions import watchlist
from subscriptions.models import Subscription, WatchInterval
from tests.factories import make_ticker, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    return make_user("alice")


@pytest.fixture
def ticker():
    return make_ticker("ACME")


def watched(user, ticker, *, sent: float = 1.0) -> Deed:
    watchlist.watch(user, [ticker])
    return Deed(WATCH, user.pk, (ticker.pk,), 1, sent, sent + 0.1)


def judge(deeds, user, limit: int = 5):
    return oracle.judge(deeds, {user.pk: limit})


def test_what_was_asked_for_and_is_there_is_right(alice, ticker):
    findings = judge([watched(alice, ticker)], alice)

    assert (findings.drift, findings.over_limit) == (0, set())


def test_a_row_that_vanished_is_found(alice, ticker):
    deeds = [watched(alice, ticker)]
    Subscription.objects.all().delete()

    assert judge(deeds, alice).drift > 0


def test_a_row_that_nobody_asked_for_is_found(alice, ticker):
    watchlist.watch(alice, [ticker])

    assert judge([], alice).drift > 0


def test_a_row_that_stayed_after_it_was_said_to_be_gone_is_found(alice, ticker):
    deeds = [watched(alice, ticker), Deed(UNWATCH, alice.pk, (ticker.pk,), 1, 2.0, 2.1)]

    assert judge(deeds, alice).drift > 0


def test_of_two_simultaneous_operations_either_may_have_been_last(alice, ticker):
    deeds = [watched(alice, ticker), Deed(UNWATCH, alice.pk, (ticker.pk,), 0, 1.05, 1.2)]

    assert judge(deeds, alice).drift == 0


def test_an_interval_without_its_row_is_found(alice, ticker):
    deeds = [watched(alice, ticker)]
    WatchInterval.objects.update(ended_at=timezone.now())

    assert judge(deeds, alice).drift > 0


def test_an_interval_that_ends_before_it_begins_is_found(alice, ticker):
    deeds = [watched(alice, ticker), Deed(UNWATCH, alice.pk, (ticker.pk,), 1, 2.0, 2.1)]
    watchlist.unwatch(alice, [ticker])
    assert judge(deeds, alice).drift == 0

    interval = WatchInterval.objects.get()
    WatchInterval.objects.update(ended_at=interval.started_at - timedelta(milliseconds=1))

    assert judge(deeds, alice).drift > 0


def test_who_was_above_the_limit_for_a_moment_is_found(alice):
    deeds = []
    for number, symbol in enumerate(["A", "B"]):
        deeds.append(watched(alice, make_ticker(symbol), sent=number))
    ticker_ids = [deed.tickers for deed in deeds]
    watchlist.unwatch(alice, [row.ticker for row in Subscription.objects.select_related("ticker")])
    deeds += [Deed(UNWATCH, alice.pk, ids, 1, 5.0, 5.1) for ids in ticker_ids]

    assert judge(deeds, alice, limit=2).over_limit == set()
    assert judge(deeds, alice, limit=1).over_limit == {alice.pk}
