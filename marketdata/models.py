from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex, OpClass
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Upper

from marketdata.errors import Kind
from marketdata.providers.base import AssetClass, Unit
from marketdata.quotes import ActionKind, Session

# Prices are numeric(20, 8): wide enough for 1,234,567.89 and for a coin of 0.00000001.


def choices_of(enum: type[StrEnum]) -> list[tuple[str, str]]:
    return [(member.value, member.value.replace("_", " ").capitalize()) for member in enum]


class Ticker(models.Model):
    """One instrument under one canonical symbol; every other spelling leads here."""

    # Being unique, it also has an index for LIKE 'AAP%'.
    symbol = models.CharField(max_length=20, unique=True, help_text="Canonical spelling, such as BRK.B")
    name = models.CharField(max_length=200)
    exchange = models.CharField(max_length=40, blank=True)
    sector = models.CharField(max_length=60, blank=True)
    asset_class = models.CharField(
        max_length=10, choices=choices_of(AssetClass), default=AssetClass.STOCK.value
    )
    currency = models.CharField(max_length=3, default="USD")
    is_active = models.BooleanField(default=True, help_text="Inactive tickers cannot be newly watched.")
    created_at = models.DateTimeField(auto_now_add=True)
    bars_loaded_at = models.DateTimeField(
        null=True, editable=False, help_text="When past bars were last asked of a provider."
    )

    class Meta:
        ordering = ["symbol"]
        indexes = [
            models.Index(OpClass(Upper("name"), name="text_pattern_ops"), name="ticker_name_prefix"),
            GinIndex(SearchVector("name", config="simple"), name="ticker_name_words"),
        ]

    def __str__(self) -> str:
        return self.symbol


class Quote(models.Model):
    """The last quote of a ticker, one row each, written by the tape (numbered) or by a fetch (epoch 0)."""

    ticker = models.OneToOneField(Ticker, on_delete=models.CASCADE, primary_key=True, related_name="quote")
    price = models.DecimalField(max_digits=20, decimal_places=8)
    change = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    change_percent = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    volume = models.BigIntegerField(null=True)
    open = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    high = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    low = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    previous_close = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    bid = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    ask = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    as_of = models.DateTimeField(help_text="When the price was true.")
    received_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Asked for again after this, unless it streams.")
    provider = models.CharField(max_length=20)
    session = models.CharField(max_length=10, choices=choices_of(Session), default=Session.REGULAR.value)
    replay_date = models.DateField(null=True, help_text="The real day that is being replayed.")
    halted = models.BooleanField(default=False)
    delayed_s = models.IntegerField(default=0)
    epoch = models.BigIntegerField(default=0)
    seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            # PostgreSQL holds NaN greater than every number, so only an upper bound refuses it.
            models.CheckConstraint(
                condition=models.Q(price__gt=0, price__lt=10**12), name="quote_price_is_a_price"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ticker_id}: {self.price}"


class MinuteBar(models.Model):
    """Open, high, low, close and volume of one minute of one ticker."""

    ticker = models.ForeignKey(Ticker, on_delete=models.CASCADE, db_index=False, related_name="minute_bars")
    start = models.DateTimeField()
    open = models.DecimalField(max_digits=20, decimal_places=8)
    high = models.DecimalField(max_digits=20, decimal_places=8)
    low = models.DecimalField(max_digits=20, decimal_places=8)
    close = models.DecimalField(max_digits=20, decimal_places=8)
    volume = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ticker", "start"], name="minute_bar_once")]

    def __str__(self) -> str:
        return f"{self.ticker_id} {self.start:%Y-%m-%d %H:%M}"


class DailyBar(models.Model):
    """Open, high, low, close and volume of one trading day, unadjusted; the table is partitioned by month."""

    ticker = models.ForeignKey(Ticker, on_delete=models.CASCADE, db_index=False, related_name="daily_bars")
    day = models.DateField()
    open = models.DecimalField(max_digits=20, decimal_places=8)
    high = models.DecimalField(max_digits=20, decimal_places=8)
    low = models.DecimalField(max_digits=20, decimal_places=8)
    close = models.DecimalField(max_digits=20, decimal_places=8)
    volume = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ticker", "day"], name="daily_bar_once")]

    def __str__(self) -> str:
        return f"{self.ticker_id} {self.day}"


class UpstreamState(models.TextChoices):
    IDLE = "idle", "Idle"
    CONNECTING = "connecting", "Connecting"
    OPEN = "open", "Open"
    WAITING = "waiting", "Waiting to reconnect"
    CLOSED = "closed", "Closed"


class Upstream(models.Model):
    """What the tape of one shard last said about its connection to one provider."""

    shard = models.CharField(max_length=10)
    provider = models.CharField(max_length=20)
    state = models.CharField(max_length=12, choices=UpstreamState)
    holder = models.CharField(max_length=120)
    epoch = models.BigIntegerField()
    symbols_open = models.IntegerField(default=0)
    ticks_accepted = models.BigIntegerField(default=0)
    ticks_refused = models.BigIntegerField(default=0)
    last_tick_at = models.DateTimeField(null=True)
    since = models.DateTimeField()
    last_error = models.CharField(max_length=300, blank=True)
    reported_at = models.DateTimeField()

    class Meta:
        ordering = ["shard", "provider"]
        constraints = [models.UniqueConstraint(fields=["shard", "provider"], name="upstream_once")]

    def __str__(self) -> str:
        return f"{self.provider}, shard {self.shard}"


