"""The checks of the two servers everything needs; registered by `core.apps`."""

from __future__ import annotations

from django.db import connection

from core import checks
from core.checks import Finding
from core.redis import client


def database() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Finding(ok=True)


def redis() -> Finding:
    return Finding(ok=bool(client().ping()))


def register() -> None:
    checks.register("database", database, required=True)
    # Without Redis pages and the API still answer, from memory and the database.
    checks.register("redis", redis)
