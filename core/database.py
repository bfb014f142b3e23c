"""Database work from asynchronous code: in a thread, with the connection given back to the pool afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import psycopg
from django.db import connection, connections

P = ParamSpec("P")
R = TypeVar("R")


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
