"""Web push to a stand-in for a push service, decrypted as the browser would."""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import dataclass

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from py_vapid import Vapid02

from alerts import checks
from alerts.deliveries import browser, subscription, vapid
from alerts.deliveries.base import Outcome, sender_of
from alerts.kinds import Priority
from alerts.models import ChannelKind
from core import clock, egress
from core.addresses import Refused
from tests.alerts.deliveries.messages import channel, message
from tests.certificates import tls_for
from tests.sinks import Sink, reply, sink

NAME = "push.test"
# Of the Web Push example in RFC 8291.
KEY = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Browser:
    """What has subscribed: its keys, and the push service that it trusts."""

    service: Sink
    key: ec.EllipticCurvePrivateKey
    auth: bytes = b"0123456789abcdef"

    @property
    def subscription(self) -> dict:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "endpoint": f"https://{NAME}:{self.service.port}/send/CANARY",
            "expirationTime": None,
            "keys": {"p256dh": text_of(point), "auth": text_of(self.auth)},
        }

    def read(self, body: bytes) -> dict:
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth))

    def send(self, **fields) -> Outcome:
        return sender_of("browser").send(
            channel(ChannelKind.BROWSER, json.dumps(self.subscription)), message(**fields)
        )

    def sent(self, **fields):
        assert self.send(**fields) == Outcome.sent()
        return self.service.next()


@pytest.fixture
def subscribed(tmp_path, monkeypatch, settings):
    server, client = tls_for(NAME, tmp_path)
    monkeypatch.setattr(egress, "_tls", lambda: client)
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **options: real("127.0.0.1" if host == NAME else host, *args, **options),
    )
    settings.VAPID_PRIVATE_KEY = KEY
    with sink(reply("201 Created"), tls=server) as service:
        yield Browser(service, ec.generate_private_key(ec.SECP256R1()))


def test_the_browser_can_read_it_and_nobody_else(subscribed):
    got = subscribed.sent()

    assert b"AAPL" not in got.body
    assert subscribed.read(got.body) == {
        "web_push": 8030,
        "notification": {
            "title": "AAPL crossed above 190.00",
            "body": "190.02 at 14:31:05, regular session.",
            "navigate": "https://onetape.example.com/notifications/17/",
            "tag": "ot-17-4",
            "timestamp": 1_795_203_065_120,
            "requireInteraction": False,
        },
    }


def test_the_push_service_is_told_who_we_are(subscribed, monkeypatch):
    at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: at)

    got = subscribed.sent()

    assert Vapid02.verify(got.headers["authorization"])
    scheme, token, key = got.headers["authorization"].replace(",", " ").split()
    claims = token.removeprefix("t=").split(".")[1]
    assert (scheme, key) == ("vapid", f"k={vapid.public_key()}")
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {
        "sub": "https://onetape.example.com",
        "aud": f"https://{NAME}:{subscribed.service.port}",
        "exp": int(at.timestamp()) + 43_200,
    }


def test_it_waits_a_day_for_a_browser_that_is_off(subscribed):
    headers = subscribed.sent().headers

    assert (headers["ttl"], headers["content-encoding"], headers["urgency"]) == ("86400", "aes128gcm", "high")


@pytest.mark.parametrize(("priority", "urgency"), [(Priority.MEDIUM, "normal"), (Priority.LOW, "low")])
def test_what_is_less_urgent_may_wait_for_the_battery(subscribed, priority, urgency):
    assert subscribed.sent(priority=priority).headers["urgency"] == urgency


def test_a_repetition_takes_the_place_of_the_first(subscribed):
    first, second, other = (subscribed.sent(key=key).headers["topic"] for key in ("a", "a", "b"))

    assert first == second != other
    assert len(first) == 32


@pytest.mark.parametrize("letter", ["x", "ü", "\n", '"', "😀"])
def test_a_long_text_is_cut_to_what_is_taken(subscribed, letter):
    got = subscribed.sent(body=letter * 5_000)

    shown = subscribed.read(got.body)["notification"]["body"]
    assert len(got.body) <= 4_096
    assert shown == letter * (len(shown) - 1) + "…"
    assert len(shown) > 500


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_has_left_is_for_ever(subscribed, status):
    subscribed.service.replies = [reply(f"{status} Gone")]

    assert subscribed.send().is_permanent


@pytest.mark.parametrize("status", [302, 400, 401, 403, 413, 500])
def test_anything_else_is_tried_again(subscribed, status):
    subscribed.service.replies = [reply(f"{status} No")]

    outcome = subscribed.send()

    assert (outcome.is_sent, outcome.is_permanent) == (False, False)


def test_a_service_that_is_busy_says_until_when(subscribed):
    subscribed.service.replies = [reply("429 Slow", Retry_After="60")]

    assert subscribed.send() == Outcome.retry("The server answered 429.", 60.0)


def test_an_endpoint_inside_is_not_called(subscribed, settings):
    settings.EGRESS_ALLOW = []

    outcome = subscribed.send()

    assert outcome == Outcome.retry("No server that can be called from here is known under this name.")
    assert subscribed.service.connections == 0


