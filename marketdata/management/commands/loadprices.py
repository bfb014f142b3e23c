from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from marketdata import pricebook
from marketdata.models import Price
from marketdata.providers.plans import BadPlan


class Command(BaseCommand):
    help = (
        "Fill the price book for the configured providers: monthly fees from the plans, nothing for providers without "
        "bills. May run again at any time; what an operator entered is never changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="do nothing where the book has a line")
        parser.add_argument("--json", action="store_true", help="print one machine-readable object")

    def handle(self, *_: Any, if_empty: bool, json: bool, **__: Any) -> None:
        if if_empty and Price.objects.exists():
            return
        try:
            report = pricebook.load()
        except BadPlan as error:
            raise CommandError(str(error)) from error
        self.tell(report, as_json=json)

    def tell(self, report: pricebook.Loaded, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(report)))
            return
        for text in report.unknown:
            self.stderr.write(f"unpriced: {text}. Enter what you pay in the price book.")
        self.stdout.write(f"{report.added} lines added to the price book, {report.ended} ended.")
