"""The channels of a user, without a script. Nothing is sent: what a test would do is told by a stand-in."""

from __future__ import annotations

import html
import re
from datetime import time, timedelta

import pytest
from django.core import mail
from django.test import Client

from accounts.tiers import LIMITS, Tier
from alerts import channels
from alerts.deliveries.base import Outcome
from alerts.errors import TooManyTests
from alerts.models import Channel
from core import clock, egress
from tests.factories import make_user, prove_address

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_name_server_is_asked(monkeypatch) -> None:
    monkeypatch.setattr(egress, "validate", lambda _: None)


@pytest.fixture
def alice(client: Client):
    user = make_user("alice")
    prove_address(user)
    client.force_login(user)
    return user


def text(answer) -> str:
    return re.sub(r"\s+", " ", html.unescape(answer.content.decode()))


def make_channel(user, address: str = "a@example.com", kind: str = "email", **fields) -> Channel:
    return channels.create(user, {"kind": kind, "address": address, **fields})


def errors(answer) -> list[str]:
    return re.findall(r'class="error"[^>]*>.*?<span>([^<]+)</span>', text(answer))


def act(client: Client, channel: Channel, name: str):
    return client.post(f"/account/channels/{channel.pk}/act/", {"act": name}, follow=True)


def settings(**fields) -> dict[str, str]:
    untouched = {
        "name": "Mail",
        "lowest_priority": "low",
        "quiet_from": "",
        "quiet_until": "",
        "digest_above": "10",
        "failover": "",
    }
    return {**untouched, **fields}


# --- the list


def test_the_app_is_always_a_channel(client: Client, alice) -> None:
    answer = text(client.get("/account/channels/"))

    assert "In the app" in answer
    assert "0 of 3 on Free" in answer


def test_each_channel_tells_how_it_stands(client: Client, alice, still) -> None:
    now = clock.now()
    fine = make_channel(alice, name="Mail")
    broken = make_channel(alice, "https://hooks.example.com/secret-path", "webhook", name="Server")
    off = make_channel(alice, "b@example.com", name="Old")
    Channel.objects.filter(pk=fine.pk).update(state="ok", last_success_at=now)
    Channel.objects.filter(pk=broken.pk).update(
        state="failing", last_error="HTTP 503", last_error_at=now, failures_in_a_row=4, lowest_priority=2,
        quiet_from=time(22), quiet_until=time(7), failover=fine,
    )  # fmt: skip
    channels.disable(off)

    answer = text(client.get("/account/channels/"))

    for shown in [
        "Works</span>", "Failing</span>", "Off</span>", "HTTP 503, 4 times in a row", "High and critical",
        "quiet 22:00 to 07:00", "else Mail", "Last sent Today", "3 of 3 on Free",
        "All 3 channels of your Free plan are in use",
    ]:  # fmt: skip
        assert shown in answer
    assert "secret-path" not in answer


def test_an_error_that_is_over_is_not_told(client: Client, alice) -> None:
    now = clock.now()
    channel = make_channel(alice)
    Channel.objects.filter(pk=channel.pk).update(
        state="ok", last_error="HTTP 503", last_error_at=now - timedelta(hours=1), last_success_at=now
    )

    assert "HTTP 503" not in text(client.get("/account/channels/"))


# --- adding


def test_an_added_channel_asks_to_be_tried(client: Client, alice) -> None:
    answer = client.post(
        "/account/channels/", {"kind": "email", "address": "Alice@example.com", "name": "Mail"}, follow=True
    )

    assert "Mail added. Send a test" in text(answer)
    assert (alice.channels.get().kind, alice.channels.get().address) == ("email", "Alice@example.com")


# --- confirming


def link_in_the_mail() -> str:
    return re.search(r"http://[^/]+(/account/channels/confirm/\S+/)", mail.outbox[-1].body)[1]


