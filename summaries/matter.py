"""What an order is about, as a model is asked about it: items of a question, never longer than makes sense."""

from __future__ import annotations

from collections.abc import Sequence

from summaries import analyses, parts
from summaries.drafts import EarningsDraft
from summaries.kinds import Task
from summaries.llm import prompts
from summaries.llm.base import Item, Question
from summaries.models import Article, Order, Transcript

# What an article says, it says first: some 2,000 tokens of it.
ARTICLE_CHARS = 8_000
# Some 10,000 tokens; a longer transcript is asked about in parts.
PART_CHARS = 40_000


def item_of_article(article: Article, symbols: Sequence[str]) -> Item:
    return Item(
        id=f"article-{article.pk}",
        title=article.headline,
        text=article.text[:ARTICLE_CHARS],
        symbols=tuple(symbols),
    )


def item_of_transcript(transcript: Transcript) -> Item:
    """All of it."""
    return Item(
        id=f"call-{transcript.pk}",
        title=transcript.title,
        text=parts.spoken(transcript.speeches),
        symbols=(transcript.ticker.symbol,),
    )


def item_of(order: Order) -> Item:
    if order.article is not None:
        return item_of_article(order.article, order.symbols)
    if order.transcript is not None:
        return item_of_transcript(order.transcript)
    assert order.analysis is not None  # a constraint of the table
    return analyses.item_of(order.analysis)


def question_of(task: Task, items: Sequence[Item], persona: str = "") -> Question:
    return Question(task, tuple(items), prompts.version(task), persona)


def persona_of(order: Order) -> str:
    return order.analysis.persona if order.analysis is not None else ""


def parts_of(item: Item) -> list[Item]:
    """A long item as several; one that is not too long as it is."""
    texts = parts.split(item.text, PART_CHARS)
    if len(texts) <= 1:
        return [item]
    return [
        Item(f"{item.id}-{number}", text, f"{item.title} (part {number} of {len(texts)})", item.symbols)
        for number, text in enumerate(texts, start=1)
    ]


def merged(item: Item, drafts: Sequence[EarningsDraft]) -> Item:
    """What was found in the parts, to be asked about as one."""
    return Item(item.id, "\n\n".join(map(_words_of, drafts)), item.title, item.symbols)


def _words_of(draft: EarningsDraft) -> str:
    metrics = [f"{metric.name}: {metric.value}." for metric in draft.key_metrics]
    return "\n".join([*draft.sentences, *metrics, *draft.guidance])
