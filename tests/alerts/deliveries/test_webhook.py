from __future__ import annotations

import json

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from alerts.deliveries.base import Outcome, sender_of
from alerts.deliveries.webhook import TYPES
from alerts.models import ChannelKind, NotificationKind
from core import clock
from tests.alerts.deliveries.messages import SECRET, channel, message
from tests.sinks import nobody_listens, reply, sink


def send(address, *, secret=SECRET, **fields) -> Outcome:
    return sender_of("webhook").send(channel(ChannelKind.WEBHOOK, address, secret=secret), message(**fields))


def sent(**fields):
    with sink() as one:
        assert send(one.url, **fields) == Outcome.sent()
        return one.next()


def answered(*said: bytes) -> Outcome:
    with sink(*said) as one:
        return send(one.url)


def test_the_reference_library_verifies_the_signature():
    got = sent()

    assert Webhook(SECRET).verify(got.body, got.headers)["type"] == "alert.fired"


def test_another_body_does_not_verify():
    got = sent()

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body + b" ", got.headers)


def test_another_secret_does_not_verify():
    got = sent()

    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(got.body, got.headers)


def test_the_body_says_what_happened():
    assert json.loads(sent().body) == {
        "type": "alert.fired",
        "timestamp": "2026-11-20T19:31:05.120Z",
        "data": {
            "kind": "alert",
            "priority": "high",
            "title": "AAPL crossed above 190.00",
            "body": "190.02 at 14:31:05, regular session.",
            "symbol": "AAPL",
            "current_price": "190.02",
            "created_at": "2026-11-20T19:31:05.120Z",
            "url": "https://onetape.example.com/notifications/17/",
            "idempotency_key": "3:1",
        },
    }


def test_the_key_is_the_id_of_the_message_at_every_attempt():
    with sink(reply("500 Oops"), reply()) as one:
        outcomes = [send(one.url), send(one.url)]
        first, second = one.next(), one.next()

    assert [outcome.is_sent for outcome in outcomes] == [False, True]
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "ot-17-4"
    assert first.body == second.body


def test_the_time_of_the_attempt_is_signed(monkeypatch):
    at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: at)

    assert sent().headers["webhook-timestamp"] == str(int(at.timestamp()))


def test_a_digest_carries_its_items():
    got = json.loads(
        sent(title="2 notifications", items=(message(key="a"), message(key="b", symbol="IBM"))).body
    )

    assert got["type"] == "notification.digest"
    assert [item["symbol"] for item in got["data"]["items"]] == ["AAPL", "IBM"]


def test_every_kind_of_notification_has_a_type():
    assert set(TYPES) == set(NotificationKind.values)


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Fine"])
def test_any_2xx_is_success(status):
    assert answered(reply(status)) == Outcome.sent()


def test_gone_is_for_ever():
    assert answered(reply("410 Gone")).is_permanent


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent", "304 Not Modified"]
)
def test_a_redirect_is_a_failure_and_not_followed(status):
    with sink() as other, sink(reply(status, Location=other.url)) as one:
        outcome = send(one.url)

    number = status.partition(" ")[0]
    assert outcome == Outcome.retry(f"The server answered {number}, a redirect; they are not followed.")
    assert other.connections == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503, 504])
def test_any_other_answer_is_tried_again(status):
    assert answered(reply(f"{status} No")) == Outcome.retry(f"The server answered {status}.")


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [
        ("429 Slow", "120", 120.0),
        ("503 Busy", "7", 7.0),
        ("429 Slow", "0", 0.0),
        ("429 Slow", "999999999999", 86_400.0),
        ("429 Slow", "-5", None),
        ("429 Slow", "1.5", None),
        ("429 Slow", "soon", None),
        ("429 Slow", "١٢", None),
        ("503 Busy", "Fri, 20 Nov 2026 20:00:30 GMT", 30.0),
        ("503 Busy", "Fri, 20 Nov 2026 20:00:30", 30.0),
        ("503 Busy", "Fri, 20 Nov 2020 20:00:30 GMT", 0.0),
        ("503 Busy", "Fri, 20 Nov 2096 20:00:30 GMT", 86_400.0),
        ("500 Oops", "120", None),
    ],
)
def test_a_server_that_is_busy_says_when_it_will_not_be(status, said, seconds, monkeypatch):
    at = message().created_at.replace(hour=20, minute=0, second=0, microsecond=0)
    monkeypatch.setattr(clock, "now", lambda: at)

    assert answered(reply(status, Retry_After=said)) == Outcome.retry(
        f"The server answered {status[:3]}.", seconds
    )


@pytest.mark.parametrize("secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_ä", "whsec_a b"])
def test_without_a_secret_nothing_goes_out(secret):
    with sink() as one:
        outcome = send(one.url, secret=secret)

    assert outcome == Outcome.permanent("The channel's signing secret cannot be read. Make a new one.")
    assert one.connections == 0


def test_a_server_that_is_down_is_tried_again():
    with nobody_listens() as port:
        outcome = send(f"http://127.0.0.1:{port}/")

    assert outcome == Outcome.retry("The server gave no answer that can be read (ConnectionRefusedError).")


def test_an_address_inside_is_not_called(settings):
    settings.EGRESS_ALLOW = []
    with sink() as one:
        outcome = send(one.url)

    assert outcome == Outcome.retry("Only public addresses are called.")
    assert one.connections == 0


def test_an_address_that_is_none_is_for_ever():
    assert send("gopher://127.0.0.1/").is_permanent


def test_no_error_tells_address_or_answer():
    with sink(reply("500 CANARY", b"CANARY", X_Key="CANARY")) as one:
        outcome = send(one.url + "/CANARY")

    assert "CANARY" not in repr(outcome)