def test_an_address_of_somebody_else_is_asked_first(client: Client, alice) -> None:
    answer = client.post(
        "/account/channels/", {"kind": "email", "address": "bob@example.org", "name": "Mail"}, follow=True
    )

    assert "Mail added. Follow the link in the mail that was sent to bob@example.org." in text(answer)
    assert "Not confirmed yet</span>" in text(answer)
    assert [sent.to for sent in mail.outbox] == [["bob@example.org"]]
    assert "before the link in the mail" in text(act(client, alice.channels.get(), "test"))
    assert "within the last hour" in text(act(client, alice.channels.get(), "confirm"))
    assert len(mail.outbox) == 1


def test_the_mail_is_sent_again_when_asked_for(client: Client, alice) -> None:
    given = {
        "user": alice,
        "kind": "email",
        "name": "Mail",
        "address": "bob@example.org",
        "label": "bob@example.org",
    }
    made = Channel.objects.create(state="unconfirmed", **given)

    assert "A mail with a link was sent to bob@example.org." in text(act(client, made, "confirm"))
    assert [sent.to for sent in mail.outbox] == [["bob@example.org"]]


def test_opening_the_link_only_asks_and_the_button_confirms_without_a_login(alice) -> None:
    made, stranger = make_channel(alice, "bob@example.org"), Client(enforce_csrf_checks=True)
    link = link_in_the_mail()

    for answer in (stranger.get(link), stranger.head(link), stranger.get(link)):
        assert (answer.status_code, "no-store" in answer["Cache-Control"]) == (200, True)
    assert "alice wants notifications to be sent to bob@example.org" in text(stranger.get(link))
    assert stranger.post(link).status_code == 403
    assert Channel.objects.get(pk=made.pk).state == "unconfirmed"

    for _ in range(2):
        answer = stranger.post(link, {"csrfmiddlewaretoken": stranger.cookies["csrftoken"].value})
        assert (answer.status_code, "Confirmed</h1>" in text(answer)) == (200, True)
    assert Channel.objects.get(pk=made.pk).state == "untried"
    assert "Confirmed</h1>" in text(stranger.get(link))


def test_a_link_that_does_not_work_says_why(client: Client, alice) -> None:
    channels.remove(make_channel(alice, "bob@example.org"))

    for answer in (client.get(link_in_the_mail()), client.post(link_in_the_mail())):
        assert (answer.status_code, "the channel was removed" in text(answer)) == (404, True)
    assert "cut off" in text(client.get("/account/channels/confirm/nonsense/"))


def test_the_secret_of_a_webhook_is_shown_once(client: Client, alice) -> None:
    answer = client.post("/account/channels/", {"kind": "webhook", "address": "https://hooks.example.com/x"})
    secret = alice.channels.get().secret

    assert answer.status_code == 201
    assert secret.startswith("whsec_")
    assert f'value="{secret}"' in text(answer)
    assert "no-store" in answer["Cache-Control"]
    assert secret not in text(client.get("/account/channels/"))
    assert secret not in text(client.get(f"/account/channels/{alice.channels.get().pk}/"))

    again = act(client, alice.channels.get(), "rotate")
    assert alice.channels.get().secret != secret
    assert f'value="{alice.channels.get().secret}"' in text(again)


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "email", "address": "no address"},
        {"kind": "telegraph", "address": "x"},
        {"kind": "email"},
    ],
)
def test_an_address_that_cannot_be_is_said_at_its_field(given, client: Client, alice) -> None:
    answer = client.post("/account/channels/", given)

    assert answer.status_code == 400
    assert len(errors(answer)) == 1
    assert not alice.channels.exists()


def test_a_full_plan_adds_no_more(client: Client, alice) -> None:
    for number in range(LIMITS[Tier.FREE].max_channels):
        make_channel(alice, f"a{number}@example.com")

    answer = client.post("/account/channels/", {"kind": "email", "address": "me@example.com"})

    assert answer.status_code == 403
    assert alice.channels.count() == 3


# --- settings


