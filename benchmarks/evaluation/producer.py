"""Writes a stream of ticks as the tape does, on a schedule: `python -m benchmarks.evaluation.producer PLAN EPOCH`.

PLAN is a file of JSON: ticks as [millisecond, symbol, price]. Says "done" when all of it is written.
"""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from pathlib import Path

import orjson

import benchmarks.harness.ready  # noqa: F401 -- sets Django up
from core import clock
from core.redis import close_async_client
from marketdata.quotes import Tick
from marketdata.tape.out import Out

STEP_S = 0.002


async def produce(plan: list[tuple[int, str, str]], epoch: int) -> None:
    out = Out(0, 1, epoch)
    writer = asyncio.create_task(_write(out))
    began = clock.monotonic()
    for due_ms, symbol, price in plan:
        while (clock.monotonic() - began) * 1000 < due_ms:  # noqa: ASYNC110 -- time is all it waits for
            await asyncio.sleep(STEP_S)
        now = clock.now_us()
        out.put(Tick(symbol, Decimal(price), 1, 0, now, "simulator"), now)
    await asyncio.sleep(0.1)
    writer.cancel()
    await close_async_client()


async def _write(out: Out) -> None:
    while True:
        await out.write_next()


if __name__ == "__main__":
    asyncio.run(produce(orjson.loads(Path(sys.argv[1]).read_bytes()), int(sys.argv[2])))
    print("done", flush=True)
