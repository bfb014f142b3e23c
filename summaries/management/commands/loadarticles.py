from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.progress import ProgressBar
from summaries import modelbook, news

SHOWN = 20


class Command(BaseCommand):
    help = (
        "Load articles from a file of JSON lines: id, date, headline, text, tickers, source, url, license. May run "
        "again at any time: no article is kept twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="UTF-8, one JSON object a line")
        parser.add_argument(
            "--summarize", action="store_true", help="have a language model summarize all that are new"
        )
        parser.add_argument("--json", action="store_true", help="print one machine-readable object")

    def handle(self, *_: Any, file: Path, summarize: bool, json: bool, **__: Any) -> None:
        if summarize and not modelbook.wanted_model():
            raise CommandError(
                "No language model is configured: set OPENAI_API_KEY, or load without --summarize; "
                "the articles then have summaries of their own sentences."
            )
        try:
            with ProgressBar("Loading", file.stat().st_size) as bar:
                loaded = news.load_file(file, summarize=summarize, on_progress=bar.show)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror or error}.") from error
        self.tell(loaded, as_json=json)
        if summarize and not json:
            self.stdout.write(f"{loaded.ingested.ordered} summaries are ordered of a language model.")

    def tell(self, loaded: news.Loaded, *, as_json: bool) -> None:
        found = loaded.ingested
        if as_json:
            self.stdout.write(json.dumps(self.as_object(loaded)))
            return
        for bad in loaded.bad[:SHOWN]:
            self.stderr.write(f"line {bad.number}: {bad.reason}")
        if len(loaded.bad) > SHOWN:
            self.stderr.write(f"… {len(loaded.bad)} lines in all; --json names each of them")
        for symbol, times in sorted(found.unknown.items())[:SHOWN]:
            self.stderr.write(
                f"{symbol!r} is no ticker that is known ({times} article{'' if times == 1 else 's'}); "
                "loadsymbols adds tickers."
            )
        self.stdout.write(
            f"{loaded.lines} lines: {found.new} articles are new, {found.updated} edited, {found.known} known already, "
            f"{len(loaded.bad)} lines not kept."
        )

    @staticmethod
    def as_object(loaded: news.Loaded) -> dict[str, Any]:
        found = loaded.ingested
        return {
            "lines": loaded.lines,
            "new": found.new,
            "updated": found.updated,
            "known": found.known,
            "ordered": found.ordered,
            "bad": [asdict(bad) for bad in loaded.bad],
            "unknown": dict(sorted(found.unknown.items())),
        }
