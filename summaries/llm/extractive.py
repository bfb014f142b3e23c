"""The model that is none: sentences of the text itself, found by rules. No network, no cost, always there.

Whatever else cannot be asked, this can; its texts are labelled as what they are. It answers in the same JSON as all
others, so that nothing that reads, checks or stores an answer needs to know of it.
"""

from __future__ import annotations

import json
from typing import Any

from summaries import extracts, reported, sentiment
from summaries.kinds import EXTRACTIVE, Task
from summaries.llm.base import Answer, Item, Question, Usage

GUIDANCE = 5
EXPLAINED = 5
# Of one fact after another so many fit into a sentence.
FACTS_PER_SENTENCE = 3


class ExtractiveModel:
    name = EXTRACTIVE
    vendor = EXTRACTIVE

    def most(self, question: Question) -> Usage:
        return Usage()

    def ask(self, question: Question, *, timeout_s: float) -> Answer:
        write = WRITERS[question.task]
        entries = [{"id": item.id, **write(item)} for item in question.items]
        return Answer(json.dumps({"items": entries}, ensure_ascii=False), Usage())


def _summary(item: Item) -> dict[str, Any]:
    sentences = extracts.fit(item.text)
    lead = extracts.lead(sentences)
    return {
        "sentences": lead or [extracts.cut(item.title)],
        "key_points": extracts.best(sentences[len(lead) :]),
        "sentiment": _sentiment(item),
        "related": extracts.named(item.symbols, f"{item.title}\n{item.text}"),
    }


def _earnings(item: Item) -> dict[str, Any]:
    sentences = extracts.fit(reported.without_speakers(item.text))
    told = reported.statements(sentences)
    ahead = [sentence for sentence in told if reported.is_ahead(sentence)]
    past = [sentence for sentence in told if not reported.is_ahead(sentence)]
    metrics = reported.metrics(past)
    return {
        "sentences": reported.headlines(past or sentences, extracts.LEAD) or [extracts.cut(item.title)],
        "key_metrics": [{"name": metric.name, "value": metric.value} for metric in metrics],
        "guidance": extracts.best(ahead, GUIDANCE),
        "sentiment": _sentiment(item),
    }


def _analysis(item: Item) -> dict[str, Any]:
    facts = [f"{name}: {value}" for name, value in item.facts.items()]
    groups = [facts[at : at + FACTS_PER_SENTENCE] for at in range(0, len(facts), FACTS_PER_SENTENCE)]
    sentences = extracts.fit(item.text) + [extracts.cut(f"{'; '.join(group)}.") for group in groups]
    return {"sentences": sentences[:EXPLAINED] or [extracts.cut(item.title)]}


def _sentiment(item: Item) -> float:
    return float(sentiment.score(f"{item.title}\n{item.text[: extracts.MOST_CHARS]}"))


WRITERS = {Task.SUMMARY: _summary, Task.EARNINGS: _earnings, Task.ANALYSIS: _analysis}
