from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.models import User
from dashboard.demo import Login, load_demo


class Command(BaseCommand):
    help = "Fill an empty database with tickers and with one user per tier; prints their random passwords."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--if-empty", action="store_true", help="say nothing where there are users already"
        )

    def handle(self, *_: Any, if_empty: bool, **__: Any) -> None:
        if User.objects.exists():
            if not if_empty:
                self.stdout.write("There are users already: no demo data was loaded.")
            return
        self.stdout.write("Demo accounts, with passwords made just now and shown only here:")
        for line in table(load_demo()):
            self.stdout.write(f"  {line}")


def table(logins: Iterable[Login]) -> list[str]:
    rows = [("e-mail", "password", "tier", "watches")]
    rows += [(login.email, login.password, login.tier, str(login.watches)) for login in logins]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
