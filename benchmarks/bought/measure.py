"""Articles wanted by many users: how often a model is asked, what a summary costs, and whether anything is mixed up."""

from __future__ import annotations

import io
import json
import os
from decimal import Decimal

from django.conf import settings
from django.core.management import call_command

from benchmarks.bought import corpus, scores, scrambled, shared
from benchmarks.harness.report import Result, say
from marketdata.models import Ticker
from summaries import modelbook
from summaries.llm import openai_connection
from summaries.models import Article, Budget, BudgetScope
from summaries.standins.openai import KEY, OpenAIStandIn

USERS, QUICK_USERS = 1_000, 400
BATCHES, QUICK_BATCHES = 1_000, 20


def measure(*, quick: bool) -> Result:
    result = Result()
    prepare()
    say(f"{Article.objects.count()} articles are loaded")
    with OpenAIStandIn(cached_share=0.25).running() as standin:
        point_at(standin.url)
        shared.measure(result, standin, QUICK_USERS if quick else USERS, quick=quick)
        scrambled.measure(result, standin, QUICK_BATCHES if quick else BATCHES)
    openai_connection.close()
    scores.measure(result)
    return result


def prepare() -> None:
    """Articles, tickers, prices, and a budget that is in nobody's way."""
    lines = corpus.lines()
    Ticker.objects.bulk_create([Ticker(symbol=one, name=f"{one} Inc.") for one in corpus.symbols(lines)])
    path = settings.BUNDLE.run_dir / "articles.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    call_command("loadarticles", str(path), stdout=io.StringIO(), stderr=io.StringIO())
    Budget.objects.create(scope=BudgetScope.DAY, usd_per_day=Decimal(1_000))


def point_at(url: str) -> None:
    """Here, and in the processes that are started from here."""
    settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY = url, KEY
    settings.LLM_VENDOR, settings.LLM_MODEL = "openai", "gpt-6-luna"
    os.environ.update(OPENAI_BASE_URL=url, OPENAI_API_KEY=KEY, LLM_VENDOR="openai", LLM_MODEL="gpt-6-luna")
    modelbook.load()
