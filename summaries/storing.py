"""Texts become rows: those that a model wrote, once they are checked, and those made of the source's own sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from core import metrics
from summaries import batching, grounding
from summaries.drafts import AnalysisDraft, Draft, EarningsDraft, SummaryDraft
from summaries.grounding import Checked
from summaries.kinds import EXTRACTIVE, Task
from summaries.llm.base import Item
from summaries.llm.registry import EXTRACTIVE_MODEL
from summaries.matter import item_of_article, item_of_transcript, question_of
from summaries.models import Analysis, Article, EarningsSummary, Order, Summary, Transcript

# Of the way in which sentences are taken from a source.
EXTRACTIVE_VERSION = "1"
NO_TIME_S = 60.0  # no network is asked
CHUNK = 200


def keep(order: Order, checked: Checked, model: str, prompt_version: str) -> None:
    """What a model wrote for an order. A text of the same source, prompt and model stays as it is."""
    draft = checked.draft
    common = _common(checked, model, prompt_version)
    if isinstance(draft, SummaryDraft):
        row = Summary(article=order.article, **_fields(draft), **common)
        Summary.objects.bulk_create([row], ignore_conflicts=True)
    elif isinstance(draft, EarningsDraft):
        call = EarningsSummary(transcript=order.transcript, **_fields(draft), **common)
        EarningsSummary.objects.bulk_create([call], ignore_conflicts=True)
    elif isinstance(draft, AnalysisDraft):
        assert order.analysis is not None  # a constraint of the table
        _keep_analysis(order.analysis, draft, common)
    metrics.summaries_made.labels(task=order.task, by="model").inc()


def _keep_analysis(figures: Analysis, draft: AnalysisDraft, common: dict[str, Any]) -> None:
    """The same figures, in a model's words."""
    row = Analysis(
        ticker_id=figures.ticker_id, persona=figures.persona, inputs_hash=figures.inputs_hash,
        inputs=figures.inputs, score=figures.score, criteria=figures.criteria, **_fields(draft), **common,
    )  # fmt: skip
    Analysis.objects.bulk_create([row], ignore_conflicts=True)


def keep_extractive_summaries(articles: Iterable[Article]) -> int:
    """A text for each article, made without a network; how many are new. Needs their rows, with tickers."""
    found = list(articles)
    for start in range(0, len(found), CHUNK):
        _keep_chunk(found[start : start + CHUNK])
    return len(found)


def _keep_chunk(articles: Sequence[Article]) -> None:
    symbols = {one.pk: [ticker.symbol for ticker in one.tickers.all()] for one in articles}
    items = {one.pk: item_of_article(one, symbols[one.pk]) for one in articles}
    rows = []
    for article in articles:
        checked = extracted(Task.SUMMARY, items[article.pk])
        if isinstance(checked.draft, SummaryDraft):
            common = _common(checked, EXTRACTIVE, EXTRACTIVE_VERSION)
            rows.append(Summary(article=article, **_fields(checked.draft), **common))
    Summary.objects.bulk_create(rows, ignore_conflicts=True)
    metrics.summaries_made.labels(task=Task.SUMMARY.value, by=EXTRACTIVE).inc(len(rows))


def keep_extractive_earnings(transcript: Transcript) -> None:
    """A text for the transcript, made without a network, unless there is one."""
    checked = extracted(Task.EARNINGS, item_of_transcript(transcript))
    if isinstance(checked.draft, EarningsDraft):
        common = _common(checked, EXTRACTIVE, EXTRACTIVE_VERSION)
        row = EarningsSummary(transcript=transcript, **_fields(checked.draft), **common)
        EarningsSummary.objects.bulk_create([row], ignore_conflicts=True)
        metrics.summaries_made.labels(task=Task.EARNINGS.value, by=EXTRACTIVE).inc()


def extracted(task: Task, item: Item) -> Checked:
    """By the same way as a model's answer, so that it is held to the same."""
    question = question_of(task, [item])
    answer = EXTRACTIVE_MODEL.ask(question, timeout_s=NO_TIME_S)
    draft = batching.read(answer.text, question).found.get(item.id)
    return grounding.check(draft, item) if draft is not None else Checked(None, 0, 0, 0, ())


def _common(checked: Checked, model: str, prompt_version: str) -> dict[str, Any]:
    metrics.claims_checked.inc(checked.claims)
    metrics.claims_ungrounded.inc(checked.claims - checked.grounded)
    return {
        "model": model,
        "prompt_version": prompt_version,
        "claims": checked.claims,
        "grounded": checked.grounded,
        "dropped": checked.dropped,
    }


def _fields(draft: Draft) -> dict[str, Any]:
    """By the names of the columns."""
    fields: dict[str, Any] = {"sentences": list(draft.sentences)}
    if isinstance(draft, SummaryDraft):
        fields |= {"key_points": list(draft.key_points), "related": list(draft.related)}
    if isinstance(draft, EarningsDraft):
        fields["key_metrics"] = [{"name": one.name, "value": one.value} for one in draft.key_metrics]
        fields["guidance"] = list(draft.guidance)
    if not isinstance(draft, AnalysisDraft):
        fields["sentiment"] = draft.sentiment
    return fields
