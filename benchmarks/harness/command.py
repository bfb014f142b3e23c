"""The command line of every benchmark: throw-away servers, Django on them, a verdict.

The servers are durable (fsync on, append-only Redis) and never the user's. What a benchmark does is imported by
name once Django is set up, so that its modules import models as everybody does.
"""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from importlib import import_module
from types import FrameType

import django
from django.core.management import call_command

from benchmarks.harness.report import line_of, machine, tell
from core.embedded.throwaway import Throwaway
from core.processes import StartError

# Whatever hangs, the run ends and the servers go.
QUICK_PATIENCE_S, FULL_PATIENCE_S = 180, 900

# What somebody exported for running Onetape must not change what is measured.
FOREIGN = ("DATABASE_REPLICA_URL", "CELERY_BROKER_URL", "CSRF_TRUSTED_ORIGINS", "DEBUG", "HTTPS", "EMAIL_URL")
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "SECRET_KEY": "only-for-benchmarks-" + "x" * 50,
    "ALLOWED_HOSTS": "localhost",
    "DEMO_SYMBOLS": "",  # nothing is wanted but what the benchmark's people want
}


def run(
    name: str, measure: str, argv: list[str], extend: Callable[[ArgumentParser], None] | None = None
) -> int:
    """0 when the oracle found everything right, else 1. What `extend` adds is handed to `measure` by name."""
    arguments = parsed(name, argv, extend)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGALRM, _end)
    signal.alarm(QUICK_PATIENCE_S if arguments.quick else FULL_PATIENCE_S)
    found_on = machine()
    try:
        with Throwaway(durable=True) as servers:
            prepare_django(servers)
            more = {key: value for key, value in vars(arguments).items() if key != "json"}
            result = import_module(measure).measure(**more)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    found_on |= {
        "load_average_after": machine()["load_average"],
        "time_factor": float(os.environ.get("TIME_FACTOR") or 1),
    }
    tell(result)
    if arguments.json:
        print(line_of(name, result, found_on), flush=True)
    return 1 if result.complaints else 0


def parsed(name: str, argv: list[str], extend: Callable[[ArgumentParser], None] | None = None) -> Namespace:
    parser = ArgumentParser(prog=f"python -m benchmarks.{name}")
    if extend is not None:
        extend(parser)
    parser.add_argument("--json", action="store_true", help="print one object of JSON as the last line")
    parser.add_argument(
        "--quick", action="store_true", help="a smaller run of at most 45 s with the same keys"
    )
    return parser.parse_args(argv)


def prepare_django(servers: Throwaway) -> None:
    for name in FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(SETTINGS, **servers.environment)
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave through every `with`, so that no server and no child stays."""
    why = "took too long" if number == signal.SIGALRM else "was stopped"
    raise SystemExit(f"The benchmark {why}.")
