from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.progress import ProgressBar
from marketdata import directory

SHOWN_REJECTIONS = 20


class Command(BaseCommand):
    help = (
        "Load the directory of tickers from a CSV file with the columns symbol and name, and where known exchange, "
        "sector, asset_class (or is_etf) and currency. Tickers that exist are updated; none is deleted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the CSV file, UTF-8, with a header line")
        parser.add_argument("--json", action="store_true", help="print one machine-readable object")

    def handle(self, *_: Any, file: Path, json: bool, **__: Any) -> None:
        began = time.monotonic()
        try:
            lines = directory.read(file)
        except directory.DirectoryError as error:
            raise CommandError(str(error)) from error
        with ProgressBar("Loading", len(lines)) as bar:
            report = directory.load(lines, on_progress=bar.show)
        self.tell(report, time.monotonic() - began, as_json=json)

    def tell(self, report: directory.Report, seconds: float, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**asdict(report), "seconds": round(seconds, 3)}))
            return
        for rejected in report.rejected[:SHOWN_REJECTIONS]:
            self.stderr.write(f"line {rejected.line}: {rejected.symbol!r} rejected: {rejected.reason}")
        if len(report.rejected) > SHOWN_REJECTIONS:
            self.stderr.write(f"… {len(report.rejected)} rows in all; --json names each of them")
        self.stdout.write(
            f"{report.rows} rows: {report.created} tickers created, {report.updated} updated, "
            f"{len(report.rejected)} rows rejected, in {seconds:.1f} s."
        )
