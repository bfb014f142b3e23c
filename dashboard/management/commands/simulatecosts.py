from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from accounts.tiers import Tier, limits_of
from core.embedded.machine import MB, memory_bytes
from core.embedded.throwaway import Throwaway
from core.processes import StartError
from core.progress import ProgressBar
from dashboard import simulation
from dashboard.formats import price
from dashboard.simulation import Run
from dashboard.whatif import Scenario, answer, distinct_tickers, paper, refreshes_per_day
from dashboard.whatif_form import plan_lines
from marketdata import polling
from marketdata.models import Ticker
from marketdata.providers import plans
from marketdata.providers.plans import Plan

# What somebody exported for running Onetape must not change what is measured.
FOREIGN = ("DATABASE_REPLICA_URL", "CELERY_BROKER_URL", "CSRF_TRUSTED_ORIGINS", "DEBUG", "HTTPS", "EMAIL_URL")
OURS = {
    "SECRET_KEY": "only-for-simulations-" + "x" * 50,
    "ALLOWED_HOSTS": "localhost",
    "DEMO_SYMBOLS": "",
    "MARKETDATA_PROVIDERS": "simulator",
}
MOST_TICKERS = max(limits_of(tier.value).max_tickers for tier in Tier)
BEAT_S = round(polling.BEAT.total_seconds())


class Command(BaseCommand):
    help = (
        "Run the code that serves so many people, on throw-away servers and an accelerated clock, count what it buys, "
        "and tell what sharing saves. Also prints the table this product began with and where it mixes days and months."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        usual = Scenario()
        parser.add_argument("--users", type=int, default=usual.users)
        parser.add_argument("--tickers-per-user", type=int, default=usual.tickers_per_user)
        parser.add_argument(
            "--unique-tickers", type=int, default=usual.unique_tickers, help="tickers to choose from"
        )
        parser.add_argument("--days", type=int, default=usual.days)
        parser.add_argument(
            "--ttl", type=int, default=usual.ttl_s, help="seconds a quote is good in the session"
        )
        parser.add_argument(
            "--closed-ttl", type=int, default=usual.closed_ttl_s, help="and while the market is closed"
        )
        parser.add_argument("--batch", type=int, default=usual.batch, help="symbols per request")
        parser.add_argument(
            "--overlap", type=float, default=usual.overlap, help="Zipf's exponent of popularity"
        )
        parser.add_argument("--price-per-request", type=Decimal, default=Decimal("0.01"), help="US dollars")
        parser.add_argument(
            "--periods", type=int, default=40, help="lifetimes of a quote that are really run"
        )
        parser.add_argument("--seed", type=int, default=20_250_102)
        parser.add_argument("--json", action="store_true", help="print one object of JSON as the last line")
        parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)

    def handle(self, *_: Any, **options: Any) -> None:
        scenario = scenario_of(options)
        if not options["inside"]:
            self.run_on_throwaway_servers(options)
            return
        must_be_throwaway()
        machine = described_machine()
        total = options["periods"] * max(1, round(scenario.ttl_s / BEAT_S))
        with ProgressBar("Simulating", total) as bar:
            run = simulation.run(scenario, options["periods"], options["seed"], bar.show)
        figures, baseline = figures_of(scenario, run)
        self.tell(scenario, run, figures, baseline)
        if options["json"]:
            self.stdout.write(line_of(figures, baseline, machine, run))
        if run.complaints:
            raise CommandError("The run is not correct: " + "; ".join(run.complaints))

    def run_on_throwaway_servers(self, options: dict[str, Any]) -> None:
        """In a process of its own, whose settings lead to servers that are gone afterwards."""
        names = ("users", "tickers_per_user", "unique_tickers", "days", "ttl", "closed_ttl", "batch", "overlap",
                 "price_per_request", "periods", "seed")  # fmt: skip
        argv = [f"--{name.replace('_', '-')}={options[name]}" for name in names]
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "simulatecosts", "--inside", *argv]
        kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        try:
            with Throwaway() as servers:
                ended = subprocess.run(  # noqa: S603 -- this very command
                    [*command, *(["--json"] if options["json"] else [])],
                    env={**kept, **OURS, **servers.environment},
                    stdout=subprocess.PIPE,
                    text=True,
                    check=False,
                )
        except StartError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(ended.stdout, ending="")
        if ended.returncode:
            raise CommandError("The simulation failed; see above.")

    def tell(self, scenario: Scenario, run: Run, figures: dict[str, Any], baseline: dict[str, Any]) -> None:
        write = self.stdout.write
        write(
            f"{scenario.users:,} users with {scenario.tickers_per_user} of {scenario.unique_tickers:,} tickers, "
            f"{figures['tickers']:,} of them wanted; quotes good for {scenario.ttl_s} s in the session (6.5 h), "
            f"{scenario.closed_ttl_s} s otherwise; {scenario.batch} symbols per request."
        )
        write(
            f"Measured: {run.requests:,} requests in {run.periods} lifetimes of a quote, {run.symbols_asked:,} symbols "
            f"in them, while {run.quotes_read:,} quotes were read. "
            f"Multiplied: {refreshes_per_day(scenario):,} lifetimes a day, "
            f"{scenario.days} days."
        )
        write(f"{'':34}{'requests':>16}{'requests/day':>16}{'USD':>16}")
        for name, requests in (
            ("shared, in batches", figures["requests_shared"]),
            ("shared, one ticker at a time", figures["requests_shared_one_by_one"]),
            ("each alone, in batches", baseline["requests_unshared_batched"]),
            ("each alone, one ticker at a time", figures["requests_unshared"]),
        ):
            cost = requests * scenario.usd_per_request
            write(f"{name:34}{requests:16,}{requests // scenario.days:16,}{cost:16,.2f}")
        write(
            f"Saved: {figures['saving_percent']} % of the requests; by sharing alone "
            f"{figures['saving_percent_by_sharing_alone']} %; against people who batch as well "
            f"{figures['saving_percent_against_batched']} %."
        )
        self.tell_plans(scenario)
        self.tell_paper()

    def tell_plans(self, scenario: Scenario) -> None:
        self.stdout.write("\nWhich plan would carry it:")
        for line in plan_lines(scenario, known_plans(), ""):
            self.stdout.write(f"  {line.title:30}{line.price:24}{line.text}")

    def tell_paper(self) -> None:
        self.stdout.write(
            '\nThe table this product began with: 1,000 users, 8 of 100 tickers each, once a minute, $0.01, "per month"'
        )
        self.stdout.write(f"  {'':22}{'written':>24}{'in months of 30 days':>28}")
        for line in paper():
            written = f"{price(line.without, 2)} -> {price(line.shared, 2)}"
            right = f"{price(line.without_right, 2)} -> {price(line.shared_right, 2)}"
            self.stdout.write(f"  {line.name:22}{written:>24}{right:>28}  {line.remark}")
        last = next(line for line in paper() if line.name == "Total")
        wrong, right_percent = (
            100 - 100 * last.shared / last.without,
            100 - 100 * last.shared_right / last.without_right,
        )
        self.stdout.write(f"  Saved: {wrong:.1f} % as written, {right_percent:.2f} % with months throughout.")


