"""What is known of tickers in words, what a model was asked, and what it answered.

Written where the name says it: articles by `news`, transcripts by `transcripts`, orders by `orders`, calls by
`spending`, texts by `storing`.
"""

from __future__ import annotations

from enum import Enum

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from marketdata.models import Ticker
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Outcome, Persona, Task


def choices_of(enum: type[Enum]) -> list[tuple[object, str]]:
    return [(member.value, member.name.replace("_", " ").capitalize()) for member in enum]


class Article(models.Model):
    """One piece of news, stored once whoever told it: plain text, without any markup."""

    tickers = models.ManyToManyField(Ticker, related_name="articles")
    headline = models.CharField(max_length=500)
    text = models.TextField(blank=True, help_text="Plain; empty where only the headline was told.")
    source = models.CharField(max_length=100, blank=True, help_text="Who wrote it.")
    url = models.URLField(max_length=1000, blank=True)
    licence = models.CharField(max_length=200, blank=True)
    provider = models.CharField(max_length=20, help_text="Who told us first.")
    external_id = models.CharField(max_length=200, blank=True, help_text="The provider's own.")
    content_hash = models.CharField(max_length=64, unique=True, help_text="Of headline and text.")
    is_fictional = models.BooleanField(default=False)
    published_at = models.DateTimeField()
    loaded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-published_at", "-id"]
        indexes = [
            models.Index(fields=["-published_at", "-id"], name="article_newest"),
            models.Index(fields=["provider", "external_id"], name="article_external"),
        ]

    def __str__(self) -> str:
        return self.headline


class Transcript(models.Model):
    """What was said in one earnings call, as plain text by speaker."""

    ticker = models.ForeignKey(Ticker, on_delete=models.CASCADE, related_name="transcripts", db_index=False)
    year = models.SmallIntegerField(help_text="Of the company's fiscal year.")
    quarter = models.SmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(4)])
    title = models.CharField(max_length=300)
    held_on = models.DateField(null=True, blank=True)
    speeches = models.JSONField(help_text='A list of {"speaker", "role", "text"}.')
    provider = models.CharField(max_length=20)
    content_hash = models.CharField(max_length=64)
    is_fictional = models.BooleanField(default=False)
    loaded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-year", "-quarter", "ticker"]
        constraints = [
            models.UniqueConstraint(fields=["ticker", "year", "quarter"], name="transcript_once"),
            models.CheckConstraint(condition=Q(quarter__gte=1, quarter__lte=4), name="transcript_quarter"),
        ]

    def __str__(self) -> str:
        return self.title


class Generated(models.Model):
    """What every text has that was not written by a person."""

    model = models.CharField(max_length=80, help_text=f"Its name; {EXTRACTIVE}: none was asked.")
    prompt_version = models.CharField(max_length=20)
    claims = models.IntegerField(default=0, help_text="Numbers, dates and tickers that it named.")
    grounded = models.IntegerField(default=0, help_text="Those that its source has, or that we computed.")
    dropped = models.IntegerField(default=0, help_text="Sentences that were left out for one that has none.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    @property
    def is_extractive(self) -> bool:
        return self.model == EXTRACTIVE


class Summary(Generated):
    """What an article says in short."""

    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="summaries", db_index=False)
    sentences = models.JSONField(help_text="Two or three.")
    key_points = models.JSONField(help_text="Three to five; fewer of a short article.")
    sentiment = models.DecimalField(max_digits=3, decimal_places=2, help_text="From -1 to 1.")
    related = ArrayField(models.CharField(max_length=20), default=list, verbose_name="related tickers")

    class Meta:
        verbose_name_plural = "summaries"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["article", "model", "prompt_version"], name="summary_once"),
            models.CheckConstraint(
                condition=Q(sentiment__gte=-1, sentiment__lte=1), name="summary_sentiment"
            ),
        ]

    def __str__(self) -> str:
        return f"summary of article {self.article_id} by {self.model}"


