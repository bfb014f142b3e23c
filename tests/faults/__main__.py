"""The storm at its full size, on servers of its own: `make faults`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from core.embedded.throwaway import Throwaway
from core.progress import ProgressBar
from tests.faults.history import Verdict
from tests.servers import FOREIGN

if TYPE_CHECKING:
    from tests.faults.storm import Outcome

ALERTS_OF_A_SYMBOL = 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--crossings", type=int, default=5_000, help="default: %(default)s")
    parser.add_argument("--symbols", type=int, default=25, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="who is killed, and when (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="of feeding (default: %(default)s)")
    given = parser.parse_args()
    for name in FOREIGN:
        os.environ.pop(name, None)
    with Throwaway() as servers:
        os.environ.update(servers.environment, DJANGO_SETTINGS_MODULE="config.settings", DEMO_SYMBOLS="")
        folder = Path(tempfile.mkdtemp(prefix="onetape-faults-"))
        outcome = _run(given, folder)
    _tell(outcome)
    if outcome.is_good:
        shutil.rmtree(folder)
        return 0
    print(f"history and logs: {folder}")  # noqa: T201 -- a command line
    return 1


def _run(given: argparse.Namespace, folder: Path) -> Outcome:
    import django  # noqa: PLC0415 -- settings first
    from django.core.management import call_command  # noqa: PLC0415 -- likewise

    django.setup()
    call_command("migrate", verbosity=0)
    from tests.faults.storm import Plan, run  # noqa: PLC0415 -- likewise

    rounds = -(-given.crossings // (given.symbols * ALERTS_OF_A_SYMBOL))
    plan = Plan(given.symbols, rounds, given.seed, round_s=given.seconds / rounds)
    with ProgressBar("Crossings", plan.crossings) as bar:
        return run(plan, folder, {}, os.environ["DATABASE_URL"], bar.show)


def _tell(outcome: Outcome) -> None:
    kills = ", ".join(f"{role} {count}" for role, count in sorted(outcome.kills.items()))
    print(  # noqa: T201 -- likewise
        f"{outcome.seconds:.0f} s; killed: {kills}; connections to PostgreSQL ended: {outcome.ended_connections}",
        _line("in-app", outcome.told),
        _line("external", outcome.external),
        sep="\n",
    )


def _line(name: str, verdict: Verdict) -> str:
    return (
        f"{name}: acknowledged {verdict.acknowledged:,}, delivered {verdict.delivered:,}, "
        f"lost {len(verdict.lost)}, duplicated {len(verdict.duplicated)}, unexpected {len(verdict.unexpected)}, "
        f"repeated under the same key {verdict.repeated}"
    )


if __name__ == "__main__":
    sys.exit(main())
