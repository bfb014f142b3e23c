"""Every statement that the throw-away PostgreSQL is sent, by its own log."""

from __future__ import annotations

import time

from django.conf import settings
from django.db import connection

# Until every backend has read its settings again.
SETTLE_S = 0.5
BEGINNINGS = ("execute ", "statement: ")


class StatementLog:
    """`clear` begins anew; `read` returns what was sent since, whoever sent it."""

    def __init__(self) -> None:
        self._log = settings.BUNDLE.log_dir / "postgres.log"
        self._position = 0

    def start(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET log_statement = 'all'")
            cursor.execute("SELECT pg_reload_conf()")
        connection.close()
        time.sleep(SETTLE_S)
        self.clear()

    def clear(self) -> None:
        self._position = self._log.stat().st_size

    def read(self) -> list[str]:
        with self._log.open("rb") as log:
            log.seek(self._position)
            text = log.read().decode(errors="replace")
        return [one for one in text.split("LOG:  ") if one.startswith(BEGINNINGS)]
