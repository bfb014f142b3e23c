"""Rules on prices, what made them fire, and whom it was told.

Written where the name says it: alerts by `rules`, what fires by `committing` and `sweep`, deliveries by `outbox`.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils import timezone

from alerts.kinds import Kind, Mode, Phase, Priority, Rule, Sessions, Way
from core.encryption import EncryptedTextField
from marketdata.models import Ticker


def choices_of(enum: type[Enum]) -> list[tuple[object, str]]:
    return [(member.value, member.name.replace("_", " ").capitalize()) for member in enum]


class AlertQuerySet(models.QuerySet["Alert"]):
    def kept(self) -> Self:
        """Not deleted."""
        return self.filter(deleted_at=None)


class Alert(models.Model):
    """One user's rule on one ticker.

    `active` is whether it is evaluated at all: not paused, not done, not expired, not deleted. `version` rises with
    every edit of the rule, `fire_seq` with every fire.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts", db_index=False
    )
    ticker = models.ForeignKey(Ticker, on_delete=models.PROTECT, db_index=False, related_name="alerts")
    kind = models.CharField(max_length=16, choices=choices_of(Kind))
    threshold = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    threshold_percent = models.DecimalField(
        max_digits=10, decimal_places=4, null=True, blank=True, help_text="From the reference price."
    )
    reference_price = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    lower = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    upper = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    window_s = models.IntegerField("window, in seconds", null=True, blank=True)
    way = models.CharField(max_length=8, choices=choices_of(Way), default=Way.EITHER.value)
    stale_after_s = models.IntegerField("stale after, in seconds", null=True, blank=True)
    sessions = models.CharField(max_length=10, choices=choices_of(Sessions), default=Sessions.REGULAR.value)
    mode = models.CharField(max_length=8, choices=choices_of(Mode), default=Mode.ONCE.value)
    rearm_band = models.DecimalField("re-arm band, in percent", max_digits=7, decimal_places=4, default=0)
    cooldown_s = models.IntegerField("cooldown, in seconds", default=0)
    priority = models.SmallIntegerField(choices=choices_of(Priority), default=Priority.MEDIUM.value)
    category = models.CharField(max_length=40, blank=True)
    note = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    is_paused = models.BooleanField(default=False)

    active = models.BooleanField(default=True)
    phase = models.SmallIntegerField(choices=choices_of(Phase))
    direction = models.SmallIntegerField(default=0, help_text="Of a level: 1 up, -1 down; 0: no level.")
    version = models.IntegerField(default=1)
    fire_seq = models.IntegerField(default=0)
    armed_at = models.DateTimeField(help_text="In its phase since then: only later ticks count.")
    armed_price = models.DecimalField(
        max_digits=20,
        decimal_places=8,
        null=True,
        blank=True,
        help_text="At which it was armed, as far as a tick did it.",
    )
    last_fired_at = models.DateTimeField(null=True, blank=True)
    last_fired_day = models.DateField(null=True, blank=True, help_text="In the owner's time zone.")
    splits_until = models.DateField(help_text="Splits up to this day are in the threshold.")
    edited_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[Alert]] = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "-id"], condition=Q(deleted_at=None), name="alert_of_user"),
            # The sweep's: armed levels by ticker and threshold, each direction on its own.
            models.Index(
                fields=["ticker", "threshold"],
                condition=Q(active=True, phase=1, direction=1),
                name="alert_up",
            ),
            models.Index(
                fields=["ticker", "threshold"],
                condition=Q(active=True, phase=1, direction=-1),
                name="alert_down",
            ),
            models.Index(fields=["ticker"], condition=Q(active=True), name="alert_active"),
            # The others, for a split or a new name of their ticker.
            models.Index(fields=["ticker"], condition=Q(active=False), name="alert_resting"),
            models.Index(fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="alert_deleted"),
            models.Index(fields=["edited_at"], name="alert_edited"),
            models.Index(
                fields=["expires_at"], condition=Q(active=True, expires_at__isnull=False), name="alert_expiry"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold=None) | Q(threshold__gt=0, threshold__lt=10**12),
                name="alert_threshold_is_a_number",
            ),
            models.CheckConstraint(
                condition=Q(lower=None, upper=None)
                | Q(lower__gt=0, upper__gt=models.F("lower"), upper__lt=10**12),
                name="alert_channel_is_one",
            ),
        ]

    def __str__(self) -> str:
        """No row asks for its ticker just to be named."""
        has_ticker = Alert.ticker.is_cached(self)
        return f"{self.get_kind_display()} on {self.ticker.symbol if has_ticker else self.ticker_id}"

    @property
    def rule(self) -> Rule:
        """Needs `user`."""
        return Rule(
            kind=Kind(self.kind), threshold=self.threshold, lower=self.lower, upper=self.upper,
            window_s=self.window_s, way=Way(self.way), stale_after_s=self.stale_after_s,
            sessions=Sessions(self.sessions), mode=Mode(self.mode), rearm_band=self.rearm_band,
            cooldown_s=self.cooldown_s, expires_at=self.expires_at, snoozed_until=self.snoozed_until,
            time_zone=self.user.time_zone,
        )  # fmt: skip


