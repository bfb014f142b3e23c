from __future__ import annotations

import argparse
import signal
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from core.launch import Address, launch, one_line
from core.processes import StartError
from core.supervisor import STOP_SIGNALS

MOST_SHARDS = 16


def port_number(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 1 and 65535")
    return int(text)


def shard_count(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= MOST_SHARDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_SHARDS}")
    return int(text)


def stop(number: int, _: object) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)


class Command(BaseCommand):
    help = (
        "Start Onetape on this machine: PostgreSQL and Redis where no URL is set, migrations, demo data on "
        "an empty database, then every role. Ctrl-C stops all."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=port_number, default=8000)
        parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument(
            "--shards",
            type=shard_count,
            default=1,
            help="processes of the tape, and as many of alerts, that share the tickers",
        )
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")

    def handle(self, *_: Any, **options: Any) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, stop)
        try:
            address = Address(options["bind"], options["port"])
            launch(address, demo=not options["no_demo"], shards=options["shards"])
        except KeyboardInterrupt as interrupt:
            self.stdout.write(f"up: stopped before it was ready ({interrupt})")
            sys.exit(0)
        except StartError as error:
            raise CommandError(f"up: {error}") from error
        except OperationalError as error:
            raise CommandError(f"up: the database cannot be used: {one_line(error)}") from error
        except OSError as error:
            raise CommandError(f"up: {error.filename or 'the system'}: {error.strerror or error}") from error
