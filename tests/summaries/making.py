"""Articles, transcripts and a model that answers as it is told, without any network."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from core import clock
from marketdata.models import Price, Ticker
from summaries.cleaning import content_hash
from summaries.kinds import Task
from summaries.llm.base import Answer, Finish, ModelError, Question, Usage
from summaries.models import Article, ModelEntry, Transcript

_numbers = count(1)
WORDS = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven",
    "inlet", "jetty", "kelpy", "lemon", "maple", "north", "ocean", "pearl",
]  # fmt: skip


def ticker(symbol: str = "AAPL") -> Ticker:
    found, _ = Ticker.objects.get_or_create(symbol=symbol, defaults={"name": f"{symbol} Inc."})
    return found


def price(*names: str) -> None:
    """Models that may be asked: what a thousand tokens cost, in, cached and out."""
    units = {"ktoken_in": "0.00025", "ktoken_cached": "0.000025", "ktoken_out": "0.002"}
    begin = clock.now() - timedelta(days=400)
    for name in names:
        ModelEntry.objects.get_or_create(name=name, defaults={"vendor": "openai"})
        for unit, usd in units.items():
            Price.objects.create(provider="openai", plan=name, unit=unit, usd=Decimal(usd), valid_from=begin)


def body(number: int) -> str:
    """Sentences that no other number has."""
    name = f"{WORDS[number % 16]}{WORDS[number // 16 % 16]}".capitalize()
    return (
        f"{name} Works said on Tuesday that revenue rose {number + 3} percent to ${number + 100} million. "
        f"The {name} plant in Lisbon made {number + 7000} units in the quarter. "
        f"Its chief executive called the {name} orders strong and expects them to grow further. "
        f"Analysts had expected {name} to sell {number + 6000} units."
    )


def article(symbol: str = "AAPL", *, text: str | None = None, days_ago: float = 0, **fields: Any) -> Article:
    number = next(_numbers)
    headline = fields.pop("headline", f"News number {number}")
    words = body(number) if text is None else text
    row = Article.objects.create(
        headline=headline, text=words, content_hash=content_hash(headline, words), provider="test",
        published_at=clock.now() - timedelta(days=days_ago), **fields,
    )  # fmt: skip
    row.tickers.add(ticker(symbol))
    return row


def articles(number: int) -> list[Article]:
    return [article() for _ in range(number)]


def transcript(symbol: str = "AAPL", *, text: str = "", year: int = 2026, quarter: int = 1) -> Transcript:
    words = text or body(next(_numbers))
    return Transcript.objects.create(
        ticker=ticker(symbol), year=year, quarter=quarter, title=f"{symbol} earnings call", provider="test",
        speeches=[{"speaker": "Ada Lee", "role": "CFO", "text": words}],
        content_hash=content_hash(f"{symbol} {year} {quarter}", words),
    )  # fmt: skip


def grounded_item(item: Any, task: Task) -> dict[str, Any]:
    """What an honest model writes: sentences of the item itself."""
    sentences = re.split(r"(?<=\.)\s+", item.text.strip())
    told: dict[str, Any] = {"id": item.id, "sentences": sentences[:2]}
    if task is Task.SUMMARY:
        told |= {"key_points": sentences[1:4], "sentiment": 0.5, "related": list(item.symbols)}
    if task is Task.EARNINGS:
        told |= {"key_metrics": [], "guidance": sentences[2:3], "sentiment": 0.25}
    return told


Script = Callable[[Question], str | ModelError | Answer]


class ScriptedModel:
    """Answers what `script` says, honestly without one; remembers what it was asked and what it billed."""

    def __init__(self, name: str = "gpt-6-luna", script: Script | None = None) -> None:
        self.name = name
        self.vendor = "openai"
        self.script = script
        self.asked: list[tuple[str, ...]] = []
        self.billed = Usage()
        self._lock = threading.Lock()

    def most(self, question: Question) -> Usage:
        size = sum(len(item.text.encode()) for item in question.items)
        return Usage(size + 2_000, 0, 400 * len(question.items))

    def ask(self, question: Question, *, timeout_s: float) -> Answer:
        with self._lock:
            self.asked.append(question.ids)
        said = self.script(question) if self.script else honest(question)
        if isinstance(said, ModelError):
            raise said
        answer = said if isinstance(said, Answer) else Answer(said, self.usage(question, said), Finish.STOP)
        with self._lock:
            one = answer.usage
            all_ = self.billed
            self.billed = Usage(all_.input + one.input, all_.cached + one.cached, all_.output + one.output)
        return answer

    @staticmethod
    def usage(question: Question, said: str) -> Usage:
        size = sum(len(item.text) for item in question.items)
        return Usage(size // 4 + 100, 50, len(said) // 4)

    @property
    def ids(self) -> list[str]:
        return [one for ids in self.asked for one in ids]


def honest(question: Question) -> str:
    return envelope([grounded_item(item, question.task) for item in question.items])


def envelope(items: list[dict[str, Any]]) -> str:
    return json.dumps({"items": items})