class EarningsSummary(Generated):
    """What an earnings call said in short; kept for ever."""

    transcript = models.ForeignKey(
        Transcript, on_delete=models.CASCADE, related_name="summaries", db_index=False
    )
    sentences = models.JSONField("executive summary")
    key_metrics = models.JSONField(help_text='A list of {"name", "value"}.')
    guidance = models.JSONField("forward guidance")
    sentiment = models.DecimalField(max_digits=3, decimal_places=2, help_text="From -1 to 1.")

    class Meta:
        verbose_name_plural = "earnings summaries"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["transcript", "model", "prompt_version"], name="earnings_summary_once"
            ),
            models.CheckConstraint(
                condition=Q(sentiment__gte=-1, sentiment__lte=1), name="earnings_sentiment"
            ),
        ]

    def __str__(self) -> str:
        return f"summary of transcript {self.transcript_id} by {self.model}"


class Analysis(Generated):
    """A ticker in the style of a persona. Score and figures are computed by us, a model only explains them."""

    ticker = models.ForeignKey(Ticker, on_delete=models.CASCADE, related_name="analyses", db_index=False)
    persona = models.CharField(max_length=10, choices=choices_of(Persona))
    inputs_hash = models.CharField(max_length=64)
    inputs = models.JSONField(help_text='{name: {"value", "as_of", "source"}}')
    score = models.SmallIntegerField(help_text="From 0 to 100.")
    criteria = models.JSONField(help_text='A list of {"name", "points", "of", "text"}.')
    sentences = models.JSONField("reasoning")

    class Meta:
        verbose_name_plural = "analyses"
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["ticker", "persona", "-created_at"], name="analysis_newest")]
        constraints = [
            models.UniqueConstraint(
                fields=["ticker", "persona", "inputs_hash", "model", "prompt_version"], name="analysis_once"
            ),
            models.CheckConstraint(condition=Q(score__gte=0, score__lte=100), name="analysis_score"),
        ]

    def __str__(self) -> str:
        return f"{self.get_persona_display()} on {self.ticker_id}"


class ModelEntry(models.Model):
    """What is known of one model; its price stands in the price book, with its name as the plan."""

    name = models.CharField(max_length=80, unique=True, help_text="As the vendor spells it.")
    vendor = models.CharField(max_length=20, default="openai", help_text="As in the price book.")
    context_tokens = models.IntegerField(default=128_000)
    max_output_tokens = models.IntegerField(default=16_000)
    supports_schema = models.BooleanField("supports JSON schemas", default=True)
    supports_batch = models.BooleanField("supports overnight batches", default=False)
    end_of_life = models.DateField(null=True, blank=True, help_text="Not asked from that day on (UTC).")
    end_of_life_source = models.CharField(max_length=200, blank=True)
    fallback = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Asked instead once it has ended.",
    )
    cheaper = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Asked instead when the budget is nearly used up.",
    )
    warned_days = models.SmallIntegerField(
        null=True, editable=False, help_text="How many days before the end was last warned."
    )
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name = "model"
        ordering = ["vendor", "name"]

    def __str__(self) -> str:
        return self.name


class BudgetScope(models.TextChoices):
    DAY = "day", "Everything"
    LANE = "lane", "A lane"
    TIER = "tier", "What users of a tier ask for"


