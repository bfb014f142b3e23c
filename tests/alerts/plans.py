"""What PostgreSQL means to do, once with the values and once for any values."""

from __future__ import annotations

from typing import Any

from django.db import connection

MODES = ("force_custom_plan", "force_generic_plan")


def explained(statement: str, values: Any, mode: str) -> str:
    """The plan of a statement as it would be run after many runs of it; run nothing."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL plan_cache_mode = {mode}")
        cursor.execute(f"EXPLAIN {statement}", values)
        return "\n".join(line for (line,) in cursor.fetchall())


def analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE alerts_alert")
        cursor.execute("ANALYZE marketdata_ticker")
        cursor.execute("ANALYZE marketdata_quote")
