"""When what is open equals what is wanted: seen at the vendor, which must have one connection, and in Redis."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from subprocess import Popen

from benchmarks.vendor.bill import Bill
from core.models import Lease
from core.redis import client
from marketdata import demand
from marketdata.cache import BEATS_KEY, STREAMING_KEY, alive_shards
from marketdata.tape.owner import lease_name

PATIENCE_S = 30.0
LOOK_EVERY_S = 0.02


def is_followed(bill: Bill) -> bool:
    """The vendor streams exactly the wanted symbols through one connection, and Redis says so and no more."""
    wanted = set(demand.wanted())
    return bill.read().only_stream == wanted and said_streaming() == wanted


def said_streaming() -> set[str]:
    """What Redis lists as streamed by a living owner: pages and the periodic fetch believe it."""
    alive = alive_shards(client().hgetall(BEATS_KEY), client().time())
    listed = client().hgetall(STREAMING_KEY)
    return {symbol.decode() for symbol, shard in listed.items() if shard in alive}


def seconds_until_followed(bill: Bill, since: float) -> float | None:
    """From `since` (monotonic) on; None when it takes longer than half a minute."""
    while time.monotonic() - since < PATIENCE_S:
        if is_followed(bill):
            return time.monotonic() - since
        time.sleep(LOOK_EVERY_S)
    return None


def seconds_until_another_streams(bill: Bill, before: set[str], since: float) -> float | None:
    """The same when the former connection is still there, its process being frozen."""
    while time.monotonic() - since < PATIENCE_S:
        wanted, streams = set(demand.wanted()), bill.read().streams
        fresh = [set(symbols) for number, symbols in streams.items() if number not in before]
        if fresh == [wanted] and said_streaming() == wanted:
            return time.monotonic() - since
        time.sleep(LOOK_EVERY_S)
    return None


def stop_owner(tapes: Sequence[Popen[bytes]], number: signal.Signals) -> tuple[Popen[bytes], float]:
    """Send this signal to whoever holds the lease; (who that was, when)."""
    pid = int(Lease.objects.get(name=lease_name(0, 1)).holder.split(":")[-2])
    (owner,) = [tape for tape in tapes if tape.pid == pid]
    stopped_at = time.monotonic()
    os.kill(pid, number)
    return owner, stopped_at
