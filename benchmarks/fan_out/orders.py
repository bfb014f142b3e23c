"""A process that takes orders line by line on its standard input and answers each with one line of JSON."""

from __future__ import annotations

import json
import selectors
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.processes import StartError, bound_to_parent

STOP_PATIENCE_S = 10.0


class Ordered:
    """`tell` sends an order, `answer` waits for its line; `ask` does both."""

    def __init__(self, name: str, argv: Sequence[str], log: Path) -> None:
        self._name, self._log = name, log
        with log.open("ab") as errors:
            self._child = subprocess.Popen(  # noqa: S603 -- our own programs
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                preexec_fn=bound_to_parent(9),  # noqa: PLW1509 -- only prctl, before any thread
            )  # fmt: skip
        self._waiter = selectors.DefaultSelector()
        assert self._child.stdout is not None
        self._waiter.register(self._child.stdout, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self._child.pid

    def tell(self, order: str) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(order.encode() + b"\n")
            self._child.stdin.flush()
        except OSError as error:
            raise self._gone() from error

    def answer(self, patience_s: float) -> dict[str, Any]:
        """Each answer is read before the next order is given, so none waits in the reader's buffer."""
        if not self._waiter.select(patience_s):
            raise StartError(f"the {self._name} did not answer within {patience_s:.0f} s")
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise self._gone()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, order: str, patience_s: float = 30.0) -> dict[str, Any]:
        self.tell(order)
        return self.answer(patience_s)

    def _gone(self) -> StartError:
        time.sleep(0.1)  # its last words
        return StartError(f"the {self._name} ended:\n{self._log.read_text(errors='replace')[-2000:]}")

    def close(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
