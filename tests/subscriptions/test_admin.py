from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from subscriptions import watchlist
from subscriptions.models import Subscription, WatchInterval
from tests.factories import make_interval, make_staff, make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db
SUBSCRIPTIONS = "admin:subscriptions_subscription_changelist"


@pytest.fixture
def staff(client):
    user = make_staff()
    client.force_login(user)
    return user


def listed(client, **query):
    rows = client.get(reverse(SUBSCRIPTIONS), query).context["cl"].result_list
    return sorted(f"{row.user.username} {row.ticker.symbol}" for row in rows)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("model", "queries"),
    [("subscription", 4), ("watchinterval", 4)],  # session, user, count, rows
)
def test_each_list_costs_the_same_queries_for_any_length(
    client, staff, model, queries, rows, django_assert_num_queries
):
    for _ in range(rows):
        user, ticker = make_user(), make_ticker()
        make_subscription(user, ticker)
        make_interval(user, ticker)

    with django_assert_num_queries(queries):
        client.get(reverse(f"admin:subscriptions_{model}_changelist"))


def test_rows_are_found_by_symbol_address_and_name_and_filtered(client, staff):
    alice, bob = make_user("alice", tier="pro"), make_user("bob")
    brk, ibm = make_ticker("BRK.B"), make_ticker("IBM")
    make_subscription(alice, brk)
    make_subscription(alice, ibm, dormant=True)
    make_subscription(bob, ibm, ends_at=datetime.now(UTC) + timedelta(minutes=5))

    assert listed(client, q="brk/b") == ["alice BRK.B"]
    assert listed(client, q="ALICE@") == ["alice BRK.B", "alice IBM"]
    assert listed(client, q="bo") == ["bob IBM"]
    assert listed(client, dormant__exact="1") == ["alice IBM"]
    assert listed(client, ends_at__isempty="0") == ["bob IBM"]
    assert listed(client, user__tier__exact="pro") == ["alice BRK.B", "alice IBM"]
    assert listed(client, user__id__exact=str(bob.pk)) == ["bob IBM"]
    assert listed(client, ticker__id__exact=str(brk.pk)) == ["alice BRK.B"]


def test_rows_are_read_only(client, staff):
    row = make_subscription(make_user(), make_ticker())

    assert client.get(reverse("admin:subscriptions_subscription_add")).status_code == 403
    url = reverse("admin:subscriptions_subscription_change", args=[row.pk])
    assert client.post(url, {"dormant": "on"}).status_code == 403
    assert not Subscription.objects.get().dormant


def test_unwatching_ends_subscriptions_and_their_intervals(client, staff):
    alice, bob = make_user("alice"), make_user("bob")
    ibm, brk = make_ticker("IBM"), make_ticker("BRK.B")
    watchlist.watch(alice, [ibm, brk])
    watchlist.watch(bob, [ibm])
    chosen = Subscription.objects.filter(ticker=ibm).values_list("pk", flat=True)

    response = client.post(
        reverse(SUBSCRIPTIONS), {"action": "unwatch", "_selected_action": list(chosen)}, follow=True
    )

    assert "2 subscriptions ended." in response.content.decode()
    assert listed(client) == ["alice BRK.B"]
    assert WatchInterval.objects.filter(ended_at__isnull=True).count() == 1


def test_who_may_only_look_cannot_unwatch(client):
    clerk = make_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client.force_login(clerk)
    row = make_subscription(make_user(), make_ticker())

    client.post(reverse(SUBSCRIPTIONS), {"action": "unwatch", "_selected_action": [row.pk]})

    assert Subscription.objects.count() == 1
