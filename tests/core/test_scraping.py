"""The figures of all processes at one address."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core import metrics, scraping
from core.redis import client
from tests.outages import redis_at


@pytest.fixture(autouse=True)
def nobody_has_told():
    client().delete(scraping.KEY)
    yield
    client().delete(scraping.KEY)


def fires(text: bytes) -> dict[str, float]:
    """By process; "" is this one."""
    return {
        sample.labels.get("process", ""): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == "onetape_alerts_fired_total" and sample.labels["kind"] == "high_52w"
    }


def put(process: str, *, at: datetime, value: float) -> None:
    text = (
        "# TYPE onetape_alerts_fired_total counter\n"
        f'onetape_alerts_fired_total{{kind="high_52w",source="tick"}} {value}\n'
    )
    client().hset(scraping.KEY, process, orjson.dumps({"at": at.timestamp(), "text": text}))


def test_what_others_have_told_stands_beside_ones_own():
    metrics.alerts_fired.labels(kind="high_52w", source="tick").inc(0)
    own = metrics.alerts_fired.labels(kind="high_52w", source="tick")._value.get()
    put("alerts:7", at=datetime.now(UTC), value=3)
    assert fires(scraping.exposition()) == {"": own, "alerts:7": 3.0}


def test_who_is_silent_is_left_out_and_forgotten():
    put("alerts:7", at=datetime(2020, 1, 1, tzinfo=UTC), value=3)
    assert "alerts:7" not in fires(scraping.exposition())
    assert client().hkeys(scraping.KEY) == []


def test_a_process_tells_all_its_figures():
    scraping.tell("tape:1")
    own = scraping.exposition().decode()
    assert 'onetape_alerts_gaps_total{process="tape:1"}' in own
    assert own.count("# TYPE onetape_alerts_gaps_total counter") == 1


def test_a_redis_that_is_away_costs_the_others_only():
    with redis_at("redis://127.0.0.1:1/0"):
        scraping.tell("tape:1")
        assert b"onetape_alerts_gaps_total" in scraping.exposition()
