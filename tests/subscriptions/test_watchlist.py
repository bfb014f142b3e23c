from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from accounts.models import User
from accounts.plan_changes import change_tier
from subscriptions import watchlist
from subscriptions.errors import TierLimit
from subscriptions.models import Subscription, WatchInterval
from tests.factories import make_ticker, make_user


def open_intervals(user: User) -> set[int]:
    return set(
        WatchInterval.objects.filter(user=user, ended_at__isnull=True).values_list("ticker_id", flat=True)
    )


def rows(user: User) -> set[int]:
    return set(Subscription.objects.active().filter(user=user).values_list("ticker_id", flat=True))


@pytest.mark.django_db
def test_watching_twice_is_one_row_and_one_interval():
    user, ticker = make_user(), make_ticker()

    watchlist.watch(user, [ticker])
    first = Subscription.objects.get()
    watchlist.watch(user, [ticker])

    again = Subscription.objects.get()
    assert again.subscribed_at == first.subscribed_at
    assert again.last_accessed >= first.last_accessed
    assert WatchInterval.objects.count() == 1


@pytest.mark.django_db
def test_a_stranger_cannot_unwatch_for_somebody_else():
    alice, charlie, ticker = make_user(), make_user(), make_ticker()
    watchlist.watch(alice, [ticker])

    assert watchlist.unwatch(charlie, [ticker]) == 0
    assert rows(alice) == {ticker.pk}


@pytest.mark.django_db
def test_unwatch_closes_the_interval_and_watching_again_opens_a_new_one():
    user, ticker = make_user(), make_ticker()
    watchlist.watch(user, [ticker])

    assert watchlist.unwatch(user, [ticker]) == 1
    assert watchlist.unwatch(user, [ticker]) == 0
    closed = WatchInterval.objects.get()
    watchlist.watch(user, [ticker])

    assert closed.ended_at is not None
    assert WatchInterval.objects.count() == 2
    assert open_intervals(user) == {ticker.pk}


@pytest.mark.django_db
@pytest.mark.parametrize(("tier", "limit"), [("free", 5), ("pro", 10), ("expert", 20)])
def test_the_tier_decides_how_many(tier, limit):
    user = make_user(tier=tier)
    watchlist.watch(user, [make_ticker() for _ in range(limit)])
    one_more = make_ticker()

    with pytest.raises(TierLimit) as refused:
        watchlist.watch(user, [one_more])

    assert (refused.value.limit, refused.value.watched, refused.value.symbols) == (
        limit,
        limit,
        [one_more.symbol],
    )
    assert watchlist.count(user) == limit


@pytest.mark.django_db
def test_several_tickers_are_watched_all_or_none():
    user = make_user()
    watchlist.watch(user, [make_ticker() for _ in range(3)])

    with pytest.raises(TierLimit):
        watchlist.watch(user, [make_ticker() for _ in range(3)])

    assert watchlist.count(user) == 3
    assert len(open_intervals(user)) == 3


@pytest.mark.django_db
def test_a_full_watchlist_may_be_watched_again():
    user = make_user()
    tickers = [make_ticker() for _ in range(5)]
    watchlist.watch(user, tickers)

    watchlist.watch(user, tickers)

    assert watchlist.count(user) == 5


def soon(seconds: float = 60) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


@pytest.mark.django_db
def test_a_streamed_ticker_counts_until_it_ends_and_may_become_lasting():
    user = make_user()
    tickers = [make_ticker() for _ in range(5)]
    watchlist.watch(user, tickers, until=soon())
    with pytest.raises(TierLimit):
        watchlist.watch(user, [make_ticker()], until=soon())

    watchlist.watch(user, tickers[:1])
    Subscription.objects.filter(ends_at__isnull=False).update(ends_at=soon(-1))

    assert rows(user) == {tickers[0].pk}
    watchlist.watch(user, tickers[1:2], until=soon())
    watchlist.watch(user, tickers[:1], until=soon())
    assert [row.ticker_id for row in watchlist.watched(user)] == [tickers[0].pk]


