from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import time, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections

from accounts.tiers import Tier
from alerts import channels, destinations, errors, outbox
from alerts.deliveries.base import Outcome
from alerts.errors import ChannelLimit, InvalidRule
from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind, ChannelState, Delivery, Notification
from core import egress
from tests.alerts.mailing import START, FakeSender, StillClock, drain, make_channel, make_notification, states
from tests.factories import make_user

pytestmark = pytest.mark.django_db

HOOK = "https://hooks.example.com/services/T000/B000/verysecret99"


@pytest.fixture(autouse=True)
def still(monkeypatch):
    return StillClock(monkeypatch)


@pytest.fixture(autouse=True)
def validated(monkeypatch):
    """The addresses that somebody asked a name server for; none is asked here."""
    found = []
    monkeypatch.setattr(egress, "validate", found.append)
    return found


@pytest.fixture
def sender(monkeypatch):
    return FakeSender(monkeypatch)


@pytest.fixture
def user():
    return make_user()


def email(address: str = "a@example.com", **fields):
    return {"kind": "email", "address": address, **fields}


def subscription(endpoint: str = "https://push.example.com/send/abc", auth: bytes = b"a" * 16):
    keys = {"p256dh": b64(b"p" * 65), "auth": b64(auth)}
    return {"endpoint": endpoint, "expirationTime": None, "keys": keys}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def refused(user, fields) -> dict[str, str]:
    with pytest.raises(InvalidRule) as raised:
        channels.create(user, fields)
    return {name: error.code for name, error in raised.value.errors.items()}


# --- making


def test_an_email_channel_has_sensible_manners(user):
    made = Channel.objects.get(pk=channels.create(user, email()).pk)

    assert (made.kind, made.address, made.label, made.name) == (
        "email", "a@example.com", "a@example.com", "E-mail a@example.com",
    )  # fmt: skip
    assert (made.lowest_priority, made.digest_above, made.quiet_lets_critical) == (Priority.LOW, 10, True)
    assert (made.quiet_from, made.quiet_until, made.failover, made.secret) == (None, None, None, "")
    assert (made.state, made.is_enabled) == (ChannelState.UNCONFIRMED, True)


def test_a_webhook_shows_its_host_and_a_few_characters_and_has_a_secret_of_32_bytes(user, validated):
    made = channels.create(user, {"kind": "webhook", "address": HOOK})

    assert made.label == "hooks.example.com/…et99"
    assert made.secret.startswith("whsec_")
    assert len(base64.b64decode(made.secret.removeprefix("whsec_"), validate=True)) == 32
    assert made.digest_above == 0
    assert validated == [HOOK]


@pytest.mark.parametrize("kind", ["slack", "discord"])
def test_a_chat_shows_its_host_only(user, kind):
    assert channels.create(user, {"kind": kind, "address": HOOK}).label == "hooks.example.com"


def test_addresses_and_secrets_are_encrypted(user):
    made = channels.create(user, {"kind": "webhook", "address": HOOK})

    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(c)::text FROM alerts_channel c WHERE id = %s", [made.pk])
        (row,) = cursor.fetchone()
    assert "verysecret" not in row
    assert made.secret.removeprefix("whsec_") not in row


