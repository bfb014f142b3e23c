"""What is counted of articles, for /metrics."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock
from core.metrics import registry
from summaries import news
from tests.summaries.making import ticker
from tests.summaries.telling import told

pytestmark = pytest.mark.django_db


def counted() -> dict[str, float]:
    names = {"new": "loaded", "known": "known"}
    found = {
        word: registry.get_sample_value(f"onetape_articles_{name}_total") or 0 for word, name in names.items()
    }
    refused = registry.get_sample_value("onetape_articles_refused_total", {"reason": "too_old"})
    return {**found, "refused": refused or 0}


def test_articles_are_counted_as_new_known_or_refused():
    ticker("AAPL")
    fresh, old = told(), told(published_at=clock.now() - timedelta(days=4_000))
    before = counted()

    news.ingest([fresh, old], "telling")
    news.ingest([fresh], "telling")

    after = counted()
    assert {word: after[word] - before[word] for word in after} == {"new": 1, "known": 1, "refused": 1}
