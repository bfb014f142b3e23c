from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock
from marketdata import directory
from summaries import demo, lines, transcripts
from summaries.models import Article, EarningsSummary, Summary, Transcript
from tests.summaries.making import ticker

pytestmark = pytest.mark.django_db


def read(name: str):
    lines_of = lines.calls if name == "transcripts.jsonl" else lambda file: lines.articles(file, clock.now())
    with (demo.DATA / name).open("rb") as file:
        return list(lines_of(file))


@pytest.fixture
def tickers():
    directory.load(directory.read(directory.SHIPPED))


def test_all_of_it_is_loaded_once(tickers):
    assert demo.load() == (30, 3)
    assert demo.load() == (0, 0)

    assert (Article.objects.count(), Summary.objects.count()) == (30, 30)
    assert [(row.ticker.symbol, row.year, row.quarter) for row in transcripts.of("AAPL")] == [
        ("AAPL", 2026, 3)
    ]
    assert (Transcript.objects.count(), EarningsSummary.objects.count()) == (3, 3)


def test_its_articles_are_fresh_whenever_it_is_loaded(tickers):
    demo.load()

    newest, oldest = Article.objects.first(), Article.objects.last()
    assert clock.now() - newest.published_at < timedelta(hours=3)
    assert timedelta(days=40) < clock.now() - oldest.published_at < timedelta(days=60)


def test_each_text_says_that_it_is_fictional(tickers):
    demo.load()

    for article in Article.objects.all():
        assert article.is_fictional
        assert article.headline.endswith("(fictional)")
        assert "fictional" in article.source
        first = article.text.split("\n")[0]
        assert "fictional" in first or "made up for this demo" in first
    for row in Transcript.objects.all():
        assert row.is_fictional
        assert row.title.startswith("Fictional earnings call for the demo")
        assert "fictional earnings call" in row.speeches[0]["text"]


def test_articles_and_calls_are_as_long_as_real_ones():
    articles = [len(one.news.body.split()) for one in read("articles.jsonl")]
    calls = [
        sum(len(speech.text.split()) for speech in one.call.speeches) for one in read("transcripts.jsonl")
    ]

    assert (len(articles), len(calls)) == (30, 3)
    assert all(80 <= words <= 200 for words in articles)
    assert all(800 <= words <= 1_500 for words in calls)


def test_all_tickers_of_it_are_shipped(tickers):
    demo.load()

    named = {symbol for one in read("articles.jsonl") for symbol in one.news.symbols}
    kept = set(Article.objects.values_list("tickers__symbol", flat=True))
    assert kept == named
    assert {
        "AAPL",
        "MSFT",
        "IBM",
        "GOOG",
        "META",
        "SPY",
        "NVDA",
        "AMZN",
        "TSLA",
        "KO",
        "JPM",
        "XOM",
        "COST",
    } <= named


def test_what_is_of_tickers_that_are_not_there_is_left_out():
    ticker("AAPL")

    new_articles, new_calls = demo.load()

    assert (new_articles, new_calls) == (Article.objects.filter(tickers__symbol="AAPL").count(), 1)
    assert new_articles > 0