@pytest.mark.django_db
def test_the_watchlist_takes_the_place_of_the_oldest_streamed_tickers():
    user = make_user()
    streamed = [make_ticker() for _ in range(4)]
    lasting = [make_ticker() for _ in range(3)]
    for ticker in streamed:
        watchlist.watch(user, [ticker], until=soon())

    watchlist.watch(user, lasting)

    assert rows(user) == {ticker.pk for ticker in [*streamed[2:], *lasting]} == open_intervals(user)
    with pytest.raises(TierLimit):
        watchlist.watch(user, [make_ticker() for _ in range(3)])
    assert watchlist.count(user) == 5


@pytest.mark.django_db
def test_stopping_to_stream_lets_it_run_out_within_half_a_minute_and_leaves_the_watchlist_alone():
    user, lasting, streamed = make_user(), make_ticker(), make_ticker()
    watchlist.watch(user, [lasting])
    watchlist.watch(user, [streamed], until=soon(600))

    assert watchlist.stop_streaming(user.pk, [lasting.pk, streamed.pk]) == 1

    ends = dict(Subscription.objects.values_list("ticker_id", "ends_at"))
    assert ends[lasting.pk] is None
    assert soon(20) < ends[streamed.pk] <= soon(30)


@pytest.mark.django_db
def test_what_runs_out_makes_room_for_another_streamed_ticker_at_once():
    user = make_user()
    streamed = [make_ticker() for _ in range(5)]
    another = make_ticker()
    watchlist.watch(user, streamed, until=soon(600))
    watchlist.stop_streaming(user.pk, [streamed[3].pk])

    watchlist.watch(user, [another], until=soon(600))

    assert (
        rows(user) == {ticker.pk for ticker in [*streamed[:3], streamed[4], another]} == open_intervals(user)
    )


@pytest.mark.django_db
def test_a_refusal_names_what_is_new_only_and_how_many_are_in_use():
    user = make_user()
    mine = [make_ticker() for _ in range(5)]
    new = make_ticker()
    watchlist.watch(user, mine)

    with pytest.raises(TierLimit) as refused:
        watchlist.watch(user, [mine[0], new])

    assert (refused.value.watched, refused.value.symbols) == (5, [new.symbol])
    assert f"5 are in use: {new.symbol} not added" in str(refused.value)


@pytest.mark.django_db
def test_a_tier_that_changed_after_the_user_was_loaded_counts():
    user = make_user(tier="pro")
    User.objects.filter(pk=user.pk).update(tier="free")

    with pytest.raises(TierLimit) as refused:
        watchlist.watch(user, [make_ticker() for _ in range(6)])

    assert (refused.value.tier, refused.value.limit) == ("free", 5)


@pytest.mark.django_db
def test_nothing_is_granted_to_somebody_who_was_deactivated():
    user = make_user()
    User.objects.update(is_active=False)

    with pytest.raises(User.DoesNotExist):
        watchlist.watch(user, [make_ticker()])
    assert not Subscription.objects.exists()


@pytest.mark.django_db
def test_expired_rows_go_and_their_interval_ends_when_they_did():
    user, ticker = make_user(), make_ticker()
    watchlist.watch(user, [ticker], until=timezone.now() + timedelta(minutes=1))
    ended = timezone.now() - timedelta(seconds=5)
    Subscription.objects.update(ends_at=ended)

    assert watchlist.end_expired() == 1
    assert WatchInterval.objects.get().ended_at == ended
    assert not Subscription.objects.exists()


@pytest.mark.django_db
def test_a_row_that_ran_out_and_is_wanted_again_leaves_a_gap_between_its_intervals():
    user, ticker = make_user(), make_ticker()
    watchlist.watch(user, [ticker], until=timezone.now() + timedelta(minutes=1))
    ended = timezone.now() - timedelta(seconds=5)
    Subscription.objects.update(ends_at=ended)

    watchlist.watch(user, [ticker], until=timezone.now() + timedelta(minutes=1))

    first, second = WatchInterval.objects.order_by("started_at")
    assert (first.ended_at, second.ended_at) == (ended, None)


@pytest.mark.django_db(transaction=True)
def test_a_downgrade_sends_the_newest_to_sleep_and_an_upgrade_wakes_them():
    user = make_user(tier="pro")
    tickers = [make_ticker() for _ in range(7)]
    for ticker in tickers:
        watchlist.watch(user, [ticker])

    change_tier(user, "free")
    assert rows(user) == {ticker.pk for ticker in tickers[:5]} == open_intervals(user)
    assert [row.dormant for row in watchlist.watched(user)] == [False] * 5 + [True] * 2

    change_tier(user, "expert")
    assert rows(user) == {ticker.pk for ticker in tickers} == open_intervals(user)


