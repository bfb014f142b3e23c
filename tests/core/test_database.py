from __future__ import annotations

import pytest
from django.db import connection

from core.database import binary_cursor, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


def one() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


def fail() -> None:
    one()
    raise LookupError("as asked")


def lent() -> int:
    """Connections that are out of the pool."""
    stats = connection.pool.get_stats()
    return stats["pool_size"] - stats["pool_available"]


async def test_work_in_a_thread_gives_its_connection_back():
    before = lent()

    assert await in_thread(one) == 1

    assert lent() == before


async def test_work_that_fails_gives_its_connection_back_too():
    before = lent()

    with pytest.raises(LookupError):
        await in_thread(fail)

    assert lent() == before


def test_a_binary_cursor_sends_arrays_as_they_are():
    with binary_cursor() as cursor:
        cursor.execute("SELECT sum(n)::int FROM unnest(%b::float8[]) AS n", [[1.5, 2.5]])
        assert cursor.fetchone() == (4,)