class Source(models.TextChoices):
    """What found the crossing."""

    TICK = "tick", "Tick"
    GAP = "gap", "First tick after a gap"
    SWEEP = "sweep", "Sweep over minute bars"
    CLOCK = "clock", "Silence"


class Trigger(models.Model):
    """One fire and its evidence. A row never changes but for a retraction.

    `rule` is the rule as it was, `before` and `tick` what `alerts.evidence` wrote of the last two accepted ticks.
    """

    # Here and below no parent is looked for: one statement writes both, and looking was a third of its time.
    alert = models.ForeignKey(
        Alert, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="triggers"
    )
    fire_seq = models.IntegerField()
    rule_version = models.IntegerField()
    rule = models.JSONField()
    source = models.CharField(max_length=8, choices=Source)
    price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    provider = models.CharField(max_length=20, blank=True)
    session = models.CharField(max_length=10, blank=True)
    trade_id = models.CharField(max_length=64, blank=True)
    before = models.JSONField(null=True)
    tick = models.JSONField(null=True)
    extra = models.JSONField(default=dict, help_text="What else the decision needs, such as a 52-week high.")
    armed_at = models.DateTimeField()
    armed_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    local_day = models.DateField(null=True, help_text="Of alerts that fire once per day: the owner's date.")
    exchange_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField()
    committed_at = models.DateTimeField(help_text="Just before the commit.")
    position = models.CharField(
        max_length=48, blank=True, help_text="In the tick stream: shard, epoch, batch."
    )
    retracted_at = models.DateTimeField(null=True)
    retraction = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["alert", "fire_seq"], name="trigger_once"),
            models.UniqueConstraint(
                fields=["alert", "local_day"], condition=Q(local_day__isnull=False), name="trigger_once_a_day"
            ),
        ]
        indexes = [BrinIndex(fields=["committed_at"], name="trigger_committed")]

    def __str__(self) -> str:
        return f"{self.alert_id}:{self.fire_seq}"


class NotificationKind(models.TextChoices):
    ALERT = "alert", "Alert"
    RETRACTION = "retraction", "Retraction"
    SPLIT = "split", "Split"
    CHANNEL = "channel", "Channel"
    TEST = "test", "Test"


