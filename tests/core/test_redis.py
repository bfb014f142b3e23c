from __future__ import annotations

import asyncio

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.base import InvalidCacheBackendError

from config import settings as product
from core import metrics
from core.redis import RETRIES, async_client, client, close_async_client, options
from tests.outages import NOWHERE, redis_away


@pytest.fixture
def dead_cache(settings):
    config = settings.CACHES["default"]
    settings.CACHES = {"default": {**config, "LOCATION": NOWHERE}}
    try:
        return caches["default"]
    except InvalidCacheBackendError:  # pragma: no cover
        pytest.fail("the cache has no settings")


def failures() -> float:
    return metrics.redis_failures.labels(used_by="cache")._value.get()


def test_the_cache_keeps_what_it_is_given():
    cache.clear()
    cache.set("a", {"n": 1})
    assert cache.add("a", 2) is False
    assert cache.get("a") == {"n": 1}
    assert cache.get_many(["a", "b"]) == {"a": {"n": 1}}
    assert cache.has_key("a")
    assert cache.touch("a")
    assert cache.delete("a")
    assert cache.get("a", "gone") == "gone"


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (lambda c: c.get("a", "miss"), "miss"),
        (lambda c: c.get_many(["a", "b"]), {}),
        (lambda c: c.set("a", 1), None),
        (lambda c: c.set_many({"a": 1, "b": 2}), ["a", "b"]),
        (lambda c: c.add("a", 1), True),
        (lambda c: c.incr("a"), 1),
        (lambda c: c.decr("a"), -1),
        (lambda c: c.touch("a"), False),
        (lambda c: c.delete("a"), False),
        (lambda c: c.delete_many(["a", "b"]), None),
        (lambda c: c.clear(), None),
        (lambda c: "a" in c, False),
    ],
)
def test_while_redis_is_away_every_operation_degrades_and_is_counted(dead_cache, operation, answer):
    before = failures()

    assert operation(dead_cache) == answer

    assert failures() == before + 1


def test_while_redis_is_away_a_computed_value_is_computed_again(dead_cache):
    assert dead_cache.get_or_set("a", lambda: 7) == 7


def test_counting_what_is_not_there_is_still_an_error():
    cache.clear()
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")


def test_each_client_has_time_outs(settings):
    assert set(options()) == {"socket_timeout", "socket_connect_timeout"}
    for name, seconds in options().items():
        assert client().get_connection_kwargs()[name] == seconds == settings.REDIS_TIMEOUT_S
    assert product.REDIS_TIMEOUT_S <= 2


def test_the_process_has_one_client():
    assert client() is client()
    with redis_away():
        assert client().get_connection_kwargs()["path"].startswith("/nonexistent")
        assert client().get_connection_kwargs()["retry"].get_retries() == RETRIES
    assert client().ping()


async def test_each_loop_has_one_client_of_its_own():
    mine = async_client()
    assert async_client() is mine
    assert await mine.ping()

    async def elsewhere() -> bool:
        other = async_client() is not mine
        await close_async_client()
        return other

    assert await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
    await close_async_client()
    await close_async_client()
    assert async_client() is not mine
    await close_async_client()