def test_all_manners_may_be_given(user):
    stand_in = make_channel(user)
    made = channels.create(
        user,
        email(
            name=" Night desk ", lowest_priority="high", quiet_from="22:00", quiet_until="07:30",
            quiet_lets_critical=False, digest_above=3, failover=stand_in.pk,
        ),
    )  # fmt: skip
    made.refresh_from_db()

    assert (made.name, made.lowest_priority, made.failover) == ("Night desk", Priority.HIGH, stand_in)
    assert (made.quiet_from, made.quiet_until, made.quiet_lets_critical) == (time(22), time(7, 30), False)
    assert made.digest_above == 3


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({}, {"kind": "required"}),
        ({"kind": "pigeon"}, {"kind": "invalid_choice"}),
        ({"kind": "email"}, {"address": "required"}),
        (email("nobody"), {"address": "invalid"}),
        (email("a@example.com\nBcc: b@example.com"), {"address": "invalid"}),
        (email(["a@example.com"]), {"address": "invalid"}),
        (email(name="x" * 81), {"name": "max_length"}),
        (email(lowest_priority="urgent"), {"lowest_priority": "invalid_choice"}),
        (email(digest_above=-1), {"digest_above": "out_of_range"}),
        (email(digest_above=True), {"digest_above": "invalid"}),
        (email(quiet_from="22:00"), {"quiet_until": "required"}),
        (email(quiet_from="22:00", quiet_until="22:00"), {"quiet_until": "invalid"}),
        (email(quiet_from="24:00", quiet_until="7"), {"quiet_from": "invalid", "quiet_until": "invalid"}),
        (email(quiet_lets_critical="yes"), {"quiet_lets_critical": "invalid"}),
        (email(failover=2**62), {"failover": "invalid_choice"}),
        ({"kind": "browser", "address": "[" * 3_000}, {"address": "invalid"}),
        ({"kind": "browser", "address": subscription(auth=b"short")}, {"address": "invalid"}),
        (
            {"kind": "browser", "address": subscription(endpoint="http://push.example.com/")},
            {"address": "invalid"},
        ),
    ],
)
def test_what_cannot_be_is_refused_by_field(user, fields, codes):
    assert refused(user, fields) == codes
    assert not Channel.objects.exists()


def test_an_address_that_may_not_be_called_is_refused(user, monkeypatch):
    def refuse(_url):
        raise ValidationError("It leads inside.", code="address")

    monkeypatch.setattr(egress, "validate", refuse)

    assert refused(user, {"kind": "slack", "address": "https://127.0.0.1/x"}) == {"address": "address"}


def test_nobody_elses_channel_stands_in(user):
    assert refused(user, email(failover=make_channel(make_user()).pk)) == {"failover": "invalid_choice"}


def test_the_same_address_is_not_taken_twice(user):
    channels.create(user, email())

    assert refused(user, email()) == {"address": "unique"}
    assert channels.create(make_user(), email()).pk


def test_a_browser_that_comes_again_is_the_same_channel(user):
    first = channels.create(user, {"kind": "browser", "address": subscription()})
    channels.disable(first)

    again = channels.create(user, {"kind": "browser", "address": json.dumps(subscription(auth=b"b" * 16))})

    again.refresh_from_db()
    assert (again.pk, again.is_enabled) == (first.pk, True)
    assert json.loads(again.address)["keys"]["auth"] == b64(b"b" * 16)
    assert destinations.endpoint_of(again.address) == "https://push.example.com/send/abc"


def test_a_plan_has_room_for_so_many_and_says_so(user):
    for number in range(3):
        channels.create(user, email(f"a{number}@example.com"))

    with pytest.raises(ChannelLimit, match="room for 3 channels"):
        channels.create(user, email())


@pytest.mark.django_db(transaction=True)
def test_the_limit_is_exact_however_many_ask_at_once():
    user = make_user(tier=Tier.PRO.value)
    start = threading.Barrier(12)

    def attempt(number: int) -> bool:
        try:
            start.wait(30)
            channels.create(user, email(f"a{number}@example.com"))
        except ChannelLimit:
            return False
        else:
            return True
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        made = sum(pool.map(attempt, range(12)))

    assert (made, user.channels.count()) == (5, 5)


# --- changing


def test_only_what_is_given_changes(user):
    made = channels.create(user, email(quiet_from="22:00", quiet_until="07:00", digest_above=4))

    channels.edit(made, {"name": "desk", "quiet_from": None, "quiet_until": None})

    made.refresh_from_db()
    assert (made.name, made.quiet_from, made.quiet_until) == ("desk", None, None)
    assert (made.digest_above, made.address) == (4, "a@example.com")


def test_another_address_is_untried(user):
    made = make_channel(user, ChannelKind.SLACK, state=ChannelState.DISABLED, failures_in_a_row=3)

    channels.edit(made, {"address": HOOK})

    made.refresh_from_db()
    assert (made.label, made.state, made.failures_in_a_row) == ("hooks.example.com", "untried", 0)


