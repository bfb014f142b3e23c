from __future__ import annotations

import django.db
import kombu.exceptions
import psycopg
import psycopg_pool
import pytest
import redis.exceptions

from core.outages import outage_of


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (django.db.OperationalError(), "database"),
        (django.db.InterfaceError(), "database"),
        (psycopg.OperationalError(), "database"),
        (psycopg.errors.DiskFull(), "database"),
        (psycopg_pool.PoolTimeout(), "database"),
        (redis.exceptions.ConnectionError(), "redis"),
        (redis.exceptions.TimeoutError(), "redis"),
        (redis.exceptions.BusyLoadingError(), "redis"),
        (redis.exceptions.OutOfMemoryError(), "redis"),
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save"), "redis"),
        (redis.exceptions.ResponseError("Error running script: -OOM command not allowed"), "redis"),
        (kombu.exceptions.OperationalError(), "queue"),
    ],
)
def test_a_server_that_is_away_is_named(error, name):
    assert outage_of(error) == name


@pytest.mark.parametrize(
    "error",
    [
        None,
        ValueError(),
        django.db.IntegrityError(),
        django.db.ProgrammingError(),
        redis.exceptions.ResponseError("WRONGTYPE"),
        ConnectionError(),
    ],
)
def test_our_own_mistakes_are_no_outage(error):
    assert outage_of(error) is None
