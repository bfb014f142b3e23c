"""Making, changing and trying channels: the only code that writes what a user says of them.

The user's row is locked while channels are counted, so the limit of the tier is exact. The secret of a webhook is
there to be read in the answer to `create` and to `rotate_secret`, and is shown nowhere else.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any

from django.db import transaction

from accounts.models import User
from alerts import confirming, destinations, dispatch, handing_on, marking, messages, outbox
from alerts.checking import HIGHEST_ID, Reading, Wrong, one_of, priority, text, whole
from alerts.claiming import LEASE_S
from alerts.deliveries.base import Outcome
from alerts.destinations import Destination
from alerts.errors import ChannelLimit, FieldError, InvalidRule, TooManyTests, Unconfirmed
from alerts.kinds import Priority
from alerts.models import (
    Channel,
    ChannelKind,
    ChannelState,
    Delivery,
    DeliveryState,
    Notification,
    NotificationKind,
)
from core import clock

NAME_LENGTH = 80
MOST_PER_MINUTE = 1_000
DIGEST_ABOVE = 10
SECRET_BYTES = 32
WALL_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::00)?", re.ASCII)
# Of one user, over all channels.
TESTS_PER_MINUTE = 5
FIELDS = (
    "name", "lowest_priority", "quiet_from", "quiet_until", "quiet_lets_critical", "digest_above", "failover",
)  # fmt: skip


# --- making and changing


def create(user: User, fields: Mapping[str, Any]) -> Channel:
    """`kind` and `address`, and whatever else is given. Raises InvalidRule and ChannelLimit.

    A browser that is known already is not made again: its subscription is renewed. An e-mail address that the
    account has not proven to be its own is asked to confirm it and gets nothing else before.
    """
    kind, destination, values = _read_new(fields)
    with transaction.atomic():
        owner = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        same = _same(owner, kind, destination.address)
        if same is not None:
            return _renewed(same, destination)
        if owner.channels.count() >= owner.limits.max_channels:
            raise ChannelLimit(owner.tier)
        channel = Channel(user=owner, kind=kind.value, created_at=clock.now())
        _move(channel, destination)
        channel.secret = new_secret() if kind is ChannelKind.WEBHOOK else ""
        _apply(channel, {"name": f"{kind.label} {destination.label}"[:NAME_LENGTH], **values})
        channel.save(force_insert=True)
    confirming.ask_if_needed(channel)
    return channel


def _read_new(fields: Mapping[str, Any]) -> tuple[ChannelKind, Destination, dict[str, Any]]:
    reading = Reading(fields)
    reading.take("kind", one_of(ChannelKind), missing="Choose what kind of channel it is.")
    kind: ChannelKind | None = reading.values.get("kind")
    if kind is not None:
        reading.take(
            "address", lambda value: destinations.read(kind, value), missing="Say where it is to send to."
        )
    _read_options(reading, kind)
    values = reading.finish()
    return values.pop("kind"), values.pop("address"), values


def _same(owner: User, kind: ChannelKind, address: str) -> Channel | None:
    """Addresses are encrypted, each time differently, and cannot be searched for; a user has a few."""
    mine = owner.channels.filter(kind=kind.value)
    return next((one for one in mine if _is_same(kind, one.address, address)), None)


def _is_same(kind: ChannelKind, one: str, other: str) -> bool:
    if kind is ChannelKind.BROWSER:
        return destinations.endpoint_of(one) == destinations.endpoint_of(other)
    return one == other


def _renewed(channel: Channel, destination: Destination) -> Channel:
    if channel.kind != ChannelKind.BROWSER:
        raise InvalidRule({"address": FieldError("unique", "You have a channel for this already.")})
    _move(channel, destination)
    channel.is_enabled = True
    channel.save(update_fields=["address", "label", "state", "failures_in_a_row", "is_enabled"])
    return channel


def edit(channel: Channel, fields: Mapping[str, Any]) -> Channel:
    """Only what is given. Raises InvalidRule. What waited by the old quiet hours is looked at again at once."""
    kind = ChannelKind(channel.kind)
    if fields.get("kind") not in (None, "", kind.value):
        raise InvalidRule(
            {"kind": FieldError("invalid", "A channel keeps its kind. Make another one for this.")}
        )
    reading = Reading({name: value for name, value in fields.items() if name in (*FIELDS, "address")})
    if "address" in fields:
        reading.take(
            "address", lambda value: destinations.read(kind, value), missing="Say where it is to send to."
        )
    _read_options(reading, kind)
    values = reading.finish()
    destination = values.pop("address", None)
    with transaction.atomic():
        row = Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)
        moves = destination is not None and destination.address != row.address
        if destination is not None and moves:
            _move(row, destination)
        _apply(row, values)
        row.save()
        row.deliveries.filter(state=DeliveryState.QUEUED, first_attempt_at=None).update(
            next_attempt_at=clock.now()
        )
        outbox.wake()
    if moves:
        confirming.ask_if_needed(row)
    return row


def _read_options(reading: Reading, kind: ChannelKind | None) -> None:
    """Those that are given; a program wants each message by itself."""
    programs = kind is ChannelKind.WEBHOOK
    readers = {
        "name": (text(NAME_LENGTH), None),
        "lowest_priority": (priority, Priority.LOW),
        "quiet_from": (_wall_time, None),
        "quiet_until": (_wall_time, None),
        "quiet_lets_critical": (_yes_or_no, True),
        "digest_above": (whole(0, MOST_PER_MINUTE), 0 if programs else DIGEST_ABOVE),
        "failover": (whole(1, HIGHEST_ID), None),
    }
    is_new = "kind" in reading.values
    for name, (read, default) in readers.items():
        if name in reading.fields or (is_new and default is not None):
            reading.take(name, read, default)
    if not reading.has("name"):
        reading.values.pop("name", None)


def _wall_time(value: Any) -> time:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not WALL_TIME.fullmatch(value):
        raise Wrong("Write a time of day such as 22:30.")
    return time.fromisoformat(value)


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("Write true or false.")
    return value


def _apply(channel: Channel, values: Mapping[str, Any]) -> None:
    """Raises InvalidRule, where what is given does not go with the rest."""
    for name, value in values.items():
        if name == "failover":
            channel.failover = _stand_in(channel, value)
        else:
            setattr(channel, name, value)
    if (channel.quiet_from is None) != (channel.quiet_until is None):
        missing = "quiet_until" if channel.quiet_until is None else "quiet_from"
        raise InvalidRule({missing: FieldError("required", "Give both ends of the quiet hours.")})
    if channel.quiet_from is not None and channel.quiet_from == channel.quiet_until:
        raise InvalidRule({"quiet_until": FieldError("invalid", "They end when they begin.")})


def _stand_in(channel: Channel, pk: int | None) -> Channel | None:
    if pk is None:
        return None
    found = channel.user.channels.filter(pk=pk).exclude(pk=channel.pk).first()
    if found is None:
        raise InvalidRule({"failover": FieldError("invalid_choice", "Choose another channel of yours.")})
    return found


def _move(channel: Channel, destination: Destination) -> None:
    """To another address, of which nothing is known yet."""
    channel.address, channel.label = destination
    channel.state = confirming.first_state(channel.user, channel.kind, channel.address).value
    channel.failures_in_a_row = 0


def new_secret() -> str:
    """As Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def rotate_secret(channel: Channel) -> str:
    """A new one from now on; the old one signs nothing any more."""
    secret = new_secret()
    channel.secret = secret
    channel.save(update_fields=["secret"])
    return secret


