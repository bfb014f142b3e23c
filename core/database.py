"""Database work from asynchronous code: in a thread, with the connection given back to the pool afterwards.

And work that can do without the database: it does not wait for its time-out each time while it is away.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import psycopg
from django.db import OperationalError, connection, connections

from core import clock
from core.outages import DATABASE_ERRORS

P = ParamSpec("P")
R = TypeVar("R")

# A failure that took so long cost its caller a wait; then nobody who can do without asks for a while.
SLOW_S = 0.5
LEFT_ALONE_S = 5.0


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a function that uses the ORM; an awaiting socket holds no connection before or after."""

    def call() -> R:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(call)


def binary_cursor() -> psycopg.Cursor[tuple[object, ...]]:
    """A cursor that binds on the server, so that arrays travel in binary; Django's own binds in the client."""
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)


class _Outage:
    """Since when the database lets wait, for all threads of this process."""

    def __init__(self) -> None:
        self._until: float | None = None
        self.ended = 0
        """How often it has answered: a failure that began before the latest answer says nothing any more."""
        self._lock = threading.Lock()

    def lasts(self) -> bool:
        """False also for the one caller who looks again; the others go on without."""
        with self._lock:
            now = clock.monotonic()
            if self._until is None or now < self._until:
                return self._until is not None
            self._until = now + LEFT_ALONE_S
            return False

    def begins(self, ended: int) -> None:
        with self._lock:
            if ended == self.ended:
                self._until = clock.monotonic() + LEFT_ALONE_S

    def ends(self) -> None:
        with self._lock:
            self._until = None
            self.ended += 1


_outage = _Outage()


def if_there(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """For what can do without the database: raises OperationalError at once while it is away."""
    if _outage.lasts():
        raise OperationalError("the database let wait a moment ago")
    began, ended = clock.monotonic(), _outage.ended
    try:
        found = function(*args, **kwargs)
    except DATABASE_ERRORS:
        if clock.monotonic() - began >= SLOW_S:
            _outage.begins(ended)
        raise
    _outage.ends()
    return found


def forget_outage() -> None:
    """As if this process had never waited: for tests that switch the database on again."""
    _outage.ends()
