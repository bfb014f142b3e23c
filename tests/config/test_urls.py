"""What all URLs together promise."""

from __future__ import annotations

from contextlib import contextmanager

import django.db
import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.urls import reverse

from core.redis import client as redis
from marketdata import cache
from tests.factories import make_quote, make_staff, make_ticker


@pytest.mark.parametrize(
    ("name", "args", "path"),
    [
        ("landing", [], "/"),
        ("watchlist", [], "/watchlist/"),
        ("watchlist_add", [], "/watchlist/add/"),
        ("watchlist_remove", ["BRK.B"], "/watchlist/BRK.B/remove/"),
        ("ticker", ["BRK.B"], "/tickers/BRK.B/"),
        ("chart", ["BRK.B"], "/charts/BRK.B.svg"),
        ("account", [], "/account/"),
        ("account_login", [], "/account/login/"),
        ("account_signup", [], "/account/signup/"),
        ("account_logout", [], "/account/logout/"),
        ("api_tickers", [], "/api/v1/tickers/"),
        ("api_ticker", ["BRK.B"], "/api/v1/tickers/BRK.B/"),
        ("api_bars", ["BRK.B"], "/api/v1/tickers/BRK.B/bars/"),
        ("api_quotes", [], "/api/v1/quotes/"),
        ("api_watchlist", [], "/api/v1/watchlist/"),
        ("api_watched_ticker", ["BRK.B"], "/api/v1/watchlist/BRK.B/"),
        ("api_me", [], "/api/v1/me/"),
        ("api_keys", [], "/api/v1/me/api-keys/"),
        ("api_stream_tickets", [], "/api/v1/me/stream-tickets/"),
        ("api_alerts", [], "/api/v1/alerts/"),
        ("api_alert", [7], "/api/v1/alerts/7/"),
        ("api_alerts_backtest", [], "/api/v1/alerts/backtest/"),
        ("api_alert_triggers", [7], "/api/v1/alerts/7/triggers/"),
        ("api_notifications", [], "/api/v1/notifications/"),
        ("api_notification_read", [7], "/api/v1/notifications/7/read/"),
        ("api_channels", [], "/api/v1/channels/"),
        ("api_channel_test", [7], "/api/v1/channels/7/test/"),
        ("healthz", [], "/healthz"),
        ("readyz", [], "/readyz"),
        ("metrics", [], "/metrics"),
    ],
)
def test_the_promised_addresses(name, args, path):
    assert reverse(name, args=args) == path


@pytest.fixture
def nothing_known() -> None:
    """No price that another test has left in Redis."""
    redis().flushall()
    cache.forget_memory()


@pytest.fixture
def staff(nothing_known, client, db):
    user = make_staff()
    client.force_login(user)
    return user


@contextmanager
def without_database():
    def refuse(self, name=None):
        raise django.db.OperationalError("connection refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "_cursor", refuse)
        yield


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/metrics", 200),
        ("/watchlist/", 503),
        ("/tickers/IBM/", 503),
        ("/admin/", 503),
        ("/account/", 503),
        ("/account/signup/", 503),
        ("/api/v1/me/", 503),
        ("/api/v1/tickers/?search=a", 503),
        ("/api/v1/tickers/IBM/", 503),
        ("/api/v1/quotes/?symbols=NVDA", 503),
        ("/api/v1/watchlist/", 503),
        ("/api/v1/alerts/", 503),
        ("/api/v1/notifications/", 503),
        ("/api/v1/channels/", 503),
    ],
)
def test_without_the_database_nothing_is_a_500(client, staff, path, status):
    make_ticker("IBM")
    client.raise_request_exception = False

    with without_database():
        response = client.get(path)

    assert response.status_code == status
    if status == 503:
        assert response["Retry-After"] == "5"
        assert response["Content-Type"].startswith(
            "application/problem+json" if path.startswith("/api/") else "text/html"
        )


def test_without_the_database_a_visitor_still_gets_the_quotes_that_redis_knows(nothing_known, client, db):
    cache.fill_redis([cache.quote_of_row(make_quote(make_ticker("AAPL"), "187.32"))])

    with without_database():
        response = client.get("/api/v1/quotes/?symbols=AAPL,MSFT")

    told = [(quote["symbol"], quote["price"], quote["reason"]) for quote in response.json()["results"]]
    assert told == [("AAPL", "187.32", None), ("MSFT", None, "no_data_yet")]


def test_without_the_database_signing_up_is_a_503(db):
    client = Client(raise_request_exception=False)
    fields = {"email": "a@example.com", "username": "alice", "password1": "correct-horse-7"}

    with without_database():
        response = client.post(reverse("account_signup"), fields)

    assert (response.status_code, response["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("path", ["/nothing/", "/tickers/ZZZZ/", "/api/v1/nothing/", "/admin/nothing/"])
def test_what_is_not_there_is_a_404(client, staff, path):
    response = client.get(path)

    assert response.status_code == 404
    assert response["Content-Type"].startswith(
        "application/problem" if path.startswith("/api/") else "text/html"
    )


def test_every_answer_carries_the_security_headers(client):
    response = client.get("/healthz")

    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert (response["X-Frame-Options"], response["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert response["Referrer-Policy"] == "same-origin"
