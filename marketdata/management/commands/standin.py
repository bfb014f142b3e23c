from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser
from random import Random
from typing import Any

from django.core.management.base import BaseCommand

from core.loops import Tasks
from marketdata.standins.base import StandIn
from marketdata.standins.trial import KINDS, settings_of, standin_of, trade


class Command(BaseCommand):
    help = "Run a simulator of a vendor's protocol on loopback, with prices that move, until Ctrl-C."
    requires_system_checks = []  # the settings it prints are what the checks would ask for

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("vendor", choices=sorted(KINDS))
        parser.add_argument("--port", type=int, default=0, help="where it listens (default: any free one)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same prices")

    def handle(self, *, vendor: str, port: int, seed: int, **options: Any) -> None:
        try:
            asyncio.run(self._serve(standin_of(vendor), port, Random(seed)))  # noqa: S311 -- made-up prices
        except OSError as error:
            self.stderr.write(f"Port {port} cannot be used: {error.strerror}")
            raise SystemExit(1) from None

    async def _serve(self, standin: StandIn, port: int, rng: Random) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with standin.running(port):
            self.stdout.write(f"{vendor_label(standin)} is simulated; start Onetape with:")
            for name, value in settings_of(standin).items():
                self.stdout.write(f"  {name}={value}")
            self.stdout.write(f"It knows {', '.join(standin.market.listed)}. Ctrl-C stops it.")
            self.stdout.flush()
            tasks = Tasks()
            tasks.start(trade(standin, rng))
            await tasks.run_until(stop)


def vendor_label(standin: StandIn) -> str:
    return standin.vendor.replace("_", " ").title()
