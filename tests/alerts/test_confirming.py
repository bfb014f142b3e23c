"""E-mail addresses that nobody has proven: nothing goes there before somebody who reads them says so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.core import mail
from django.db import connections, transaction

from accounts.tiers import Tier
from alerts import channels, claiming, confirming, marking, outbox
from alerts.deliveries.base import Outcome
from alerts.errors import BadLink, TooManyConfirmations, Unconfirmed
from alerts.models import Channel, ChannelState, Delivery, Notification
from core import egress
from tests.alerts.mailing import FakeSender, StillClock, drain, make_channel, make_notification, states
from tests.factories import make_user, prove_address

pytestmark = pytest.mark.django_db

OTHER = "stranger@example.org"


@pytest.fixture(autouse=True)
def still(monkeypatch):
    return StillClock(monkeypatch)


@pytest.fixture
def sender(monkeypatch):
    return FakeSender(monkeypatch)


@pytest.fixture
def user():
    return make_user("ada", tier=Tier.EXPERT.value)


def make(user, address: str = OTHER, **fields) -> Channel:
    return channels.create(user, {"kind": "email", "address": address, **fields})


def state_of(channel: Channel) -> str:
    return Channel.objects.get(pk=channel.pk).state


def links(sender) -> list[str]:
    return [message.url for _, message in sender.messages if message.kind == "confirmation"]


def token(link: str) -> str:
    return link.rstrip("/").rpartition("/")[2]


def reason(link: str) -> str:
    with pytest.raises(BadLink) as raised:
        confirming.confirm(token(link))
    return str(raised.value)


# --- before


@pytest.mark.parametrize("address", ["ada@example.com", "ADA@Example.com"])
def test_an_address_that_the_account_has_proven_needs_no_confirmation(user, sender, address):
    prove_address(user)
    assert state_of(make(user, address)) == "untried"
    assert sender.messages == []


def test_that_an_account_was_made_with_an_address_proves_nothing(user, sender):
    assert state_of(make(user, "ada@example.com")) == "unconfirmed"
    assert len(links(sender)) == 1


def test_a_webhook_needs_no_confirmation(user, sender, monkeypatch):
    monkeypatch.setattr(egress, "validate", lambda _: None)
    made = channels.create(user, {"kind": "webhook", "address": "https://hooks.example.com/x"})

    assert (state_of(made), sender.messages) == ("untried", [])


def test_another_address_gets_one_mail_and_nothing_else(user, sender):
    made = make(user)
    make_notification(user)
    drain()

    assert state_of(made) == "unconfirmed"
    assert [message.kind for _, message in sender.messages] == ["confirmation"]
    assert not Delivery.objects.exists()


def test_after_the_confirmation_it_gets_what_comes(user, sender):
    made = make(user)

    confirming.confirm(token(links(sender)[0]))
    make_notification(user, title="news")
    drain()

    assert sender.titles(made) == ["Notifications from Onetape?", "news"]
    assert state_of(made) == "ok"


def test_it_does_not_stand_in_for_another(user, sender):
    made = make(user)
    broken = make_channel(user, state=ChannelState.DISABLED, failover=made)
    make_notification(user)
    drain()

    assert states(channel=broken) == ["dead"]
    assert states(channel=made) == []


def test_what_waits_when_the_address_changes_goes_to_the_channel_that_stands_in(user, sender):
    stand_in = make_channel(user, lowest_priority=1)
    made = make_channel(user, failover=stand_in)
    make_notification(user, title="news")
    outbox.expand()
    channels.edit(made, {"address": OTHER})

    drain()

    assert states(channel=made) == ["failed_over"]
    assert sender.titles(stand_in) == ["news"]


def test_an_address_that_changes_between_claiming_and_sending_gets_nothing(user, sender, monkeypatch):
    made = make_channel(user)
    make_notification(user)
    claim = claiming.claim

    def claim_and_move(*given):
        found = claim(*given)
        if found.claims:
            Channel.objects.filter(pk=made.pk).update(state="unconfirmed")
        return found

    monkeypatch.setattr(claiming, "claim", claim_and_move)
    drain()

    assert sender.messages == []
    assert states() == ["dead"]


def test_an_attempt_at_the_former_address_says_nothing_of_the_new_one(user, sender, still):
    made = make(user)

    with transaction.atomic():
        marking.keep_success([made.pk], still.moment, revives=True)
        assert state_of(made) == "unconfirmed"
        marking.note_failure(made, "gone", still.moment, is_permanent=True, is_last=False)

    channels.enable(made)
    assert state_of(made) == "unconfirmed"
    assert not Notification.objects.filter(title__contains="switched off").exists()


def test_a_test_is_refused(user, sender):
    made = make(user)

    with pytest.raises(Unconfirmed, match="before the link"):
        channels.test(made)

    assert len(sender.messages) == 1
    assert not Delivery.objects.exists()


def test_switching_it_off_and_on_confirms_nothing(user, sender):
    made = make(user)
    channels.disable(made)
    channels.enable(made)

    assert state_of(made) == "unconfirmed"


def test_who_holds_a_channel_as_it_was_confirms_nothing_by_switching_it_on(user, sender):
    made = make_channel(user, state=ChannelState.DISABLED)
    before = Channel.objects.get(pk=made.pk)
    channels.edit(made, {"address": OTHER})

    channels.enable(before)

    assert (state_of(made), before.state) == ("unconfirmed", "unconfirmed")


# --- the mail


def test_the_mail_says_who_asked_and_has_one_link(user):
    make(user, name="Buy at https://evil.example")

    (sent,) = mail.outbox
    html, _ = sent.alternatives[0]
    assert sent.to == [OTHER]
    for body in (sent.body, html):
        assert "The user ada of Onetape" in body
        assert "Ignore this mail if it was not you" in body
        assert body.count("http") == 1
        assert "evil" not in body
    assert "List-Unsubscribe" not in sent.extra_headers


def test_the_mail_is_no_delivery_and_stands_in_the_inbox_as_read(user, sender, still):
    made = make(user)

    note = Notification.objects.get()
    assert (note.title, note.category, note.read_at) == (
        f"{OTHER} was asked to confirm", f"confirmation {made.pk}", still.moment,
    )  # fmt: skip
    assert not Delivery.objects.exists()


def test_what_goes_wrong_is_said_at_the_channel(user, sender, monkeypatch):
    monkeypatch.setattr(
        sender, "send", lambda *_: Outcome.permanent("The mail server refuses the recipient (550).")
    )

    made = make(user)

    assert (made.state, made.last_error) == (
        "unconfirmed", "No mail was sent. The mail server refuses the recipient (550).",
    )  # fmt: skip


# --- how many mails


def test_a_channel_has_one_mail_an_hour(user, sender, still):
    made = make(user)

    with pytest.raises(TooManyConfirmations, match="within the last hour"):
        confirming.ask(made)
    still.later(minutes=60)

    assert confirming.ask(made).is_sent
    assert len(sender.messages) == 2


def test_a_user_has_five_mails_a_day_also_if_channels_are_removed(user, sender, still):
    for number in range(6):
        made = make(user, f"a{number}@example.org")
        if number < 5:
            channels.remove(made)

    assert len(sender.messages) == 5
    assert (
        made.last_error
        == "No mail was sent. You have had 5 of these mails sent within a day. Try again tomorrow."
    )
    with pytest.raises(TooManyConfirmations):
        confirming.ask(made)
    still.later(days=1)
    assert confirming.ask(made).is_sent
    assert Channel.objects.get().last_error == ""


def test_changing_the_address_again_and_again_sends_one_mail(user, sender):
    made = make_channel(user)
    for number in range(4):
        made = channels.edit(made, {"address": f"a{number}@example.org"})

    assert len(sender.messages) == 1
    assert (made.state, made.label) == ("unconfirmed", "a3@example.org")
    assert "within the last hour" in made.last_error


@pytest.mark.django_db(transaction=True)
def test_the_limits_are_exact_however_many_ask_at_once(monkeypatch):
    sender, user = FakeSender(monkeypatch), make_user(tier=Tier.EXPERT.value)
    rows = [make_channel(user, state=ChannelState.UNCONFIRMED) for _ in range(6)]
    create, together = Notification.objects.create, threading.Barrier(12)

    def create_together(**fields):
        """All have counted before one writes, if they may."""
        with suppress(threading.BrokenBarrierError):
            together.wait(1)
        return create(**fields)

    monkeypatch.setattr(Notification.objects, "create", create_together)

    def attempt(row: Channel) -> bool:
        try:
            return confirming.ask(row).is_sent
        except TooManyConfirmations:
            return False
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        sent = sum(pool.map(attempt, rows * 2))

    asked = [channel for channel, _ in sender.messages]
    assert (sent, len(asked), len(set(asked))) == (5, 5, 5)


def test_a_confirmed_channel_is_not_asked(user, sender):
    made = make_channel(user)

    assert confirming.ask(made) == Outcome.permanent("This channel needs no confirmation.")
    assert sender.messages == []


# --- the link


def test_the_link_of_another_channel_confirms_that_one_only(user, sender):
    one, other = make(user), make(make_user("bob"))

    confirming.confirm(token(links(sender)[0]))

    assert (state_of(one), state_of(other)) == ("untried", "unconfirmed")


def test_a_link_works_twice_and_changes_nothing_the_second_time(user, sender):
    made = make(user)
    (link,) = links(sender)
    confirming.confirm(token(link))
    Channel.objects.update(state="failing", failures_in_a_row=4)

    assert confirming.confirm(token(link)) == made

    assert list(Channel.objects.values_list("state", "failures_in_a_row")) == [("failing", 4)]


def test_a_link_runs_out_after_three_days(user, sender, still):
    made = make(user)
    (link,) = links(sender)
    still.later(days=3, seconds=-1)
    assert confirming.channel_of(token(link)) == made

    still.later(seconds=1)

    assert "good for three days" in reason(link)
    assert state_of(made) == "unconfirmed"


def test_a_link_does_not_confirm_the_next_address(user, sender):
    made = make(user)
    (link,) = links(sender)

    channels.edit(made, {"address": "next@example.org"})

    assert "another address" in reason(link)
    assert state_of(made) == "unconfirmed"


def test_a_confirmed_channel_that_moves_has_to_be_confirmed_again(user, sender, still):
    made = make(user)
    confirming.confirm(token(links(sender)[0]))
    still.later(hours=1)

    channels.edit(made, {"address": "next@example.org"})
    assert state_of(made) == "unconfirmed"
    confirming.confirm(token(links(sender)[1]))

    assert state_of(made) == "untried"


def test_going_back_to_the_own_address_needs_none(user, sender):
    prove_address(user)
    made = make(user)

    channels.edit(made, {"address": "ada@example.com"})

    assert state_of(made) == "untried"


def test_a_link_of_a_removed_channel_confirms_nothing(user, sender):
    channels.remove(make(user))

    assert "was removed" in reason(links(sender)[0])


@pytest.mark.parametrize(
    "change", [lambda link: link[:-3], lambda _: "x", lambda link: f"A{link}", lambda _: ":"]
)
def test_what_we_have_not_signed_confirms_nothing(user, sender, change):
    made = make(user)

    assert "cut off" in reason(change(token(links(sender)[0])))
    assert state_of(made) == "unconfirmed"


def test_no_log_has_the_address_or_the_link(user, monkeypatch, caplog, client):
    caplog.set_level("DEBUG")
    sender = FakeSender(monkeypatch)
    made = make_channel(user, address="canary@example.org", label="canary@example.org", state="unconfirmed")
    link = token(f"/{confirming.token_of(made)}")

    def fail(*_):
        raise RuntimeError("canary")

    monkeypatch.setattr(sender, "send", fail)
    assert confirming.ask(made).error == "Our sender failed (RuntimeError)."
    client.handler.enforce_csrf_checks = True
    assert client.post(f"/account/channels/confirm/{link}/").status_code == 403
    channels.remove(made)
    assert client.get(f"/account/channels/confirm/{link}/").status_code == 404

    assert "/account/channels/confirm/…/" in caplog.text
    assert [word for word in ("canary", link) if word in caplog.text] == []