def scenario_of(options: dict[str, Any]) -> Scenario:
    """Raises CommandError for what cannot be."""
    least = {"users": 1, "tickers_per_user": 1, "unique_tickers": 1, "days": 1, "ttl": 1, "closed_ttl": 1}
    least |= {"batch": 1, "periods": 1, "overlap": 0, "price_per_request": 0}
    for name, value in least.items():
        if not (math.isfinite(options[name]) and options[name] >= value):
            raise CommandError(f"--{name.replace('_', '-')} must be at least {value}.")
    if options["tickers_per_user"] > MOST_TICKERS:
        raise CommandError(f"--tickers-per-user may be {MOST_TICKERS} at most, as in the largest tier.")
    if options["ttl"] % BEAT_S:
        raise CommandError(f"--ttl must be a multiple of {BEAT_S} s, the beat at which quotes are bought.")
    return Scenario(
        users=options["users"],
        tickers_per_user=options["tickers_per_user"],
        unique_tickers=options["unique_tickers"],
        overlap=options["overlap"],
        ttl_s=options["ttl"],
        closed_ttl_s=options["closed_ttl"],
        batch=options["batch"],
        days=options["days"],
        usd_per_request=options["price_per_request"],
    )


def must_be_throwaway() -> None:
    """It fills the database with people: never the user's."""
    if not settings.DATA_DIR.name.startswith("onetape-"):
        raise CommandError("--inside runs on throw-away servers only; leave it out.")
    call_command("migrate", verbosity=0, interactive=False)
    if User.objects.exists() or Ticker.objects.exists():
        raise CommandError("These servers hold data; leave --inside out.")


def figures_of(scenario: Scenario, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was counted, multiplied to the days that were asked for."""
    refreshes = refreshes_per_day(scenario) * scenario.days
    shared = round(run.requests_per_refresh * refreshes)
    one_by_one = round(Decimal(run.symbols_asked) / run.periods * refreshes)
    alone, batched = run.requests_alone * refreshes, run.requests_alone_batched * refreshes
    each = scenario.usd_per_request
    figures = {
        "users": scenario.users,
        "tickers": run.wanted,
        "days": scenario.days,
        "requests_shared": shared,
        "requests_unshared": alone,
        "saving_percent": percent(shared, alone),
        "cost_shared": float(shared * each),
        "cost_unshared": float(alone * each),
        "requests_shared_one_by_one": one_by_one,
        "saving_percent_by_sharing_alone": percent(one_by_one, alone),
        "saving_percent_against_batched": percent(shared, batched),
        "periods_run": run.periods,
        "requests_counted": run.requests,
        "symbols_asked_per_ticker_refresh": round(run.symbols_asked / (run.wanted * run.periods), 6),
        "quotes_read": run.quotes_read,
        "feasibility": {line.title: line.text for line in plan_lines(scenario, known_plans(), "")},
        "wrong": run.complaints,
    }
    baseline = {
        "requests_unshared": alone,
        "requests_unshared_batched": batched,
        "cost_unshared": float(alone * each),
        "requests_shared_by_arithmetic": answer(scenario).shared.requests,
        "tickers_by_arithmetic": distinct_tickers(
            scenario.users, scenario.tickers_per_user, scenario.unique_tickers, scenario.overlap
        ),
    }
    return figures, baseline


def known_plans() -> dict[str, Plan]:
    return {f"{vendor}.{name}": plan for vendor, of in plans.load().items() for name, plan in of.items()}


def percent(shared: int, alone: int) -> float:
    return round(100 - 100 * shared / alone, 4)


def line_of(figures: dict[str, Any], baseline: dict[str, Any], machine: dict[str, Any], run: Run) -> str:
    return json.dumps(
        {
            "name": "simulatecosts",
            "figures": figures,
            "baseline": baseline,
            "ratio": {
                "unshared_vs_shared": round(figures["requests_unshared"] / figures["requests_shared"], 4)
            },
            "machine": machine,
            "correct": not run.complaints,
        }
    )


def described_machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": memory_bytes() // MB,
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
