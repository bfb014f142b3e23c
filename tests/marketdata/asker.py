"""Processes that ask for quotes, for the tests of sharing between processes.

Each line of input, "PROCESSES THREADS CLAIM_MS HANG_S SYMBOL…", makes so many processes that ask from so many threads
each; they say what each thread got. Their provider counts in Redis and takes HANG_S seconds to answer.
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from core.redis import client  # noqa: E402 -- needs the settings
from marketdata import cache, claims, ledger  # noqa: E402 -- likewise
from marketdata.fetcher import BatchFetcher  # noqa: E402 -- likewise
from marketdata.quotes import Quote  # noqa: E402 -- likewise
from tests.providers import Scripted  # noqa: E402 -- likewise

CALLS_KEY = "test:calls"


def say(line: str) -> None:
    """In one piece, whoever else is saying something."""
    os.write(1, f"{line}\n".encode())


class Counting(Scripted):
    hang_s = 0.0

    async def fetch_quotes(self, symbols):
        client().rpush(CALLS_KEY, ",".join(symbols))
        say("asked")
        await asyncio.sleep(self.hang_s)
        return await super().fetch_quotes(symbols)


def ask(claim_ms: str, hang_s: str, threads: int, symbols: list[str]) -> None:
    claims.CLAIM_MS = int(claim_ms)
    claims.SETTLED_MS = 200_000  # whoever is held up by a busy machine still hears of it
    ledger.record = lambda *_: None  # these processes have no database of the test
    provider = Counting()
    provider.hang_s = float(hang_s)
    fetcher = BatchFetcher(route=lambda _: (provider,), store=cache.fill_redis)
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(fetcher.fetch, symbols) for _ in range(threads)]
    for future in futures:
        outcomes = future.result()
        got = all(isinstance(outcomes[symbol], Quote) for symbol in symbols)
        say("quote" if got else f"none {outcomes}")


def main() -> None:
    for line in sys.stdin:
        processes, threads, claim_ms, hang_s, *symbols = line.split()
        for _ in range(int(processes)):
            if not os.fork():
                say(f"pid {os.getpid()}")
                ask(claim_ms, hang_s, int(threads), symbols)
                os._exit(0)
        for _ in range(int(processes)):
            os.wait()
        say("all ended")


if __name__ == "__main__":
    main()
