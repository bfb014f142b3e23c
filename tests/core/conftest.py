from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 45.0


def wait_gone(pid: int, within_s: float = PATIENCE_S) -> bool:
    """Whether the process ends in time; also for processes that are not our children."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)


class Running:
    """A program under test whose lines can be awaited."""

    def __init__(self, argv: list[str], **options) -> None:
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, **options
        )
        self.lines: list[str] = []
        self._arriving: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._arriving.put(line.rstrip("\n"))
        self._arriving.put(None)

    def line(self, part: str, within_s: float = PATIENCE_S) -> str:
        """The next line that contains the part."""
        while True:
            try:
                line = self._arriving.get(timeout=within_s)
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {part!r} in:\n" + "\n".join(self.lines)
            self.lines.append(line)
            if part in line:
                return line

    def said(self, part: str = "") -> str:
        """The lines read so far that contain the part."""
        return "\n".join(line for line in self.lines if part in line)

    def rest(self) -> list[str]:
        """What it said up to its end."""
        while (line := self._arriving.get(timeout=PATIENCE_S)) is not None:
            self.lines.append(line)
        return [line for line in self.lines if line]

    def until(self, true: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Wait for something outside that sends no event."""
        deadline = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < deadline, "\n".join(self.lines)
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        return self.process.wait(within_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    """Start programs; whatever still runs at the end is stopped."""
    started: list[Running] = []

    def start(*argv: str, **options) -> Running:
        started.append(Running([sys.executable, *argv], **options))
        return started[-1]

    yield start
    for running in started:
        running.__exit__()


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A data folder on a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="onetape-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
