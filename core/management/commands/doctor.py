from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from core import doctor
from core.doctor import Line, Verdict
from core.json import dumps_bytes

MARKS = {Verdict.OK: "ok  ", Verdict.WARN: "warn", Verdict.BAD: "BAD "}


class Command(BaseCommand):
    help = "Examine settings, servers, clocks, providers, quotas and prices. Exit code 1: something is bad."
    requires_system_checks = []  # they are one of the examinations

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--offline", action="store_true", help="ask no provider: keys and agreement are not examined"
        )
        parser.add_argument("--json", action="store_true", help="print one machine-readable object")

    def handle(self, *, offline: bool, json: bool, **options: Any) -> None:
        lines: list[Line] = []
        for line in doctor.examine(asks=not offline):
            lines.append(line)
            if not json:
                self._tell(line)
        counts = {verdict.value: sum(line.verdict is verdict for line in lines) for verdict in Verdict}
        if json:
            found = {"lines": [asdict(line) for line in lines], "counts": counts}
            self.stdout.write(dumps_bytes(found).decode())
        else:
            self.stdout.write(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['bad']} bad")
        if counts["bad"]:
            sys.exit(1)

    def _tell(self, line: Line) -> None:
        text = f"{MARKS[line.verdict]} {line.topic:<14} {line.text}"
        if line.verdict is Verdict.WARN:
            text = self.style.WARNING(text)
        if line.verdict is Verdict.BAD:
            text = self.style.ERROR(text)
        self.stdout.write(text)
        if line.hint:
            self.stdout.write(f"     {'':<14} {line.hint}")