class CorporateAction(models.Model):
    """A dividend, split or rename of one ticker, effective from the morning of its ex-date in New York on."""

    ticker = models.ForeignKey(Ticker, on_delete=models.CASCADE, db_index=False, related_name="actions")
    kind = models.CharField(max_length=10, choices=choices_of(ActionKind))
    ex_date = models.DateField()
    special = models.BooleanField(default=False, help_text="A dividend outside the regular ones.")
    amount = models.DecimalField(
        max_digits=20,
        decimal_places=8,
        null=True,
        blank=True,
        help_text="Of a dividend, per share as it was then.",
    )
    currency = models.CharField(max_length=3, default="USD")
    split_from = models.DecimalField(max_digits=20, decimal_places=8, null=True, blank=True)
    split_to = models.DecimalField(
        max_digits=20,
        decimal_places=8,
        null=True,
        blank=True,
        help_text="4:1 is from 1 to 4, 1:50 from 50 to 1.",
    )
    new_symbol = models.CharField(max_length=20, blank=True)
    declared_date = models.DateField(null=True, blank=True)
    record_date = models.DateField(null=True, blank=True)
    pay_date = models.DateField(null=True, blank=True)
    provider = models.CharField(max_length=20)
    loaded_at = models.DateTimeField()

    class Meta:
        ordering = ["-ex_date"]
        constraints = [
            models.UniqueConstraint(fields=["ticker", "kind", "ex_date", "special"], name="action_once"),
            models.CheckConstraint(
                condition=~models.Q(kind="split") | models.Q(split_from__gt=0, split_to__gt=0),
                name="split_has_factors",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="dividend") | models.Q(amount__gt=0), name="dividend_has_amount"
            ),
        ]
        indexes = [models.Index(fields=["ex_date"], name="action_ex_date")]

    def __str__(self) -> str:
        return f"{self.ticker_id} {self.kind} {self.ex_date}"


class Fundamentals(models.Model):
    """The newest figures of a company, as one provider told them; see `marketdata.company.Fundamentals`."""

    ticker = models.OneToOneField(
        Ticker, on_delete=models.CASCADE, primary_key=True, related_name="fundamentals"
    )
    as_of = models.DateField()
    currency = models.CharField(max_length=3, default="USD")
    figures = models.JSONField(help_text="Decimals as text; what is not there was not told.")
    provider = models.CharField(max_length=20)
    simulated = models.BooleanField(default=False)
    loaded_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "fundamentals"

    def __str__(self) -> str:
        return f"{self.ticker_id} {self.as_of}"


class CalendarException(models.Model):
    """A day on which the New York market does not keep its usual hours, entered by an operator."""

    day = models.DateField(unique=True)
    closed = models.BooleanField(
        default=True, help_text="The whole day. Clear it and give the hours otherwise."
    )
    opens_at = models.TimeField(null=True, blank=True, help_text="New York time; empty: 9:30.")
    closes_at = models.TimeField(null=True, blank=True, help_text="New York time; empty: 16:00.")
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day}: {self.note or ('closed' if self.closed else 'other hours')}"


class Cause(models.TextChoices):
    """Why a provider was asked."""

    REQUEST = "request", "Somebody asked"
    POLL = "poll", "Wanted, does not stream"
    WARM = "warm", "Before the open"
    SEED = "seed", "Stream begins"
    STREAM = "stream", "Stream"
    BACKFILL = "backfill", "History"
    CHECK = "check", "Test call"


class ProviderCall(models.Model):
    """One call that may cost money: the raw units, never a price. What it costs follows from the price book."""

    at = models.DateTimeField()
    provider = models.CharField(max_length=20)
    plan = models.CharField(max_length=40, blank=True)
    endpoint = models.CharField(max_length=20)
    cause = models.CharField(max_length=10, choices=Cause)
    symbols = ArrayField(models.CharField(max_length=20), default=list)
    units = models.DecimalField(max_digits=20, decimal_places=6, default=Decimal(1))
    unit = models.CharField(max_length=16, choices=choices_of(Unit), default=Unit.REQUEST.value)
    outcome = models.CharField(max_length=16, choices=choices_of(Kind))
    status = models.SmallIntegerField(null=True, help_text="HTTP status; empty: no answer, or not over HTTP.")
    bytes = models.BigIntegerField(default=0)
    latency_ms = models.IntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["provider", "at"], name="provider_call_provider_at"),
            BrinIndex(fields=["at"], name="provider_call_at"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.endpoint} {self.at:%Y-%m-%d %H:%M:%S}"


class Price(models.Model):
    """One line of the price book: what a unit costs at a provider, from when to when.

    The most special line that fits a call counts: one that names plan and endpoint before one that leaves them empty.
    """

    provider = models.CharField(max_length=20)
    plan = models.CharField(max_length=80, blank=True, help_text="Empty: every plan.")
    endpoint = models.CharField(max_length=20, blank=True, help_text="Empty: every endpoint.")
    unit = models.CharField(max_length=16, choices=choices_of(Unit))
    usd = models.DecimalField("US dollars", max_digits=20, decimal_places=9, help_text="For one unit.")
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True, help_text="Empty: until further notice.")
    note = models.CharField(max_length=200, blank=True, help_text="Where the price is from.")

    class Meta:
        verbose_name = "price"
        verbose_name_plural = "price book"
        ordering = ["provider", "plan", "endpoint", "unit", "-valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "plan", "endpoint", "unit", "valid_from"], name="price_once"
            ),
            models.CheckConstraint(condition=models.Q(usd__gte=0), name="price_not_negative"),
            models.CheckConstraint(
                condition=models.Q(valid_to__isnull=True) | models.Q(valid_to__gt=models.F("valid_from")),
                name="price_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.unit}: ${self.usd}"