class Notification(models.Model):
    """One message to one user; the inbox. Kept for 30 days. Ids rise, but may become visible in another order."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False, related_name="notifications"
    )
    # `notification_once` begins with it.
    trigger = models.ForeignKey(
        Trigger,
        on_delete=models.CASCADE,
        db_constraint=False,
        null=True,
        db_index=False,
        related_name="notifications",
    )
    kind = models.CharField(max_length=12, choices=NotificationKind, default=NotificationKind.ALERT.value)
    priority = models.SmallIntegerField(choices=choices_of(Priority), default=Priority.MEDIUM.value)
    category = models.CharField(max_length=40, blank=True)
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    symbol = models.CharField(max_length=20, blank=True)
    current_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    scheduled_at = models.DateTimeField(help_text="Not to be delivered before.")
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["trigger", "kind"], name="notification_once"),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="notification_inbox"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="notification_unread"),
            BrinIndex(fields=["created_at"], name="notification_created"),
        ]

    def __str__(self) -> str:
        return self.title


class Outbox(models.Model):
    """A notification whose deliveries are still to be made: written with it, deleted when they are rows."""

    notification = models.OneToOneField(
        Notification, on_delete=models.CASCADE, db_constraint=False, primary_key=True
    )
    priority = models.SmallIntegerField()
    due_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "outbox"
        indexes = [models.Index(fields=["priority", "due_at"], name="outbox_order")]

    def __str__(self) -> str:
        return f"outbox {self.notification_id}"


class ChannelKind(models.TextChoices):
    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"
    SLACK = "slack", "Slack"
    DISCORD = "discord", "Discord"
    BROWSER = "browser", "Browser"


class ChannelState(models.TextChoices):
    OK = "ok", "Works"
    UNCONFIRMED = "unconfirmed", "Not confirmed yet"
    UNTRIED = "untried", "Not tried yet"
    FAILING = "failing", "Failing"
    DISABLED = "disabled", "Switched off after a permanent error"


class Channel(models.Model):
    """One destination of one user. `address` and `secret` are encrypted; what is shown is `label`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=10, choices=ChannelKind)
    name = models.CharField(max_length=80)
    address = EncryptedTextField(help_text="E-mail address, URL, or the browser's subscription as JSON.")
    label = models.CharField(max_length=120, help_text="The address as far as it may be shown.")
    secret = EncryptedTextField(blank=True, help_text="Of a webhook: what its messages are signed with.")
    is_enabled = models.BooleanField(default=True)
    lowest_priority = models.SmallIntegerField(
        choices=choices_of(Priority),
        default=Priority.LOW.value,
        help_text="Less urgent ones are not sent here.",
    )
    quiet_from = models.TimeField(null=True, blank=True, help_text="In the owner's time zone.")
    quiet_until = models.TimeField(null=True, blank=True)
    quiet_lets_critical = models.BooleanField(default=True)
    digest_above = models.IntegerField(
        default=10, help_text="More than so many per minute become one message; 0: never."
    )
    failover = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="stands_in_for"
    )
    state = models.CharField(max_length=12, choices=ChannelState, default=ChannelState.UNTRIED.value)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    failures_in_a_row = models.IntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class DeliveryState(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENT = "sent", "Sent"
    FAILED_OVER = "failed_over", "Sent elsewhere"
    DIGESTED = "digested", "In a digest"
    SKIPPED = "skipped", "Not wanted any more"
    DEAD = "dead", "Given up"


class Delivery(models.Model):
    """One notification to one channel: sent, then marked. `key` is the same at every attempt."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, db_index=False, related_name="deliveries")
    key = models.CharField(
        max_length=64, unique=True, help_text="By which a receiver recognises a repetition."
    )
    state = models.CharField(max_length=12, choices=DeliveryState, default=DeliveryState.QUEUED.value)
    priority = models.SmallIntegerField()
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(
        help_text="Queued: not before; while it is being sent: not again before."
    )
    first_attempt_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    digest = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="digested"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["notification", "channel"], name="delivery_once")]
        indexes = [
            models.Index(
                fields=["priority", "next_attempt_at"], condition=Q(state="queued"), name="delivery_queue"
            ),
            # Of one channel: what waits for its turn, and how many messages it had within the last minute.
            models.Index(
                fields=["channel", "priority", "next_attempt_at"],
                condition=Q(state="queued", digest=None),
                name="delivery_turn",
            ),
            models.Index(
                fields=["channel", "first_attempt_at"],
                condition=Q(first_attempt_at__isnull=False),
                name="delivery_lately",
            ),
            models.Index(fields=["channel", "-id"], name="delivery_of_channel"),
            models.Index(fields=["-id"], condition=Q(state="dead"), name="delivery_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.state}"


class Position(models.Model):
    """How far the alerts of one shard have read the tick stream; committed with what they found."""

    shard = models.CharField(max_length=10, primary_key=True)
    epoch = models.BigIntegerField(help_text="Of the reader's lease: a lower one writes nothing.")
    entry = models.CharField(max_length=40, default="0-0", help_text="Of the Redis stream.")
    tape_epoch = models.BigIntegerField(default=0)
    batch = models.BigIntegerField(default=0)
    at = models.DateTimeField(null=True, help_text="When the tape had sent that batch.")
    saved_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.shard} at {self.entry}"


class Sweep(models.Model):
    """Up to which minute the sweep has looked; one row."""

    name = models.CharField(max_length=10, primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.until}"
