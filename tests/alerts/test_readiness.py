"""Who asks whether alerts are decided gets the truth."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from alerts import readiness
from alerts.models import Position
from core import clock, leases
from core.doctor import Verdict
from core.redis import client
from marketdata.cache import BEATS_KEY
from marketdata.tape.openset import SHARDS_KEY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)


@pytest.fixture(autouse=True)
def _two_shards():
    client().delete(BEATS_KEY)
    client().hset(BEATS_KEY, mapping={"0": str(time.time()), "1": str(time.time())})
    client().set(SHARDS_KEY, 2)
    yield
    client().delete(BEATS_KEY, SHARDS_KEY)


def decided(shard: str, *, ago_s: float = 0, epoch: int = 1) -> None:
    Position.objects.create(shard=shard, epoch=epoch, saved_at=clock.now() - timedelta(seconds=ago_s))


def told() -> list[tuple[Verdict, str]]:
    return [(line.verdict, line.text) for line in readiness.alert_lines(False)]


def test_alerts_are_ready_when_each_shard_was_read_lately():
    decided("0/2")
    decided("1/2", ago_s=5)

    assert readiness.alerts().ok
    assert [verdict for verdict, _ in told()] == [Verdict.OK, Verdict.OK]


@pytest.mark.parametrize("ago_s", [60, None])
def test_alerts_are_not_ready_when_one_shard_was_not(ago_s):
    decided("0/2")
    decided("0/1")  # of a former number of shards
    if ago_s is not None:
        decided("1/2", ago_s=ago_s)

    finding = readiness.alerts()

    assert not finding.ok
    assert set(finding.figures["lag_s"]) == {"0/2", "1/2"}
    since = "never" if ago_s is None else "60 s ago"
    assert told()[1] == (Verdict.BAD, f"nobody decides shard 1/2; its ticks were read last {since}")


def test_an_owner_that_does_not_get_on_is_told():
    epoch = leases.take("alerts:1/2", "somebody", timedelta(seconds=60))
    decided("0/2")
    decided("1/2", ago_s=60, epoch=epoch)

    assert told()[1] == (
        Verdict.BAD,
        "shard 1/2 has an owner that does not get on; it read its ticks last 60 s ago",
    )


def test_without_a_tape_there_is_nothing_to_decide():
    client().delete(BEATS_KEY)

    assert readiness.alerts().ok
    assert [verdict for verdict, _ in told()] == [Verdict.WARN]
