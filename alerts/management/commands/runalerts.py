from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from alerts.runner import serve
from core import scraping, serving
from core.redis import close_async_client
from core.roles import shard_argument


class Command(BaseCommand):
    help = "Decide the alerts of one shard on every tick, and commit what fires."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--shard",
            type=shard_argument,
            default=(0, 1),
            metavar="i/n",
            help="the shard of the tape to read, as runtape has it (default: 0/1); further processes stand by",
        )

    def handle(self, *, shard: tuple[int, int], **options: Any) -> None:
        asyncio.run(run(*shard))


async def run(shard: int, shards: int) -> None:
    serving.relax_collector()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    scraping.keep_telling(f"alerts {shard}/{shards}")
    try:
        await serve(shard, shards, stop)
    finally:
        await close_async_client()
