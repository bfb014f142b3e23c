from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from alerts import rules
from alerts.models import Alert
from core import clock
from dashboard.shell import shell, shell_of
from tests.factories import make_staff, make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db


def request_of(user, path: str = "/watchlist/"):
    request = RequestFactory().get(path)
    request.user = user
    return request


def test_it_shows_the_tier_and_how_much_of_it_is_used() -> None:
    alice = make_user("alice")
    for _ in range(3):
        make_subscription(alice, make_ticker())

    shown = shell_of(request_of(alice))

    assert (shown.tier, shown.watching, shown.limit, shown.room, shown.filled_percent) == (
        "Free",
        3,
        5,
        2,
        60,
    )
    assert (shown.name, shown.initials) == ("alice", "AL")
    assert [(item.label, item.current, item.count) for item in shown.items] == [
        ("Watchlist", True, 3),
        ("Alerts", False, 0),
        ("News", False, None),
        ("Notifications", False, 0),
    ]


def test_a_ticker_that_is_only_looked_at_is_not_on_the_list() -> None:
    alice = make_user("alice")
    make_subscription(alice, make_ticker())
    make_subscription(alice, make_ticker(), ends_at=clock.now() + timedelta(minutes=5))

    shown = shell_of(request_of(alice))

    assert (shown.watching, shown.room) == (1, 4)
    assert shown.items[0].count == 1


def test_a_user_after_a_downgrade_has_no_room_and_a_full_bar() -> None:
    alice = make_user("alice")
    for _ in range(7):
        make_subscription(alice, make_ticker())

    shown = shell_of(request_of(alice))

    assert (shown.room, shown.filled_percent) == (0, 100)


def test_only_staff_is_led_to_the_costs_and_the_administration() -> None:
    assert [item.label for item in shell_of(request_of(make_staff())).system] == ["Status", "Costs", "Admin"]
    assert [item.label for item in shell_of(request_of(make_user())).system] == ["Status"]


@pytest.mark.parametrize(
    ("path", "current"), [("/watchlist/", True), ("/tickers/AAPL/", True), ("/tickers/", False)]
)
def test_the_current_item_is_that_of_the_page(path, current) -> None:
    assert shell_of(request_of(make_user(), path)).items[0].current is current


def test_an_alert_that_is_over_takes_no_place() -> None:
    alice = make_user("alice")
    make_ticker("AAPL")
    for level in ("600", "610", "620"):
        last = rules.create(alice, {"symbol": "AAPL", "kind": "above", "threshold": level})
    rules.pause(alice, [last.pk - 1])
    Alert.objects.filter(pk=last.pk).update(active=False, last_fired_at=clock.now())

    assert shell_of(request_of(alice)).alerts == 2


def test_a_visitor_has_no_shell() -> None:
    assert shell_of(request_of(AnonymousUser())) is None


def test_a_page_that_does_not_show_it_asks_nothing(django_assert_num_queries) -> None:
    request = request_of(make_user())

    with django_assert_num_queries(0):
        shell(request)
    with django_assert_num_queries(1):
        assert shell(request)["shell"].watching == 0
