"""A Redis that takes connections and never answers: nobody waits for it again and again."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.cache import cache
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from core import clock, redis
from core.redis import LEFT_ALONE_S, async_client, client, close_async_client
from tests.outages import redis_at

PATIENCE_S = 20.0
# For what answers, on a loaded machine.
PATIENT = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}


class Silent:
    """Counts what it is asked, and lets the real server answer only when it is told to."""

    def __init__(self, real: str) -> None:
        self._real = real.removeprefix("unix://")
        self._folder = tempfile.TemporaryDirectory(prefix="onetape-", dir="/tmp")
        path = Path(self._folder.name) / "redis.sock"
        self.url = f"unix://{path}"
        self._asked = 0
        self._news = threading.Condition()
        self.answers = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        with one, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._real)
            while data := one.recv(65536):
                with self._news:
                    self._asked += 1
                    self._news.notify_all()
                if self.answers:
                    server.sendall(data)
                    one.sendall(server.recv(65536))

    def asked(self, at_least: int = 1) -> int:
        """How often, as soon as it was so often: who asks may be done with waiting before it is heard here."""
        with self._news:
            self._news.wait_for(lambda: self._asked >= at_least, PATIENCE_S)
            return self._asked

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._folder.cleanup()


@pytest.fixture
def silent(settings) -> Iterator[Silent]:
    settings.REDIS_TIMEOUT_S = 0.2
    found = Silent(settings.REDIS_URL)
    with redis_at(found.url):
        yield found
    found.close()


@pytest.fixture
def passing(monkeypatch):
    """The clock stands until the test moves it."""
    now = [clock.monotonic()]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


@pytest.fixture
def let_down(silent, passing) -> Silent:
    """It has let somebody wait."""
    with pytest.raises(RedisTimeoutError):
        client().get("a")
    return silent


def test_what_timed_out_is_not_tried_twice(let_down):
    assert let_down.asked() == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda: client().get("a"),
        lambda: client().eval("return 1", 0),
        lambda: client().pipeline(transaction=False).get("a").execute(),
    ],
    ids=["command", "script", "pipeline"],
)
def test_after_one_time_out_nobody_asks_for_a_while(let_down, ask):
    with pytest.raises(RedisConnectionError):
        ask()

    assert let_down.asked() == 1


def test_a_pipeline_that_times_out_counts_as_well(silent, passing):
    with pytest.raises(RedisTimeoutError):
        client().pipeline(transaction=False).get("a").execute()

    with pytest.raises(RedisConnectionError):
        client().get("a")


def test_the_cache_does_not_wait_either(let_down):
    assert cache.get("a", "miss") == "miss"
    assert let_down.asked() == 1


def test_later_one_caller_looks_and_the_next_go_on_without(let_down, passing):
    passing(LEFT_ALONE_S)
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            client().get("a")

    assert let_down.asked(2) == 2


def test_when_it_answers_it_is_asked_again(let_down, passing, monkeypatch):
    monkeypatch.setattr(redis, "LOOK_S", PATIENCE_S)
    client().connection_pool.connection_kwargs.update(PATIENT)
    let_down.answers = True
    passing(LEFT_ALONE_S)

    assert client().ping()


# --- and the same for those who must not wait in a loop


# A connection that is new is not even greeted.
TIMED_OUT = (RedisTimeoutError, RedisConnectionError)


@pytest.fixture
async def let_down_async(silent, passing):
    with pytest.raises(TIMED_OUT):
        await async_client().get("a")
    yield silent
    await close_async_client()


async def test_in_a_loop_what_timed_out_is_not_tried_twice(let_down_async):
    assert let_down_async.asked() == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda: async_client().get("a"),
        lambda: async_client().eval("return 1", 0),
        lambda: async_client().pipeline(transaction=False).get("a").execute(),
    ],
    ids=["command", "script", "pipeline"],
)
async def test_in_a_loop_after_one_time_out_nobody_asks_for_a_while(let_down_async, ask):
    with pytest.raises(RedisConnectionError):
        await ask()

    assert let_down_async.asked() == 1


async def test_in_a_loop_a_pipeline_that_times_out_counts_as_well(silent, passing):
    with pytest.raises(TIMED_OUT):
        await async_client().pipeline(transaction=False).get("a").execute()

    with pytest.raises(RedisConnectionError):
        await async_client().get("a")
    assert silent.asked() == 1
    await close_async_client()


async def test_in_a_loop_one_caller_looks_later_and_the_next_go_on_without(let_down_async, passing):
    passing(LEFT_ALONE_S)
    asked = [async_client().get("a") for _ in range(3)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(answer) for answer in answers] == [RedisConnectionError] * 3
    assert let_down_async.asked(2) == 2


async def test_in_a_loop_when_it_answers_it_is_asked_again(let_down_async, passing, monkeypatch):
    monkeypatch.setattr(redis, "LOOP_LOOK_S", PATIENCE_S)
    async_client().connection_pool.connection_kwargs.update(PATIENT)
    let_down_async.answers = True
    passing(LEFT_ALONE_S)

    assert await async_client().ping()
