from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from marketdata.models import Ticker


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def active(self, now: datetime | None = None) -> Self:
        """Those that count: not dormant, and lasting or not ended yet."""
        now = now or timezone.now()
        return self.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now), dormant=False)

    def lasting(self) -> Self:
        """The watchlist: made by a person, without an end."""
        return self.filter(ends_at__isnull=True)


class Subscription(models.Model):
    """One user wants one ticker; the only source of demand from people. Written by `subscriptions.watchlist` only."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    ticker = models.ForeignKey(Ticker, on_delete=models.PROTECT, db_index=False, related_name="subscriptions")
    subscribed_at = models.DateTimeField(default=timezone.now)
    last_accessed = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Empty: on the watchlist. Set: streamed until then, renewed while connected.",
    )
    dormant = models.BooleanField(default=False, help_text="Kept, but above what the user's tier allows.")

    objects: ClassVar[models.Manager[Subscription]] = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "ticker"], name="subscription_once")]
        indexes = [models.Index(fields=["ticker"], name="subscription_ticker")]

    def __str__(self) -> str:
        return f"{self.user_id} watches {self.ticker_id}"


class WatchInterval(models.Model):
    """From when to when a user wanted a ticker; kept, so that each purchase can be attributed later."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    ticker = models.ForeignKey(Ticker, on_delete=models.CASCADE, db_index=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "ticker"], condition=Q(ended_at__isnull=True), name="watch_interval_one_open"
            ),
        ]
        indexes = [models.Index(fields=["ticker", "started_at"], name="watch_interval_ticker")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.ticker_id} {self.started_at:%Y-%m-%d %H:%M}"
