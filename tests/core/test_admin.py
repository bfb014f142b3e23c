from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.urls import reverse

from core import admin as core_admin
from core.admin import EstimatingPaginator, estimated_rows
from core.models import Lease
from marketdata.models import DailyBar, MinuteBar, Ticker
from tests.factories import make_minute_bar, make_staff, make_ticker, make_user

pytestmark = pytest.mark.django_db
OURS = {"core", "accounts", "marketdata", "subscriptions", "django_celery_beat"}


@pytest.fixture
def staff(client):
    user = make_staff()
    client.force_login(user)
    return user


def pages():
    models = [model for model in admin.site._registry if model._meta.app_label in OURS]
    return sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in models)


def test_every_model_of_ours_has_a_page():
    assert {
        "core_lease", "accounts_user", "marketdata_ticker", "marketdata_quote", "marketdata_minutebar",
        "marketdata_dailybar", "marketdata_upstream", "subscriptions_subscription", "subscriptions_watchinterval",
        "django_celery_beat_periodictask",
    } <= set(pages())  # fmt: skip


def test_the_site_says_whose_it_is(client, staff):
    page = client.get("/admin/").content.decode()

    assert "Onetape administration" in page


@pytest.mark.parametrize("name", pages())
def test_every_list_opens_empty_and_searched(client, staff, name):
    url = reverse(f"admin:{name}_changelist")

    for query in ({}, {"q": "AAPL"}, {"q": "а\u200b%_"}, {"q": "a\x00"}, {"p": "999999"}, {"o": "1.2"}):
        assert client.get(url, query).status_code in {200, 302}, query


@pytest.mark.parametrize("name", pages())
def test_staff_without_permission_sees_nothing(client, name):
    client.force_login(make_user("clerk", is_staff=True))

    assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403


def test_a_foreign_secret_cannot_be_filtered_by(client, staff):
    for name in ("subscriptions_subscription", "subscriptions_watchinterval"):
        url = reverse(f"admin:{name}_changelist")
        assert client.get(url, {"user__password__startswith": "a"}).status_code in {302, 400}


def test_leases_are_shown_and_not_changed(client, staff):
    Lease.objects.create(name="tape:0", holder="host:1", epoch=7, expires_at=datetime.now(UTC))

    page = client.get(reverse("admin:core_lease_changelist")).content.decode()

    assert "host:1" in page
    assert client.get(reverse("admin:core_lease_add")).status_code == 403
    assert client.post(reverse("admin:core_lease_change", args=["tape:0"]), {"epoch": 8}).status_code == 403
    assert (
        client.post(reverse("admin:core_lease_delete", args=["tape:0"]), {"post": "yes"}).status_code == 403
    )
    assert Lease.objects.get().epoch == 7


def many_minutes(number):
    ticker, start = make_ticker(), datetime(2026, 1, 1, tzinfo=UTC)
    for minute in range(number):
        make_minute_bar(ticker, start + timedelta(minutes=minute))
    return MinuteBar.objects.order_by("id")


def test_a_small_table_is_counted(monkeypatch):
    assert EstimatingPaginator(many_minutes(3), 2).count == 3


def test_a_big_table_is_estimated_and_its_pages_are_bounded(monkeypatch):
    monkeypatch.setattr(core_admin, "COUNT_EXACTLY_BELOW", 4)
    monkeypatch.setattr(core_admin, "MAX_PAGES", 2)
    monkeypatch.setattr(core_admin, "estimated_rows", lambda _: 1_000_000)

    paginator = EstimatingPaginator(many_minutes(6), 2)

    assert (paginator.count, paginator.num_pages) == (1_000_000, 2)


def test_a_filtered_big_table_is_counted_up_to_the_bound(monkeypatch):
    monkeypatch.setattr(core_admin, "COUNT_EXACTLY_BELOW", 4)

    assert EstimatingPaginator(many_minutes(6).filter(volume=10), 2).count == 5


@pytest.mark.parametrize("model", [Ticker, DailyBar])
def test_the_estimate_is_the_planners(model):
    make_ticker("AAPL")
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {model._meta.db_table}")

    assert estimated_rows(model) == model.objects.count()
