from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command

from accounts.models import User
from dashboard import demo
from dashboard.management.commands.loaddemo import table
from marketdata.models import Ticker
from subscriptions.watchlist import count, watched
from tests.factories import make_user

pytestmark = pytest.mark.django_db


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
