"""A progress bar on a terminal, and nothing anywhere else, so that logs and pipes stay clean."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self, TextIO

WIDTH = 40


class ProgressBar:
    """`with ProgressBar("Loading", total) as bar: bar.show(done)`."""

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        self.label = label
        self.total = total
        self._stream = stream or sys.stderr
        self._drawn = ""

    def show(self, done: int) -> None:
        if not self._stream.isatty() or self.total <= 0:
            return
        part = min(done / self.total, 1)
        filled = int(part * WIDTH)
        text = f"\r{self.label} [{'#' * filled}{' ' * (WIDTH - filled)}] {part:4.0%}"
        if text != self._drawn:
            self._drawn = text
            self._stream.write(text)
            self._stream.flush()

    def __enter__(self) -> Self:
        self.show(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._stream.write("\n")
