"""What is sent, how it ended, and which module sends to which kind of channel.

A sender makes one attempt and never raises for what the other side did: it says how it ended, and the dispatcher
decides what comes next. Its words are shown to the channel's owner, so they hold no address, key or answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from importlib import import_module
from typing import Any, Protocol, cast

from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind

# No notification: a mail that asks whether notifications may be sent there.
CONFIRMATION = "confirmation"


@dataclass(frozen=True, slots=True)
class Message:
    """One notification, or a digest of several, for one channel; the same at every attempt."""

    key: str
    """By which the receiver recognises a repetition."""
    kind: str
    """A NotificationKind, or CONFIRMATION."""
    priority: Priority
    title: str
    body: str
    symbol: str
    current_price: Decimal | None
    url: str
    """Of its page, absolute."""
    created_at: datetime
    user_email: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What programs get besides, such as the evidence; JSON values."""
    items: tuple[Message, ...] = ()
    """What a digest holds, oldest first."""


class Result(StrEnum):
    SENT = "sent"
    RETRY = "retry"
    PERMANENT = "permanent"
    """It will never work with this channel as it is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    result: Result
    error: str = ""
    after_s: float | None = None
    """Of a retry: not sooner, as the other side asked; None: it did not say."""

    @classmethod
    def sent(cls) -> Outcome:
        return cls(Result.SENT)

    @classmethod
    def retry(cls, error: str, after_s: float | None = None) -> Outcome:
        return cls(Result.RETRY, error, after_s)

    @classmethod
    def permanent(cls, error: str) -> Outcome:
        return cls(Result.PERMANENT, error)

    @property
    def is_sent(self) -> bool:
        return self.result is Result.SENT

    @property
    def is_permanent(self) -> bool:
        return self.result is Result.PERMANENT


class Sender(Protocol):
    """A module of this package."""

    def send(self, channel: Channel, message: Message) -> Outcome: ...


SENDERS = {
    ChannelKind.EMAIL: "alerts.deliveries.email",
    ChannelKind.WEBHOOK: "alerts.deliveries.webhook",
    ChannelKind.SLACK: "alerts.deliveries.chat",
    ChannelKind.DISCORD: "alerts.deliveries.chat",
    ChannelKind.BROWSER: "alerts.deliveries.browser",
}


def sender_of(kind: str) -> Sender:
    """Loaded when first needed: what web push needs is large, and most processes send nothing."""
    return cast("Sender", import_module(SENDERS[ChannelKind(kind)]))
