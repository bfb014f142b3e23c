from __future__ import annotations

import pytest

from accounts.models import User
from subscriptions import watchlist
from subscriptions.errors import TierLimit
from subscriptions.models import Subscription
from tests.factories import make_ticker, make_user
from tests.subscriptions.grants import grant

pytestmark = [pytest.mark.django_db]


def test_demo_tickers_cost_a_logged_in_user_no_place(settings):
    settings.DEMO_SYMBOLS = ["DEMO"]
    user = make_user()
    make_ticker("DEMO")
    watchlist.watch(user, [make_ticker() for _ in range(5)])

    granted = grant(user.pk, ["DEMO"])

    assert (granted.symbols, granted.temporary) == (["DEMO"], {})
    assert watchlist.count(user) == 5


def test_what_is_neither_watched_nor_demo_takes_a_place():
    user, ticker = make_user(), make_ticker("NVDA")

    assert grant(user.pk, ["NVDA"]).temporary == {"NVDA": ticker.pk}
    # Again, as another connection of the same user does.
    assert grant(user.pk, ["NVDA"]).temporary == {"NVDA": ticker.pk}
    assert watchlist.count(user) == 1


def test_a_retired_ticker_goes_on_for_who_watches_it_and_is_given_to_nobody_else(settings):
    settings.DEMO_SYMBOLS = ["OLD"]
    watcher, other, old = make_user(), make_user(), make_ticker("OLD")
    watchlist.watch(watcher, [old])
    old.is_active = False
    old.save()

    assert grant(watcher.pk, ["OLD"]).symbols == ["OLD"]
    assert grant(other.pk, ["OLD"]).unknown == ["OLD"]
    assert grant(None, ["OLD"]).unknown == ["OLD"]
    assert Subscription.objects.count() == 1


def test_a_refused_grant_changes_nothing():
    user = make_user()
    watchlist.watch(user, [make_ticker() for _ in range(5)])
    make_ticker("NVDA")

    with pytest.raises(TierLimit):
        grant(user.pk, ["NVDA"])


def test_nothing_is_granted_to_a_deactivated_user():
    user = make_user(is_active=False)
    make_ticker("NVDA")

    with pytest.raises(User.DoesNotExist):
        grant(user.pk, ["NVDA"])
