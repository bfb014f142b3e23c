"""After a commit: browsers are told, deliveries are asked for, latencies are noted. What fails here is made good by a
timer elsewhere, since everything is in PostgreSQL already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from alerts import inbox, outbox
from alerts.committing import Written
from alerts.engine import Effect
from core import clock, live, metrics
from core.database import in_thread
from core.redis import close_async_client

logger = logging.getLogger(__name__)


async def tell(effects: Sequence[Effect], written: Written) -> None:
    _count(effects, written)
    if not written.told:
        return
    messages = [(told.user_id, inbox.payload(told)) for told in written.told]
    try:
        await live.tell_users(messages)
    except RedisError as error:
        metrics.redis_failures.labels(used_by="alerts").inc()
        logger.warning("alerts: telling failed: %s", type(error).__name__)
    await in_thread(outbox.wake)


def tell_and_wait(effects: Sequence[Effect], written: Written) -> None:
    """From a task, which has no loop."""
    asyncio.run(_tell_alone(effects, written))


async def _tell_alone(effects: Sequence[Effect], written: Written) -> None:
    try:
        await tell(effects, written)
    finally:
        await close_async_client()


def _count(effects: Sequence[Effect], written: Written) -> None:
    now = clock.now_us()
    for effect in effects:
        if effect.alert_id not in written.claimed:
            metrics.alerts_overtaken.inc()
        elif effect.fires:
            metrics.alerts_fired.labels(kind=effect.rule.kind.value, source=effect.source).inc()
            if effect.tick is not None and not effect.tick.replay:
                metrics.alerts_committed_s.observe(max(0, now - effect.tick.as_of_us) / 1e6)
            metrics.alerts_decided_s.observe(max(0, now - effect.at_us) / 1e6)
        elif effect.refusal:
            metrics.alerts_refused.labels(reason=effect.refusal).inc()
