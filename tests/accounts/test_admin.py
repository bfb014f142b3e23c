from __future__ import annotations

import pytest
from django.contrib.auth.hashers import check_password
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.signals import tier_changed
from accounts.tiers import Tier
from subscriptions.models import Subscription, WatchInterval
from tests.factories import PASSWORD, make_interval, make_staff, make_subscription, make_ticker, make_user

USERS = "admin:accounts_user_changelist"


@pytest.fixture
def staff(client, db):
    user = make_staff()
    client.force_login(user)
    return user


def form_of(user, **changed):
    fields = {
        "email": user.email,
        "username": user.username,
        "tier": user.tier,
        "is_active": "on",
        **changed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def change(client, user, **changed):
    return client.post(reverse("admin:accounts_user_change", args=[user.pk]), form_of(user, **changed))


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_for_any_length(client, staff, rows, django_assert_num_queries):
    for number in range(rows):
        make_subscription(make_user(f"person{number}"), make_ticker())

    with django_assert_num_queries(6):  # session, user, dates of the hierarchy (2), count, rows
        page = client.get(reverse(USERS), {"q": "person"}).content.decode()

    assert page.count(">1 of 5</a>") == rows


def test_the_list_shows_what_counts_against_the_limit(client, staff):
    alice = make_user("alice", tier="pro")
    make_subscription(alice, make_ticker())
    make_subscription(alice, make_ticker(), dormant=True)

    page = client.get(reverse(USERS), {"q": "alice"}).content.decode()

    assert f'?user__id__exact={alice.pk}">1 of 10</a>' in page


@pytest.mark.django_db(transaction=True)
def test_a_changed_tier_is_told(client):
    client.force_login(make_staff())
    alice, heard = make_user("alice", tier="expert"), []

    def listen(sender, user, old, new, **rest):
        heard.append((user.email, old, new))

    tier_changed.connect(listen)
    response = change(client, alice, tier="free", username="alicia")
    tier_changed.disconnect(listen)

    assert response.status_code == 302
    assert heard == [("alice@example.com", Tier.EXPERT, Tier.FREE)]
    alice.refresh_from_db()
    assert (alice.tier, alice.username) == ("free", "alicia")


def test_an_address_typed_in_capitals_is_kept_in_lower_case(client, staff):
    alice = make_user("alice")

    change(client, alice, email="New@Example.COM")

    alice.refresh_from_db()
    assert alice.email == "new@example.com"


def test_who_gets_another_address_cannot_log_in_with_the_old_one(client, staff):
    visitor = Client()
    fields = {"email": "old@example.com", "username": "alice", "password1": PASSWORD}
    visitor.post(reverse("account_signup"), fields)
    visitor.post(reverse("account_logout"))

    change(client, User.objects.get(username="alice"), email="new@example.com")

    def log_in(email):
        return visitor.post(reverse("account_login"), {"login": email, "password": PASSWORD}).status_code

    assert (log_in("old@example.com"), log_in("new@example.com")) == (200, 302)


def test_a_name_that_is_taken_is_a_form_error(client, staff):
    make_user("bob")
    alice = make_user("alice")

    response = change(client, alice, username="BOB", email="BOB@example.com")

    assert response.status_code == 200
    assert "taken" in response.content.decode()


def test_staff_makes_an_account_with_a_password(client, staff):
    response = client.post(
        reverse("admin:accounts_user_add"),
        {
            "email": "Carol@example.com",
            "username": "carol",
            "tier": "pro",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )

    assert response.status_code == 302
    carol = User.objects.get(username="carol")
    assert (carol.email, carol.tier, carol.is_staff) == ("carol@example.com", "pro", False)
    assert check_password(PASSWORD, carol.password)


def test_staff_changes_a_password_and_never_sees_one(client, staff):
    alice = make_user("alice", password=PASSWORD)
    url = reverse("admin:auth_user_password_change", args=[alice.pk])

    page = client.get(reverse("admin:accounts_user_change", args=[alice.pk])).content.decode()
    client.post(
        url, {"usable_password": "true", "password1": "another-horse-8", "password2": "another-horse-8"}
    )

    alice_password = alice.password
    alice.refresh_from_db()
    assert alice_password not in page
    assert check_password("another-horse-8", alice.password)


def test_the_page_of_a_user_tells_what_they_watch(client, staff):
    alice = make_user("alice")
    make_subscription(alice, make_ticker("BRK.B"))
    make_subscription(alice, make_ticker("IBM"), dormant=True)

    page = client.get(reverse("admin:accounts_user_change", args=[alice.pk])).content.decode()

    assert "BRK.B, IBM (dormant)" in page


def test_a_user_can_be_deactivated(client, staff):
    alice = make_user("alice")

    change(client, alice, is_active=None)

    alice.refresh_from_db()
    assert not alice.is_active


@pytest.mark.parametrize("way", ["page", "action"])
def test_deleting_a_user_asks_first_and_takes_along_what_is_theirs(client, staff, way):
    alice, ticker = make_user("alice"), make_ticker("IBM")
    make_subscription(alice, ticker)
    make_interval(alice, ticker)
    url = reverse("admin:accounts_user_delete", args=[alice.pk]) if way == "page" else reverse(USERS)
    body = {} if way == "page" else {"action": "delete_selected", "_selected_action": str(alice.pk)}

    question = client.get(url) if way == "page" else client.post(url, body)
    assert "alice@example.com" in question.content.decode()
    assert User.objects.filter(pk=alice.pk).exists()
    client.post(url, {**body, "post": "yes"})

    assert not User.objects.filter(pk=alice.pk).exists()
    assert not Subscription.objects.exists()
    assert not WatchInterval.objects.exists()
