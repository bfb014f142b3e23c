from __future__ import annotations

import json
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core import clock
from core.progress import ProgressBar
from marketdata import history
from marketdata.errors import InvalidSymbol
from marketdata.history import Journal, Outcome, Patience, Report, Wish, Work
from marketdata.models import Ticker
from marketdata.providers.base import Interval
from marketdata.symbols import canonical

SHOWN_FAILURES = 20
# What a shell says of a program that Ctrl-C ended.
STOPPED = 130


def years_argument(text: str) -> float:
    try:
        years = float(text)
    except ValueError:
        years = 0.0
    if not 0 < years <= 60:
        raise ArgumentTypeError("write a number of years above 0 and up to 60, such as 5")
    return years


def symbol_argument(text: str) -> str:
    try:
        return canonical(text)
    except InvalidSymbol as error:
        raise ArgumentTypeError(str(error)) from error


class Command(BaseCommand):
    help = (
        "Load past bars, and with --actions dividends, splits and renames, from the configured providers. May be "
        "stopped at any time; started again, it goes on where it stopped. Exit code 1 if something failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbols", nargs="*", type=symbol_argument, help="tickers, in any spelling")
        parser.add_argument("--wanted", action="store_true", help="those that somebody wants now")
        parser.add_argument("--all", action="store_true", dest="everything", help="all active tickers")
        parser.add_argument(
            "--years", type=years_argument, default=5.0, metavar="N", help="how far back (default: 5)"
        )
        parser.add_argument(
            "--interval",
            type=Interval,
            default=Interval.DAY,
            metavar="1day|1min",
            help="which bars (default: 1day); minutes at most as far back as they are kept",
        )
        parser.add_argument("--actions", action="store_true", help="also dividends, splits and renames")
        parser.add_argument("--again", action="store_true", help="also what was loaded within a week")
        parser.add_argument("--json", action="store_true", help="print one machine-readable object")

    def handle(self, *, symbols: list[str], wanted: bool, everything: bool, **options: Any) -> None:
        tickers = list(history.tickers_of(symbols, wanted=wanted, everything=everything))
        missing = sorted(set(symbols) - {ticker.symbol for ticker in tickers})
        if missing and not everything:
            raise CommandError(f"There is no ticker {', '.join(missing)}.")
        if not tickers:
            raise CommandError("Name tickers, or --wanted, or --all; there is none to load.")
        began = clock.monotonic()
        try:
            report = self.work(tickers, options)
        except KeyboardInterrupt:
            self.stderr.write("\nStopped. Started again, it goes on here.")
            sys.exit(STOPPED)
        self.tell(report, len(tickers), clock.monotonic() - began, as_json=options["json"])
        if report.failures:
            sys.exit(1)

    def work(self, tickers: list[Ticker], options: dict[str, Any]) -> Report:
        interval: Interval = options["interval"]
        kept_days = settings.MINUTE_BARS_DAYS if interval is Interval.MINUTE else float("inf")
        days = min(options["years"] * history.YEAR.days, kept_days)
        wish = Wish(interval, timedelta(days=days), options["actions"], options["again"])
        patience = Patience(threading.Event().wait, lambda text: self.stderr.write(f"\n{text}"))
        journal = Journal(settings.DATA_DIR / "loadhistory.jsonl")
        with ProgressBar("Loading", len(tickers)) as bar:
            return Work(wish, journal, patience).run(tickers, bar.show)

    def tell(self, report: Report, asked: int, seconds: float, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**asdict(report), "asked": asked, "seconds": round(seconds, 3)}))
            return
        for symbol, why in list(report.failures.items())[:SHOWN_FAILURES]:
            self.stderr.write(f"{symbol}: {why}")
        if len(report.failures) > SHOWN_FAILURES:
            self.stderr.write(f"… {len(report.failures)} in all; --json names each of them")
        if report.gave_up:
            self.stderr.write(f"Gave up after {report.tickers} of {asked} tickers; start it again to go on.")
        done = report.by_outcome
        self.stdout.write(
            f"{report.tickers} tickers: {done[Outcome.LOADED]} loaded, {done[Outcome.PASSED_OVER]} loaded before, "
            f"{done[Outcome.UNKNOWN]} without bars, {done[Outcome.FAILED]} failed; "
            f"{report.rows} rows written, in {seconds:.1f} s."
        )
