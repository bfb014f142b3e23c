from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.progress import ProgressBar
from summaries import transcripts

SHOWN = 20


class Command(BaseCommand):
    help = (
        "Load transcripts of earnings calls from a file of JSON lines: symbol, year, quarter, title, held_on, "
        "speeches, fictional. The call of a quarter that is here already stays as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="UTF-8, one JSON object a line")
        parser.add_argument("--json", action="store_true", help="print one machine-readable object")

    def handle(self, *_: Any, file: Path, json: bool, **__: Any) -> None:
        try:
            with ProgressBar("Loading", file.stat().st_size) as bar:
                loaded = transcripts.load_file(file, on_progress=bar.show)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror or error}.") from error
        self.tell(loaded, as_json=json)

    def tell(self, loaded: transcripts.Loaded, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(asdict(loaded)))
            return
        for bad in loaded.bad[:SHOWN]:
            self.stderr.write(f"line {bad.number}: {bad.reason}")
        if len(loaded.bad) > SHOWN:
            self.stderr.write(f"… {len(loaded.bad)} lines in all; --json names each of them")
        self.stdout.write(
            f"{loaded.lines} lines: {loaded.new} transcripts are new, {loaded.known} known already, "
            f"{len(loaded.bad)} lines not kept."
        )
