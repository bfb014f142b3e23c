"""For races: wait until another backend of PostgreSQL is stuck behind a lock."""

from __future__ import annotations

import psycopg
from django.db import connection

from core import clock

PATIENCE_S = 30.0
BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def until_somebody_waits(count: int = 1) -> None:
    """Asked over a connection of its own, so that the test's transaction stays as it is."""
    until = clock.monotonic() + PATIENCE_S
    with psycopg.connect(**address(), autocommit=True) as own:
        while clock.monotonic() < until:
            (waiting,) = own.execute(BLOCKED).fetchone()
            if waiting >= count:
                return
            own.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits")


def address() -> dict[str, object]:
    values = connection.get_connection_params()
    return {name: values[name] for name in ("dbname", "user", "password", "host", "port") if values.get(name)}
