"""Whether who reads an e-mail address wants notifications there: nothing else is sent to it before.

The link in the mail is signed and holds the channel, a keyed hash of the address and until when it is good, so it
confirms that address of that channel and nothing else. Each mail that was asked for stands in its user's inbox, as
read: by these it is told how many there were, also of channels that have been removed since.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import User
from alerts import dispatch
from alerts.deliveries.base import CONFIRMATION, Message, Outcome
from alerts.errors import BadLink, TooManyConfirmations
from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind, ChannelState, Notification, NotificationKind
from core import clock

SALT = "alerts.confirming"
GOOD_FOR = timedelta(days=3)
# Of one channel, and of one user over all channels.
APART = timedelta(hours=1)
PER_DAY = 5
CONFIRMED = "This channel needs no confirmation."
INCOMPLETE = "This link does not work. It may have been cut off: copy the whole of it from the mail."
ELSEWHERE = "This link does not work any more: the channel was removed, or sends to another address now."
EXPIRED = "This link was good for three days. Whoever made the channel can have another one sent."


def first_state(owner: User, kind: str, address: str) -> ChannelState:
    """Of a channel whose address is new. That it is the account's proves nothing: anybody can sign up with it."""
    if kind != ChannelKind.EMAIL:
        return ChannelState.UNTRIED
    proven = EmailAddress.objects.filter(user=owner, email__iexact=address, verified=True).exists()
    return ChannelState.UNTRIED if proven else ChannelState.UNCONFIRMED


# --- asking


def ask(channel: Channel) -> Outcome:
    """Send the mail now, one attempt. Raises TooManyConfirmations. What went wrong stands at the channel too."""
    asked = _reserve(channel)
    if asked is None:
        return Outcome.permanent(CONFIRMED)
    row, notification = asked
    outcome = dispatch.send(row, _message(row, notification))
    _note(row, outcome.error)
    return outcome


def ask_if_needed(channel: Channel) -> None:
    """Of a channel that has just got its address: it is kept even if no mail may be sent now, and says so."""
    if channel.state != ChannelState.UNCONFIRMED:
        return
    try:
        ask(channel)
    except TooManyConfirmations as limit:
        _note(channel, str(limit))
    channel.refresh_from_db(fields=["last_error", "last_error_at"])


@transaction.atomic
def _reserve(channel: Channel) -> tuple[Channel, Notification] | None:
    """Counts whether or not it arrives: who does not know cannot send it again. None: there is nothing to confirm."""
    owner = User.objects.select_for_update(no_key=True).get(pk=channel.user_id)
    row = owner.channels.filter(pk=channel.pk, state=ChannelState.UNCONFIRMED).first()
    if row is None:
        return None
    row.user = owner
    now = clock.now()
    asked = owner.notifications.filter(kind=NotificationKind.CHANNEL, category__startswith=CONFIRMATION)
    if asked.filter(category=_category(row), created_at__gt=now - APART).exists():
        raise TooManyConfirmations(
            "One was sent for this channel within the last hour. Wait until it is over."
        )
    if asked.filter(created_at__gt=now - timedelta(days=1)).count() >= PER_DAY:
        raise TooManyConfirmations(
            f"You have had {PER_DAY} of these mails sent within a day. Try again tomorrow."
        )
    return row, Notification.objects.create(
        user=owner, kind=NotificationKind.CHANNEL, priority=Priority.LOW, category=_category(row),
        title=f"{row.label} was asked to confirm", body=f"{row.name} sends nothing until the link is followed.",
        scheduled_at=now, created_at=now, read_at=now,
    )  # fmt: skip


def _category(channel: Channel) -> str:
    return f"{CONFIRMATION} {channel.pk}"


def _note(channel: Channel, error: str) -> None:
    waiting = Channel.objects.filter(pk=channel.pk, state=ChannelState.UNCONFIRMED)
    words = f"No mail was sent. {error}"[:300] if error else ""
    waiting.update(last_error=words, last_error_at=clock.now() if error else None)


def _message(channel: Channel, notification: Notification) -> Message:
    return Message(
        key=f"ot-{CONFIRMATION}-{notification.pk}",
        kind=CONFIRMATION,
        priority=Priority.MEDIUM,
        title="Notifications from Onetape?",
        body=f"The user {channel.user.username} of Onetape wants notifications to be sent to this address.",
        symbol="",
        current_price=None,
        url=f"{settings.PUBLIC_URL}/account/channels/confirm/{token_of(channel)}/",
        created_at=notification.created_at,
    )


# --- the link


def token_of(channel: Channel) -> str:
    until = int((clock.now() + GOOD_FOR).timestamp())
    return signing.Signer(salt=SALT).sign_object([channel.pk, _hash(channel), until])


def _hash(channel: Channel) -> str:
    return salted_hmac(SALT, f"{channel.pk} {channel.address}", algorithm="sha256").hexdigest()[:32]


def channel_of(token: str) -> Channel:
    """Which this link confirms, or has confirmed. Raises BadLink."""
    try:
        pk, hashed, until = signing.Signer(salt=SALT).unsign_object(token)
    except signing.BadSignature:
        raise BadLink(INCOMPLETE) from None
    channel = Channel.objects.select_related("user").filter(pk=pk).first()
    if channel is None or not constant_time_compare(_hash(channel), hashed):
        raise BadLink(ELSEWHERE)
    if channel.state == ChannelState.UNCONFIRMED and clock.now() >= datetime.fromtimestamp(until, tz=UTC):
        raise BadLink(EXPIRED)
    return channel


@transaction.atomic
def confirm(token: str) -> Channel:
    """The second time changes nothing. Raises BadLink."""
    Channel.objects.select_for_update(no_key=True).filter(pk=channel_of(token).pk).first()
    channel = channel_of(token)
    if channel.state == ChannelState.UNCONFIRMED:
        channel.state, channel.failures_in_a_row = ChannelState.UNTRIED.value, 0
        channel.last_error, channel.last_error_at = "", None
        channel.save(update_fields=["state", "failures_in_a_row", "last_error", "last_error_at"])
    return channel
