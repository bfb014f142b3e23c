"""Asking somebody else to begin soon: at once for the first wish, once more for all that come within a moment."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

from django.db import transaction

from core import clock
from core.outages import DATABASE_ERRORS

# However many wishes there are, a process asks no more often.
WAKE_EVERY_S = 0.25
# An asking that is held up for longer counts as lost; then the next one asks anew.
STUCK_S = 10.0

_wakers: weakref.WeakSet[Waker] = weakref.WeakSet()


class Waker:
    """`ask` is called in a thread of its own. It may be lost with the process: a timer has to make that good."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._since: float | None = None
        self._again = False
        _wakers.add(self)

    def after_commit(self) -> None:
        """Ask soon after the running transaction, if there is one, is committed; never waits, never raises."""
        try:
            transaction.on_commit(self.now, robust=True)
        except DATABASE_ERRORS:  # outside of a transaction Django looks for a connection to find that out
            self.now()

    def now(self) -> None:
        with self._lock:
            now = clock.monotonic()
            if self._since is not None and now - self._since < STUCK_S:
                self._again = True
                return
            self._since = now
        threading.Thread(target=self._run, name="waker", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._ask()
            pause.wait(WAKE_EVERY_S)
            with self._lock:
                if not self._again:
                    self._since = None
                    return
                self._again, self._since = False, clock.monotonic()

    def forget(self) -> None:
        """A child of this process has none of its threads."""
        self._lock = threading.Lock()
        self._since, self._again = None, False


def _forget_all() -> None:
    for waker in _wakers:
        waker.forget()


os.register_at_fork(after_in_child=_forget_all)
