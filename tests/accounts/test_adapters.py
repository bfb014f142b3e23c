from __future__ import annotations

import logging

import pytest
from django.core import mail
from django.core.cache import cache
from django.urls import reverse

from tests.factories import make_user
from tests.sinks import nobody_listens

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_rate_limits_from_other_tests():
    cache.clear()


@pytest.fixture
def no_mail_server(settings):
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with nobody_listens() as settings.EMAIL_PORT:
        yield


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