# --- switching and removing


def enable(channel: Channel) -> None:
    """Also after an error has switched it off; whether it works is found with the next message."""
    rows = Channel.objects.filter(pk=channel.pk)
    rows.update(is_enabled=True)
    # Of what it is now: meanwhile it may have got an address that nobody has confirmed.
    rows.filter(state=ChannelState.DISABLED).update(state=ChannelState.UNTRIED, failures_in_a_row=0)
    channel.refresh_from_db(fields=["is_enabled", "state", "failures_in_a_row"])


def disable(channel: Channel) -> None:
    channel.is_enabled = False
    channel.save(update_fields=["is_enabled"])


@transaction.atomic
def remove(channel: Channel) -> None:
    """With its history. What it has not sent goes to the channel that stands in for it, if there is one."""
    locked = Channel.objects.select_for_update().filter(pk=channel.pk).first()
    if locked is None:
        return
    waiting = list(locked.deliveries.filter(state=DeliveryState.QUEUED).values_list("pk", flat=True))
    if locked.failover_id and handing_on.hand_on(waiting, "The channel was removed.", clock.now()):
        outbox.wake()
    locked.delete()


# --- trying


def test(channel: Channel) -> Outcome:
    """Send a message now, one attempt, and say how it went; the channel's health knows it too.

    It stands in the inbox as read and in the history of the channel. Who dies meanwhile has it sent a little later.
    Raises TooManyTests and Unconfirmed.
    """
    delivery = _test_delivery(channel)
    outcome = dispatch.send(delivery.channel, messages.of_notification(delivery.notification, delivery.key))
    now = clock.now()
    with transaction.atomic():
        Channel.objects.select_for_update(no_key=True).filter(pk=channel.pk).first()
        if outcome.is_sent:
            marking.keep_success([channel.pk], now, revives=True)
            Delivery.objects.filter(pk=delivery.pk).update(state=DeliveryState.SENT, sent_at=now)
        else:
            error = outcome.error[:300]
            permanent = outcome.is_permanent
            marking.keep_failure(channel.pk, error, now, is_permanent=permanent, is_last=False)
            Delivery.objects.filter(pk=delivery.pk).update(state=DeliveryState.DEAD, last_error=error)
    return outcome


@transaction.atomic
def _test_delivery(channel: Channel) -> Delivery:
    owner = User.objects.select_for_update(no_key=True).get(pk=channel.user_id)
    row = Channel.objects.get(pk=channel.pk)
    if row.state == ChannelState.UNCONFIRMED:
        raise Unconfirmed
    now = clock.now()
    tests = owner.notifications.filter(kind=NotificationKind.TEST, created_at__gt=now - timedelta(minutes=1))
    if tests.count() >= TESTS_PER_MINUTE:
        raise TooManyTests
    notification = Notification.objects.create(
        user=owner, kind=NotificationKind.TEST, priority=Priority.LOW, title=f"Test of {channel.name}",
        body="This channel works: your notifications arrive here.", scheduled_at=now, created_at=now, read_at=now,
    )  # fmt: skip
    return Delivery.objects.create(
        notification=notification, channel=row, key=f"ot-{notification.pk}-{row.pk}",
        priority=Priority.LOW, attempts=1, first_attempt_at=now, created_at=now,
        next_attempt_at=now + timedelta(seconds=2 * LEASE_S),
    )  # fmt: skip
