from __future__ import annotations

import asyncio
import logging
import signal
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management.base import BaseCommand

from core import scraping, serving
from core.redis import close_async_client
from core.roles import shard_argument
from marketdata.checks import TAG
from marketdata.tape.owner import serve

logger = logging.getLogger(__name__)

THREADS = 16


class Command(BaseCommand):
    help = "Own the upstream stream of one shard: open what is wanted, publish and store what is believed."
    requires_system_checks = [TAG]  # all would import every page

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--shard",
            type=shard_argument,
            default=(0, 1),
            metavar="i/n",
            help="this shard of so many, counted from 0 (default: 0/1); further processes of one shard stand by",
        )

    def handle(self, *, shard: tuple[int, int], **options: Any) -> None:
        asyncio.run(run(*shard))


async def run(shard: int, shards: int) -> None:
    serving.relax_collector()  # a busy market is millions of small objects a minute, which reference counts free
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Seeds may each wait seconds for a provider; renewing the lease must not wait behind them.
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="tape"))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    scraping.keep_telling(f"tape {shard}/{shards}")
    try:
        await serve(shard, shards, stop)
    finally:
        await close_async_client()