def test_settings_are_shown_and_kept(client: Client, alice) -> None:
    channel, other = make_channel(alice, name="Mail"), make_channel(alice, "b@example.com", name="Other")
    assert f'<option value="{other.pk}">Other</option>' in text(
        client.get(f"/account/channels/{channel.pk}/")
    )
    sent = settings(
        name="Post",
        lowest_priority="high",
        quiet_from="22:30",
        quiet_until="07:00",
        quiet_lets_critical="on",
        digest_above="3",
        failover=str(other.pk),
    )

    assert client.post(f"/account/channels/{channel.pk}/", sent).url == "/account/channels/"

    kept = Channel.objects.get(pk=channel.pk)
    assert (kept.name, kept.lowest_priority, kept.digest_above, kept.failover) == ("Post", 2, 3, other)
    assert (kept.quiet_from, kept.quiet_until, kept.quiet_lets_critical) == (time(22, 30), time(7), True)

    client.post(f"/account/channels/{channel.pk}/", settings())
    kept.refresh_from_db()
    assert (kept.quiet_from, kept.quiet_lets_critical, kept.failover) == (None, False, None)


@pytest.mark.parametrize(
    "wrong",
    [{"quiet_from": "22:00"}, {"quiet_from": "25:00"}, {"digest_above": "many"}, {"failover": "999999"}],
)
def test_wrong_settings_are_said_and_nothing_is_changed(wrong, client: Client, alice) -> None:
    channel = make_channel(alice, name="Mail")

    answer = client.post(f"/account/channels/{channel.pk}/", settings(name="New", **wrong))

    assert answer.status_code == 400
    assert len(errors(answer)) == 1
    assert Channel.objects.get().name == "Mail"


# --- trying, switching, removing


def test_a_test_says_how_it_went(client: Client, alice, monkeypatch) -> None:
    channel = make_channel(alice, name="Mail")
    monkeypatch.setattr(channels, "test", lambda _: Outcome.sent())
    assert "Test sent to Mail" in text(act(client, channel, "test"))

    monkeypatch.setattr(channels, "test", lambda _: Outcome.retry("HTTP 503"))
    assert "The test of Mail failed: HTTP 503" in text(act(client, channel, "test"))

    def too_many(_channel):
        raise TooManyTests

    monkeypatch.setattr(channels, "test", too_many)
    assert 'role="alert"' in text(act(client, channel, "test"))


def test_a_channel_is_switched_off_and_on(client: Client, alice) -> None:
    channel = make_channel(alice, name="Mail")

    assert "Mail is switched off" in text(act(client, channel, "disable"))
    assert not Channel.objects.get().is_enabled
    assert "Mail is switched on" in text(act(client, channel, "enable"))
    assert Channel.objects.get().is_enabled


def test_removing_asks_first(client: Client, alice) -> None:
    channel = make_channel(alice, name="Mail")
    path = f"/account/channels/{channel.pk}/remove/"

    assert "Remove Mail?" in text(client.get(path))
    assert Channel.objects.exists()
    assert "Mail removed" in text(client.post(path, follow=True))
    assert not Channel.objects.exists()


def test_channels_of_others_are_not_there(client: Client, alice) -> None:
    theirs = make_channel(make_user("bob"))

    for path in ["", "act/", "remove/"]:
        assert client.post(f"/account/channels/{theirs.pk}/{path}", {"act": "disable"}).status_code == 404
    assert client.get(f"/account/channels/{theirs.pk}/").status_code == 404
    assert Channel.objects.get().is_enabled


def test_an_act_that_there_is_not_is_a_400(client: Client, alice) -> None:
    channel = make_channel(alice)

    for name in ["explode", "rotate"]:
        assert act(client, channel, name).status_code == 400


@pytest.mark.parametrize("count", [1, 3])
def test_the_channels_cost_the_same_queries_for_any_number(
    count, client: Client, alice, django_assert_num_queries
) -> None:
    for number in range(count):
        make_channel(alice, f"a{number}@example.com")

    # session, user, channels, the shell's numbers
    with django_assert_num_queries(4):
        client.get("/account/channels/")


@pytest.mark.parametrize("name", ["", "Mail", "Mail to a@example.com"])
def test_where_a_channel_sends_to_is_said_once(name, client: Client, alice) -> None:
    made = make_channel(alice, **({"name": name} if name else {}))

    row = text(client.get("/account/channels/")).split(f'data-channel="{made.pk}"')[1].split("</p>")[0]

    assert re.sub("<[^>]*>", "", row).count("a@example.com") == 1
