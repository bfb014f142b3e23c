"""What `/readyz` says about market data: whether the tape is alive, and how old its newest price is."""

from __future__ import annotations

from typing import Any

from django.db.models import Max

from core import checks, clock
from core.checks import Finding
from core.redis import client
from marketdata.cache import BEATS_KEY, alive_shards
from marketdata.models import Quote, Upstream


def tape() -> Finding:
    """Not required: without the tape pages still show the last prices, marked stale."""
    beats: dict[Any, Any] = client().hgetall(BEATS_KEY)
    alive = alive_shards(beats, client().time())
    newest = Quote.objects.aggregate(newest=Max("received_at"))["newest"]
    age = round((clock.now() - newest).total_seconds(), 1) if newest else None
    states = {f"{row.provider}/{row.shard}": row.state for row in Upstream.objects.all()}
    return Finding(ok=bool(alive), figures={"newest_quote_age_s": age, "upstream": states})


def register() -> None:
    checks.register("tape", tape)
