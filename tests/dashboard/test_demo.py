from __future__ import annotations

import io
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.management import call_command

from accounts.models import User
from alerts.models import Alert
from alerts.states import state_of
from core import clock
from dashboard import demo, demo_alerts
from dashboard.management.commands.loaddemo import table
from marketdata import fundamentals
from marketdata.errors import NotFound
from marketdata.lookup import get_quotes
from marketdata.models import Ticker
from marketdata.providers import registry
from marketdata.quotes import NoQuote, Reason
from subscriptions.watchlist import count, watched
from summaries.models import Article, Transcript
from tests.factories import make_user
from tests.providers import Scripted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """On a busy machine prices come late."""
    monkeypatch.setattr(demo_alerts, "PATIENCE_S", 40.0)


def run(**options):
    out = io.StringIO()
    call_command("loaddemo", stdout=out, **options)
    return out.getvalue()


def test_an_empty_database_gets_one_user_per_tier_a_staff_user_and_tickers():
    run()

    people = User.objects.order_by("email").values_list(
        "email", "username", "tier", "is_staff", "is_superuser"
    )
    assert list(people) == [
        ("admin@example.com", "admin", "expert", True, True),
        ("expert@example.com", "expert", "expert", False, False),
        ("free@example.com", "free", "free", False, False),
        ("pro@example.com", "pro", "pro", False, False),
    ]
    assert Ticker.objects.count() >= 120


@pytest.mark.parametrize(("username", "number"), [("free", 3), ("pro", 8), ("expert", 15), ("admin", 0)])
def test_each_demo_user_watches_less_than_the_tier_allows(username, number):
    run()
    user = User.objects.get(username=username)

    assert count(user) == number
    assert number < user.limits.max_tickers
    assert not watched(user).filter(dormant=True).exists()


@pytest.mark.parametrize("username", ["free", "pro", "expert"])
def test_each_demo_user_has_alerts_in_different_states(username):
    run()
    user = User.objects.get(username=username)

    now = clock.now()
    alerts = Alert.objects.filter(user=user).select_related("ticker", "user").order_by("pk")
    assert [(alert.ticker.symbol, alert.kind, state_of(alert, now).value) for alert in alerts] == [
        ("AAPL", "leaves_channel", "fresh"),
        ("AAPL", "above", "armed"),
        ("MSFT", "below", "armed"),
        ("IBM", "moves", "snoozed"),
        ("IBM", "crosses_above", "paused"),
    ]
    assert len(alerts) < user.limits.max_alerts


def test_one_of_them_is_near_the_price():
    run()

    price = get_quotes(["AAPL"])["AAPL"].price
    channel = Alert.objects.filter(kind="leaves_channel").first()

    assert abs(channel.lower / price - 1) < Decimal("0.01")
    assert channel.lower < channel.upper < channel.lower * Decimal("1.001")


def test_without_prices_there_are_no_alerts(monkeypatch):
    nothing = {symbol: NoQuote(symbol, Reason.PROVIDER_DOWN) for symbol in ("AAPL", "MSFT", "IBM")}
    monkeypatch.setattr(demo_alerts, "get_quotes", lambda *_, **__: nothing)

    assert "free@example.com" in run()
    assert Alert.objects.count() == 0


def test_there_is_something_to_read_and_figures_to_analyse():
    run()

    assert (Article.objects.count(), Transcript.objects.count()) == (30, 3)
    assert {known.simulated for known in fundamentals.of(["AAPL", "MSFT", "KO"]).values()} == {True}


class Asked(Scripted):
    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, fundamentals=True)
        self.asked_for: list[str] = []

    async def fetch_fundamentals(self, symbol):
        self.asked_for.append(symbol)
        raise NotFound


def test_figures_of_a_real_vendor_are_left_to_the_daily_round():
    vendor = Asked()

    with registry.override(vendor):
        run()

    assert vendor.asked_for == []


def test_the_printed_passwords_are_the_right_ones_and_new_each_time():
    said = run()
    logins = re.findall(r"(\w+@example\.com)\s+(\S+)\s", said)

    assert len(logins) == 4
    assert all(User.objects.get(email=email).check_password(password) for email, password in logins)
    assert len({password for _, password in logins}) == 4
    assert all(len(password) >= 16 for _, password in logins)


def test_a_database_with_users_is_left_alone():
    make_user()

    assert run() == "There are users already: no demo data was loaded.\n"
    assert run(if_empty=True) == ""
    assert User.objects.count() == 1
    assert Ticker.objects.count() == 0


def test_if_empty_loads_into_an_empty_database():
    assert "free@example.com" in run(if_empty=True)


def test_the_table_is_aligned():
    logins = [
        demo.Login("a@example.com", "secret", "Free", 3),
        demo.Login("bcd@example.com", "s", "Expert", 15),
    ]

    assert table(logins) == [
        "e-mail           password  tier    watches",
        "a@example.com    secret    Free    3",
        "bcd@example.com  s         Expert  15",
    ]
