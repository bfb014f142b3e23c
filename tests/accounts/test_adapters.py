from __future__ import annotations

import logging
import socket

import pytest
from django.core import mail
from django.core.cache import cache
from django.urls import reverse

from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_rate_limits_from_other_tests():
    cache.clear()


@pytest.fixture
def no_mail_server(settings):
    """A port that refuses: it was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        settings.EMAIL_PORT = probe.getsockname()[1]
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


def ask_for_a_new_password(client, email: str):
    return client.post(reverse("account_reset_password"), {"email": email})


def test_a_new_password_is_sent_by_mail(client):
    make_user("alice")

    assert ask_for_a_new_password(client, "alice@example.com").url == reverse("account_reset_password_done")
    assert [message.to for message in mail.outbox] == [["alice@example.com"]]


@pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
def test_without_a_mail_server_the_page_says_the_same_to_everybody(client, no_mail_server, caplog, email):
    make_user("alice")

    with caplog.at_level(logging.ERROR):
        answer = ask_for_a_new_password(client, email)

    assert (answer.status_code, answer.url) == (302, reverse("account_reset_password_done"))
    said = [record.getMessage() for record in caplog.records if record.name == "accounts.adapters"]
    assert len(said) == 1
    assert "ConnectionRefusedError" in said[0]
    assert "@" not in caplog.text


def test_too_many_requests_are_refused_in_our_look(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/m/ip"}

    ask_for_a_new_password(client, "alice@example.com")
    answer = ask_for_a_new_password(client, "alice@example.com")

    assert answer.status_code == 429
    assert "Too many tries" in answer.content.decode()
    assert "Onetape" in answer.content.decode()