def broken(subscription, **changes):
    return json.dumps({**subscription, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": None},
        {"endpoint": "http://push.test/x"},
        {"endpoint": "https://[2606:2800:220:1::1]/x"},
        {"endpoint": "https://u:p@push.test/x"},
        {"keys": None},
        {"keys": {"p256dh": "AAAA", "auth": "MDEyMzQ1Njc4OWFiY2RlZg"}},
        {"keys": {"p256dh": text_of(b"\x04" + b"\x01" * 64), "auth": "MDEyMzQ1Njc4OWFiY2RlZg"}},
        {"keys": {"p256dh": "ä", "auth": "MDEyMzQ1Njc4OWFiY2RlZg"}},
        {"more": "x" * 4_000},
    ],
)
def test_what_is_no_subscription_is_not_called(subscribed, changes):
    text = broken(subscribed.subscription, **changes)

    with pytest.raises(Refused):
        subscription.read(text)
    assert sender_of("browser").send(channel(ChannelKind.BROWSER, text), message()).is_permanent
    assert subscribed.service.connections == 0


@pytest.mark.parametrize("auth", ["", "AAAA", "MDEyMzQ1Njc4OWFiY2RlZg !"])
def test_a_subscription_without_its_secret_is_none(subscribed, auth):
    keys = {**subscribed.subscription["keys"], "auth": auth}

    with pytest.raises(Refused):
        subscription.read(broken(subscribed.subscription, keys=keys))


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "{}", '"x"', "[" * 2_000])
def test_what_is_not_even_json_is_no_subscription(text):
    with pytest.raises(Refused):
        subscription.read(text)


def test_a_subscription_is_read(subscribed):
    found = subscription.read(json.dumps(subscribed.subscription))

    assert (found.endpoint, found.target.host) == (subscribed.subscription["endpoint"], NAME)
    assert "CANARY" not in repr(found)


def test_a_server_without_a_readable_key_tries_again(subscribed, settings):
    settings.VAPID_PRIVATE_KEY = "CANARY"

    outcome = subscribed.send()

    assert outcome == Outcome.retry("The server's key for notifications in browsers cannot be read.")


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_the_key_may_be_given_as_pem(settings):
    settings.VAPID_PRIVATE_KEY = KEY
    of_text = vapid.public_key()
    settings.VAPID_PRIVATE_KEY = pem(Vapid02.from_string(KEY).private_key)

    assert vapid.public_key() == of_text
    assert len(base64.urlsafe_b64decode(of_text + "=")) == 65


@pytest.mark.parametrize(
    "key", ["CANARY", "", "ü", "AAAA" * 10, pem(ec.generate_private_key(ec.SECP384R1()))]
)
def test_a_key_that_is_none_is_told_before_anything_starts(key, settings):
    settings.VAPID_PRIVATE_KEY = key

    (found,) = checks.web_push_can_be_signed()

    assert (found.id, found.msg) == (
        "alerts.E001",
        "VAPID_PRIVATE_KEY is not a private key of the curve P-256.",
    )


@pytest.mark.parametrize(
    ("public", "sender", "given", "subject"),
    [
        ("https://o.test:8443", "a@o.test", "", "https://o.test:8443"),
        ("http://o.test", "Onetape <a@o.test>", "", "mailto:a@o.test"),
        ("http://o.test", "a@o.test", "", "mailto:a@o.test"),
        ("https://o.test", "a@o.test", "mailto:b@o.test", "mailto:b@o.test"),
    ],
)
def test_there_is_always_somebody_to_ask(public, sender, given, subject, settings):
    settings.PUBLIC_URL, settings.DEFAULT_FROM_EMAIL, settings.VAPID_SUBJECT = public, sender, given

    assert vapid.subject() == subject
    assert vapid.headers("https://push.test")["Authorization"].startswith("vapid t=")
    assert checks.web_push_can_be_signed() == []


def test_what_is_made_at_the_first_start_works():
    assert checks.web_push_can_be_signed() == []


def test_nobody_to_ask_is_told(settings):
    settings.VAPID_SUBJECT = "ada@example.com"

    assert [found.id for found in checks.web_push_can_be_signed()] == ["alerts.E001"]


def test_no_error_tells_the_endpoint(subscribed):
    subscribed.service.replies = [reply("500 CANARY", b"CANARY")]

    assert "CANARY" not in repr(subscribed.send())


def test_a_digest_is_one_notification(subscribed):
    items = (message(key="a"), message(key="b"))

    got = subscribed.read(subscribed.sent(title="2 notifications", body="First\nSecond", items=items).body)

    assert (got["notification"]["title"], got["notification"]["body"]) == ("2 notifications", "First\nSecond")


def test_critical_ones_stay_until_they_are_seen():
    shown = json.loads(browser.payload(message(priority=Priority.CRITICAL)))

    assert shown["notification"]["requireInteraction"] is True
