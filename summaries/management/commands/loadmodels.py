from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from summaries import modelbook


class Command(BaseCommand):
    help = (
        "Add the usual language models with what is known of them, and what those of the configured vendor cost. May "
        "run again at any time; what staff entered or changed is never changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--if-needed", action="store_true", help="look no price up where each model in use has one"
        )
        parser.add_argument("--json", action="store_true", help="print one machine-readable object")

    def handle(self, *_: Any, if_needed: bool, json: bool, **__: Any) -> None:
        self.tell(modelbook.load(if_needed=if_needed), as_json=json)

    def tell(self, report: modelbook.Loaded, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(report)))
            return
        for name in report.unknown:
            text = f"no price for {settings.LLM_VENDOR} {name}. Enter what you pay in the price book."
            self.stderr.write(text)
        self.stdout.write(
            f"{report.models} models added; {report.added} lines added to the price book, {report.ended} ended."
        )
