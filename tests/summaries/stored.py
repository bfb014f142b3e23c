"""Rows of summaries for tests, each with sensible values and only what the test cares about spelled out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from core import clock
from marketdata.models import Ticker
from summaries.kinds import EXTRACTIVE, Outcome, Task
from summaries.models import (
    Analysis,
    Article,
    EarningsSummary,
    ModelCall,
    ModelEntry,
    Order,
    Summary,
    Transcript,
)
from tests.factories import make_ticker

MODEL = "tiny-1"
_numbers = count(1)


def make_article(*tickers: Ticker, **fields) -> Article:
    number = next(_numbers)
    values = {
        "headline": f"Headline {number}",
        "text": f"Somebody said on March {number % 28 + 1} that it is so.",
        "source": "The Daily",
        "url": f"https://news.example/{number}",
        "provider": "file",
        "content_hash": f"{number:064x}",
        "published_at": clock.now(),
        **fields,
    }
    article = Article.objects.create(**values)
    article.tickers.set(tickers)
    return article


def make_summary(article: Article, model: str = MODEL, **fields) -> Summary:
    values = {
        "prompt_version": "1",
        "sentences": ["It is so.", "Somebody said it."],
        "key_points": ["So", "Said"],
        "sentiment": Decimal("0.40"),
        "claims": 4,
        "grounded": 3,
        "created_at": clock.now(),
        **fields,
    }
    return Summary.objects.create(article=article, model=model, **values)


def make_transcript(ticker: Ticker | None = None, year: int = 2026, quarter: int = 3, **fields) -> Transcript:
    number = next(_numbers)
    ticker = ticker or make_ticker()
    values = {
        "title": f"{ticker.symbol}, Q{quarter} {year}",
        "held_on": datetime(2026, 10, 29, tzinfo=UTC).date(),
        "speeches": [{"speaker": "Ann Doe", "role": "CEO", "text": "We sold 5 things."}],
        "provider": "file",
        "content_hash": f"{number:064x}",
        **fields,
    }
    return Transcript.objects.create(ticker=ticker, year=year, quarter=quarter, **values)


def make_earnings_summary(transcript: Transcript, model: str = MODEL, **fields) -> EarningsSummary:
    values = {
        "prompt_version": "1",
        "sentences": ["They sold 5 things."],
        "key_metrics": [{"name": "Things sold", "value": "5"}],
        "guidance": ["They expect more."],
        "sentiment": Decimal("0.10"),
        "claims": 2,
        "grounded": 2,
        **fields,
    }
    return EarningsSummary.objects.create(transcript=transcript, model=model, **values)


def make_analysis(ticker: Ticker | None = None, model: str = EXTRACTIVE, **fields) -> Analysis:
    values = {
        "persona": "basic",
        "inputs_hash": f"{next(_numbers):064x}",
        "inputs": {"eps_ttm": {"value": "6.42", "as_of": "2026-09-30", "source": "simulator"}},
        "score": 62,
        "criteria": [{"name": "P/E", "points": 12, "of": 20, "text": "Its P/E is 20."}],
        "sentences": ["It has 62 of 100 points."],
        "prompt_version": "1",
        **fields,
    }
    return Analysis.objects.create(ticker=ticker or make_ticker(), model=model, **values)


def make_order(about: Article | Transcript | Analysis | None = None, **fields) -> Order:
    about = about or make_article()
    kinds = {Article: ("article", Task.SUMMARY), Transcript: ("transcript", Task.EARNINGS)}
    name, task = kinds.get(type(about), ("analysis", Task.ANALYSIS))
    values = {"key": f"order {next(_numbers)}", "task": task.value, name: about, **fields}
    values.setdefault("created_at", clock.now())
    values.setdefault("not_before", values["created_at"])
    return Order.objects.create(**values)


def make_call(**fields) -> ModelCall:
    values = {
        "at": clock.now(),
        "vendor": "openai",
        "model": MODEL,
        "task": "summary",
        "lane": "minutes",
        "prompt_version": "1",
        "symbols": ["AAPL"],
        "asked": 10,
        "answered": 9,
        "outcome": Outcome.PARTLY.value,
        "input_tokens": 1000,
        "cached_tokens": 200,
        "output_tokens": 300,
        "counted_femto": Decimal(2 * 10**12),
        "took_ms": 1500,
        **fields,
    }
    return ModelCall.objects.create(**values)


def make_model(name: str = MODEL, **fields) -> ModelEntry:
    return ModelEntry.objects.create(name=name, **fields)