def test_a_channel_does_not_stand_in_for_itself(user):
    made = make_channel(user)

    with pytest.raises(InvalidRule):
        channels.edit(made, {"failover": made.pk})


def test_what_waits_for_the_morning_goes_when_quiet_hours_are_taken_back(user, sender, still):
    still.moment = START.replace(hour=6)
    made = make_channel(user, quiet_from=time(22), quiet_until=time(7))
    make_notification(user)
    drain()
    assert states() == ["queued"]

    channels.edit(made, {"quiet_from": None, "quiet_until": None})
    drain()

    assert states() == ["sent"]


def test_a_secret_is_replaced(user):
    made = channels.create(user, {"kind": "webhook", "address": HOOK})
    old = made.secret

    new = channels.rotate_secret(made)

    made.refresh_from_db()
    assert old != new == made.secret


def test_what_an_error_switched_off_is_switched_on_again(user):
    made = make_channel(user, state=ChannelState.DISABLED, failures_in_a_row=5, is_enabled=False)

    channels.enable(made)

    made.refresh_from_db()
    assert (made.is_enabled, made.state, made.failures_in_a_row) == (True, "untried", 0)


def test_what_a_removed_channel_had_goes_to_the_one_that_stands_in(user, sender):
    stand_in = make_channel(user, lowest_priority=Priority.CRITICAL)
    made = make_channel(user, failover=stand_in)
    make_notification(user)
    outbox.expand()

    channels.remove(made)
    drain()

    assert not Channel.objects.filter(pk=made.pk).exists()
    assert states() == ["sent"]
    assert len(sender.titles(stand_in)) == 1


# --- trying


def test_a_test_is_sent_now_and_its_outcome_returned(user, sender):
    made = make_channel(user)

    outcome = channels.test(made)

    made.refresh_from_db()
    assert outcome.is_sent
    assert (made.state, made.last_success_at) == ("ok", START)
    notification = Notification.objects.get()
    assert (notification.kind, notification.read_at) == ("test", START)
    assert sender.keys == [Delivery.objects.get().key] == [f"ot-{notification.pk}-{made.pk}"]
    assert states() == ["sent"]


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.retry("slow"), "untried"), (Outcome.permanent("gone"), "disabled")]
)
def test_a_test_that_fails_says_why_and_is_not_tried_again(user, sender, outcome, state):
    made = make_channel(user)
    sender.always[made.pk] = outcome

    assert channels.test(made) == outcome
    drain()

    made.refresh_from_db()
    assert (made.state, made.last_error, made.failures_in_a_row) == (state, outcome.error, 1)
    assert states() == ["dead"]
    assert list(Notification.objects.values_list("kind", flat=True)) == ["test"]
    assert len(sender.messages) == 1


def test_a_test_may_show_that_a_switched_off_channel_works_again(user, sender):
    made = make_channel(user, state=ChannelState.DISABLED)

    channels.test(made)

    made.refresh_from_db()
    assert made.state == ChannelState.OK


def test_tests_are_limited_to_a_few_per_minute(user, sender, still):
    made, other = make_channel(user), make_channel(user)
    for _ in range(5):
        channels.test(made)

    with pytest.raises(errors.TooManyTests):
        channels.test(other)
    still.moment = START + timedelta(seconds=61)
    channels.test(other)

    assert len(sender.messages) == 6


def test_each_kind_of_channel_can_be_made(user):
    user.tier = Tier.EXPERT.value
    user.save()
    addresses = {
        ChannelKind.EMAIL: "a@example.com", ChannelKind.WEBHOOK: HOOK, ChannelKind.SLACK: HOOK,
        ChannelKind.DISCORD: HOOK, ChannelKind.BROWSER: subscription(),
    }  # fmt: skip

    for kind in ChannelKind:
        channels.create(user, {"kind": kind.value, "address": addresses[kind]})

    assert sorted(user.channels.values_list("kind", flat=True)) == sorted(ChannelKind.values)
