from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Upper

from marketdata.providers.base import AssetClass
from marketdata.quotes import Session

# Prices are numeric(20, 8): wide enough for 1,234,567.89 and for a coin of 0.00000001.


def choices_of(enum: type[AssetClass | Session]) -> list[tuple[str, str]]:
    return [(member.value, member.value.capitalize()) for member in enum]


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