class Budget(models.Model):
    """What may be spent in a day (UTC), and from how much of it on less is bought. At 100 % nothing is."""

    scope = models.CharField(max_length=4, choices=BudgetScope)
    name = models.CharField(max_length=20, blank=True, help_text="Of the lane or the tier.")
    usd_per_day = models.DecimalField("US dollars a day", max_digits=12, decimal_places=4)
    warn_percent = models.SmallIntegerField(default=80)
    cheaper_percent = models.SmallIntegerField("cheaper model from, in percent", default=90)
    cached_only_percent = models.SmallIntegerField("no renewals from, in percent", default=95)

    class Meta:
        ordering = ["scope", "name"]
        constraints = [
            models.UniqueConstraint(fields=["scope", "name"], name="budget_once"),
            models.CheckConstraint(condition=Q(usd_per_day__gte=0), name="budget_not_negative"),
            models.CheckConstraint(
                condition=Q(
                    warn_percent__gte=0,
                    cheaper_percent__gte=F("warn_percent"),
                    cached_only_percent__gte=F("cheaper_percent"),
                    cached_only_percent__lte=100,
                ),
                name="budget_steps_rise",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display()} {self.name}".strip()


class BatchState(models.TextChoices):
    SENDING = "sending", "Being handed in"
    SENT = "sent", "Sent"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class RemoteBatch(models.Model):
    """Questions that a vendor answers until tomorrow, at half the price."""

    model = models.CharField(max_length=80)
    external_id = models.CharField(
        max_length=200, unique=True, help_text="The vendor's own; until that is known, ours."
    )
    state = models.CharField(max_length=8, choices=BatchState, default=BatchState.SENT.value)
    sent_at = models.DateTimeField(default=timezone.now)
    polled_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "remote batches"
        ordering = ["-sent_at"]

    def __str__(self) -> str:
        return self.external_id


class ModelCall(models.Model):
    """One call of a language model: the raw tokens. What it cost follows from the price book.

    It is written before the call is made, with the most that it can use, and settled when it has ended.
    """

    at = models.DateTimeField(default=timezone.now)
    vendor = models.CharField(max_length=20)
    model = models.CharField(max_length=80)
    task = models.CharField(max_length=10, choices=choices_of(Task))
    lane = models.CharField(max_length=12, choices=choices_of(Lane))
    tier = models.CharField(max_length=10, blank=True, help_text="Of who asked; empty: for everybody.")
    prompt_version = models.CharField(max_length=20)
    symbols = ArrayField(models.CharField(max_length=20), default=list)
    asked = models.SmallIntegerField(default=1, help_text="Items asked for.")
    answered = models.SmallIntegerField(default=0, help_text="Items that could be used.")
    outcome = models.CharField(max_length=14, choices=choices_of(Outcome), default=Outcome.OPEN.value)
    input_tokens = models.BigIntegerField(default=0, help_text="Cached ones included.")
    cached_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    counted_femto = models.DecimalField(
        "counts against the budget",
        max_digits=30,
        decimal_places=0,
        default=0,
        help_text="In 1e-15 US dollars: the most it can cost while it is open, then what it cost.",
    )
    took_ms = models.IntegerField(default=0)
    request_id = models.CharField(max_length=200, blank=True, help_text="The vendor's own.")
    error = models.CharField(max_length=300, blank=True)
    batch = models.ForeignKey(RemoteBatch, null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["at"], name="model_call_at"),
            models.Index(fields=["at"], condition=Q(outcome="open"), name="model_call_open"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(cached_tokens__gte=0, cached_tokens__lte=F("input_tokens"), output_tokens__gte=0),
                name="model_call_tokens",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.task} {self.at:%Y-%m-%d %H:%M:%S}"


class Order(models.Model):
    """A text that somebody wants bought. Its key makes it one, whoever and however many want it.

    Claimed by a conditional update that names `claims`, so that who comes too late finds nothing to settle.
    """

    key = models.CharField(max_length=250, unique=True)
    task = models.CharField(max_length=10, choices=choices_of(Task))
    lane = models.CharField(max_length=12, choices=choices_of(Lane), default=Lane.MINUTES.value)
    tier = models.CharField(max_length=10, blank=True, help_text="Of who asked first; empty: for everybody.")
    is_renewal = models.BooleanField(default=False, help_text="There is a text already.")
    is_alone = models.BooleanField(default=False, help_text="Asked by itself, since it failed in a batch.")
    article = models.ForeignKey(Article, null=True, blank=True, on_delete=models.CASCADE)
    transcript = models.ForeignKey(Transcript, null=True, blank=True, on_delete=models.CASCADE)
    analysis = models.ForeignKey(
        Analysis,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        help_text="The extractive one whose figures are to be explained.",
    )
    symbols = ArrayField(models.CharField(max_length=20), default=list)
    state = models.CharField(max_length=8, choices=choices_of(OrderState), default=OrderState.QUEUED.value)
    failures = models.SmallIntegerField(default=0, help_text="Answers that were of no use.")
    claims = models.IntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, blank=True)
    call = models.ForeignKey(
        ModelCall, null=True, blank=True, on_delete=models.SET_NULL, help_text="The latest that asked for it."
    )
    batch = models.ForeignKey(RemoteBatch, null=True, blank=True, on_delete=models.SET_NULL)
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                fields=["lane", "not_before", "id"], condition=Q(state="queued"), name="order_queued"
            ),
            models.Index(fields=["claimed_until"], condition=Q(state="running"), name="order_running"),
            models.Index(fields=["done_at"], condition=Q(state__in=["done", "dead"]), name="order_ended"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(task="summary", article__isnull=False)
                | Q(task="earnings", transcript__isnull=False)
                | Q(task="analysis", analysis__isnull=False),
                name="order_has_matter",
            ),
        ]

    def __str__(self) -> str:
        return self.key