@pytest.mark.django_db(transaction=True)
def test_fifty_attempts_at_once_on_a_limit_of_five_leave_five():
    user = make_user()
    tickers = [make_ticker() for _ in range(50)]

    def attempt(ticker) -> bool:
        try:
            watchlist.watch(user, [ticker])
        except TierLimit:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, tickers))

    assert sum(outcomes) == 5
    assert len(rows(user)) == 5
    assert rows(user) == open_intervals(user)


@pytest.mark.django_db(transaction=True)
def test_overlapping_bulks_in_any_order_end_without_a_deadlock():
    users = [make_user(tier="expert") for _ in range(4)]
    tickers = [make_ticker() for _ in range(8)]

    def storm(number: int) -> None:
        order = tickers[::-1] if number % 2 else tickers
        try:
            for _ in range(10):
                watchlist.watch(users[number % 4], order)
                watchlist.unwatch(users[(number + 1) % 4], order)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(storm, range(8)))

    for user in users:
        assert rows(user) == open_intervals(user)


@pytest.mark.django_db(transaction=True)
def test_ending_what_expired_passes_by_a_user_who_is_busy():
    """It would wait for rows of a user who waits for others of them: a deadlock."""
    busy, idle = make_user(), make_user()
    ticker = make_ticker()
    for user in (busy, idle):
        watchlist.watch(user, [ticker], until=soon())
    Subscription.objects.update(ends_at=soon(-1))

    def end() -> int:
        try:
            return watchlist.end_expired()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            User.objects.select_for_update(no_key=True).get(pk=busy.pk)
            assert pool.submit(end).result(timeout=30) == 1
        assert list(Subscription.objects.values_list("user_id", flat=True)) == [busy.pk]
        assert pool.submit(end).result(timeout=30) == 1


@pytest.mark.django_db(transaction=True)
def test_ending_what_expires_while_it_is_watched_and_renewed_is_no_deadlock():
    users = [make_user(tier="expert") for _ in range(3)]
    tickers = [make_ticker() for _ in range(8)]

    def storm(number: int) -> None:
        user = users[number % 3]
        try:
            for _ in range(15):
                watchlist.watch(user, tickers, until=soon(0.001))
                watchlist.end_expired()
                watchlist.stop_streaming(user.pk, [ticker.pk for ticker in tickers[::-1]])
                watchlist.unwatch(user, tickers[::-1])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(storm, range(6)))


@pytest.mark.django_db(transaction=True)
def test_a_downgrade_ends_streamed_tickers_before_it_sends_watched_ones_to_sleep():
    user = make_user(tier="pro")
    streamed, lasting = [[make_ticker() for _ in range(number)] for number in (3, 4)]
    watchlist.watch(user, streamed, until=soon())
    watchlist.watch(user, lasting)
    User.objects.filter(pk=user.pk).update(tier="free")

    assert watchlist.trim_all() == 1

    assert rows(user) == {ticker.pk for ticker in [streamed[0], *lasting]} == open_intervals(user)
    assert watchlist.trim_all() == 0


@pytest.mark.django_db(transaction=True)
def test_a_change_of_demand_wakes_the_tape(monkeypatch):
    user, ticker = make_user(), make_ticker()
    woken = []
    monkeypatch.setattr("marketdata.demand.changed", lambda: woken.append(1))

    watchlist.watch(user, [ticker])
    watchlist.unwatch(user, [ticker])

    assert woken == [1, 1]


@pytest.mark.django_db(transaction=True)
def test_a_change_of_tier_whose_signal_was_lost_is_found_again():
    user, content = make_user(tier="pro"), make_user(tier="pro")
    tickers = [make_ticker() for _ in range(7)]
    watchlist.watch(user, tickers)
    watchlist.watch(content, tickers)
    User.objects.filter(pk=user.pk).update(tier="free")

    assert watchlist.trim_all() == 1
    assert len(rows(user)) == 5
    assert watchlist.trim_all() == 0
    User.objects.filter(pk=user.pk).update(tier="pro")
    assert watchlist.trim_all() == 1
    assert rows(user) == rows(content) == open_intervals(user)
