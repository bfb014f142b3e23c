from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.utils import timezone

from accounts.credentials import Login
from accounts.models import ApiKey, User
from marketdata.models import Ticker
from subscriptions import renewal, streaming, watchlist
from subscriptions.models import Subscription
from subscriptions.renewal import Held
from tests.accounts.keys import make_api_key
from tests.factories import PASSWORD, make_ticker, make_user
from tests.subscriptions.grants import grant

pytestmark = [pytest.mark.django_db]


def held(
    user: User,
    *tickers: Ticker,
    temporary: tuple[Ticker, ...] = (),
    session: str = "",
    api_key: int | None = None,
) -> Held:
    symbols = frozenset(ticker.symbol for ticker in [*tickers, *temporary])
    login = Login(user.pk, user.tier, session_key=session, api_key_id=api_key)
    return Held(login, symbols, {ticker.symbol: ticker.pk for ticker in temporary})


def stream(user: User, *tickers: Ticker) -> Held:
    granted = grant(user.pk, [ticker.symbol for ticker in tickers])
    return Held(Login(user.pk, user.tier), frozenset(granted.symbols), granted.temporary)


def lost(one: Held) -> list[tuple[str, list[str]]]:
    (verdict,) = renewal.review([one])
    assert verdict.ended is None
    return [(refused.code, refused.symbols) for refused in verdict.lost]


def remaining() -> timedelta:
    ends_at = Subscription.objects.get().ends_at
    assert ends_at is not None
    return ends_at - timezone.now()


def test_renewal_comes_before_a_row_that_was_given_up_has_run_out():
    assert renewal.RENEW_EVERY_S <= 20


def test_of_two_tabs_on_one_ticker_the_second_keeps_it_when_the_first_is_closed():
    user, ticker = make_user(), make_ticker()
    first, second = stream(user, ticker), stream(user, ticker)

    streaming.give_up(user.pk, first.temporary.values())
    assert remaining() < timedelta(seconds=31)

    assert lost(second) == []
    assert remaining() > timedelta(minutes=9)


def test_a_streamed_row_that_went_is_made_again():
    user, ticker = make_user(), make_ticker()
    one = stream(user, ticker)
    watchlist.unwatch(user, [ticker])

    assert lost(one) == []
    assert remaining() > timedelta(minutes=9)


def test_one_that_ran_out_is_made_again():
    user, ticker = make_user(), make_ticker()
    one = stream(user, ticker)
    Subscription.objects.update(ends_at=timezone.now() - timedelta(seconds=1))

    assert lost(one) == []
    assert remaining() > timedelta(minutes=9)


def test_where_the_watchlist_took_the_place_the_stream_ends_and_is_told_so():
    user, ticker = make_user(), make_ticker()
    one = stream(user, ticker)
    watchlist.watch(user, [make_ticker() for _ in range(5)])

    assert lost(one) == [("tier_limit", [ticker.symbol])]


def test_what_left_the_watchlist_or_fell_asleep_is_lost_and_the_rest_goes_on(settings):
    settings.DEMO_SYMBOLS = ["DEMO"]
    user, demo = make_user(tier="pro"), make_ticker("DEMO")
    tickers = [make_ticker() for _ in range(7)]
    for ticker in tickers:
        watchlist.watch(user, [ticker])
    one = held(user, demo, *tickers)
    assert lost(one) == []

    watchlist.unwatch(user, tickers[:1])
    User.objects.update(tier="free")
    watchlist.trim_all()

    assert lost(one) == [("tier_limit", [tickers[6].symbol]), ("not_watched", [tickers[0].symbol])]


def test_a_streamed_ticker_that_came_to_the_watchlist_stays_there():
    user, ticker = make_user(), make_ticker()
    one = stream(user, ticker)
    watchlist.watch(user, [ticker])

    assert lost(one) == []
    assert Subscription.objects.get().ends_at is None


@pytest.fixture
def alice() -> User:
    return make_user("alice", password=PASSWORD)


@pytest.fixture
def browser(alice: User) -> Browser:
    browser = Browser()
    browser.force_login(alice)
    return browser


def is_ended(user: User, browser_key: str = "", api_key: int | None = None) -> bool:
    (verdict,) = renewal.review([held(user, session=browser_key, api_key=api_key)])
    return verdict.ended is not None and verdict.ended.code == "session_ended"


def test_a_login_ends_with_its_session(alice, browser):
    key = browser.session.session_key
    assert not is_ended(alice, key)

    browser.logout()

    assert is_ended(alice, key)


def test_a_session_that_ran_out_is_no_login(alice, browser):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))

    assert is_ended(alice, browser.session.session_key)


def test_a_new_password_ends_the_other_logins(alice, browser):
    key = browser.session.session_key
    alice.set_password("another-horse-8")
    alice.save()

    assert is_ended(alice, key)


def test_a_session_of_somebody_else_is_no_login(browser):
    assert is_ended(make_user("bob"), browser.session.session_key)


def test_a_deactivated_or_deleted_user_is_logged_out_everywhere(alice, browser):
    key = browser.session.session_key
    get_user_model().objects.update(is_active=False)
    assert is_ended(alice, key)
    assert is_ended(alice)

    get_user_model().objects.all().delete()
    assert is_ended(alice, key)


def test_a_revoked_key_ends_what_came_in_with_it_and_nothing_else(alice, browser):
    key, _ = make_api_key(alice)
    assert not is_ended(alice, api_key=key.pk)

    ApiKey.objects.update(revoked_at=timezone.now())

    assert is_ended(alice, api_key=key.pk)
    assert not is_ended(alice, browser.session.session_key)


def test_an_ended_login_is_not_renewed():
    user, ticker = make_user(), make_ticker()
    one = stream(user, ticker)
    watchlist.unwatch(user, [ticker])
    User.objects.update(is_active=False)

    (verdict,) = renewal.review([one])

    assert verdict.ended
    assert not Subscription.objects.exists()


def test_any_number_of_connections_costs_the_same_number_of_queries(django_assert_num_queries):
    ticker = make_ticker()
    many = [stream(make_user(), ticker) for _ in range(7)]
    with django_assert_num_queries(3):
        renewal.review(many)
    for number, one in enumerate(many):
        browser, user = Browser(), User.objects.get(pk=one.login.user_id)
        browser.force_login(user)
        ways = {"session_key": browser.session.session_key}, {"api_key_id": make_api_key(user)[0].pk}
        many[number] = replace(one, login=Login(user.pk, user.tier, **ways[number % 2]))
    with django_assert_num_queries(5):
        assert [verdict.ended for verdict in renewal.review(many)] == [None] * 7
    with django_assert_num_queries(0):
        assert renewal.review([]) == []
