"""Whoever knows a channel's address or secret can use it, so no log and no error has them."""

from __future__ import annotations

import base64
import json
import logging

import pytest

from alerts.deliveries.base import sender_of
from alerts.models import ChannelKind
from core import egress
from tests.alerts.deliveries.messages import channel, message
from tests.sinks import reply, sink

CANARY = "CANARY"
SECRET = "whsec_" + base64.b64encode(b"CANARY of 24 bytes......").decode()
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"


def address_of(kind, port):
    url = f"http://127.0.0.1:{port}/{CANARY}"
    if kind == ChannelKind.EMAIL:
        return f"{CANARY}@example.com"
    if kind == ChannelKind.BROWSER:
        keys = {"p256dh": POINT, "auth": base64.urlsafe_b64encode(b"CANARY-secret-16").decode()}
        return json.dumps({"endpoint": url.replace("http:", "https:"), "keys": keys})
    return url


@pytest.mark.parametrize("answer", ["200 OK", "302 Found", "410 Gone", "500 CANARY"])
@pytest.mark.parametrize("kind", ChannelKind.values)
def test_no_log_and_no_error_tells_a_secret(kind, answer, caplog, settings, monkeypatch):
    # The sink speaks neither SMTP nor TLS.
    monkeypatch.setitem(egress.post.__kwdefaults__, "budget_s", 0.5)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_HOST_PASSWORD = "127.0.0.1", CANARY
    caplog.set_level(logging.DEBUG)
    with sink(reply(answer, b"CANARY", X_Key="CANARY")) as one:
        settings.EMAIL_PORT = one.port
        settings.EMAIL_TIMEOUT = 0.5
        sent_to = channel(ChannelKind(kind), address_of(kind, one.port), secret=SECRET)
        outcome = sender_of(kind).send(sent_to, message())

    said = f"{outcome!r} {sent_to!r} {sent_to} {caplog.text}"
    assert [secret for secret in (CANARY, SECRET, SECRET.removeprefix("whsec_")) if secret in said] == []
