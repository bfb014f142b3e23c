"""Servers that go away and come back, for tests of what happens then."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import redis
from channels.layers import channel_layers
from django.conf import settings
from django.db import connection, connections

from core.database import forget_outage
from core.redis import client

NOWHERE = "unix:///nonexistent/redis.sock"
# As long as the product waits for a connection to its database.
AWAY_AFTER_S = 2.0


@contextlib.contextmanager
def redis_at(url: str) -> Iterator[None]:
    """All of this process talks to another Redis; a client that a loop holds already is not touched."""
    before = settings.REDIS_URL, settings.CHANNEL_LAYERS
    settings.REDIS_URL = url
    config = {"hosts": [{"address": url, "socket_timeout": None}]}
    settings.CHANNEL_LAYERS = {"default": {**before[1]["default"], "CONFIG": config}}
    _forget_clients()
    try:
        yield
    finally:
        settings.REDIS_URL, settings.CHANNEL_LAYERS = before
        _forget_clients()


def _forget_clients() -> None:
    # Not what another thread is using: it would find a connection without a socket.
    client().connection_pool.disconnect(inuse_connections=False)
    client.cache_clear()
    channel_layers.backends.clear()


def redis_away() -> contextlib.AbstractContextManager[None]:
    return redis_at(NOWHERE)


class Gate:
    """A door before the real Redis: closed, it is as if the server were gone; what it holds stays."""

    def __init__(self, to: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="onetape-", dir="/tmp")
        self.path = Path(self._folder.name) / "redis.sock"
        self.url = f"unix://{self.path}"
        self._to = to.removeprefix("unix://")
        self._pairs: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    def open(self) -> None:
        self._listener = listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(100)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Refuse whoever comes, cut whoever is inside."""
        if self._listener is not None:
            self.path.unlink()
            _end(self._listener)
            self._listener = None
        for one in list(self._pairs):
            _end(one, close=False)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._to)
                for source, target in ((inside, server), (server, inside)):
                    self._pairs.add(source)
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        _end(target, close=False)
        self._pairs.discard(source)
        source.close()

    def __enter__(self) -> Gate:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._folder.cleanup()


def _end(one: socket.socket, *, close: bool = True) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    if close:
        one.close()


def redis_server(url: str) -> redis.Redis:
    """A client of its own, that no gate and no outage touches."""
    return redis.Redis.from_url(url)


class PostgresSwitch:
    """Refuses every connection to the database of the tests while it is off."""

    def __init__(self) -> None:
        # A pool of many broken connections tries ever more seldom to make each anew.
        connections.close_all()
        connection.close_pool()
        settings_dict = connection.settings_dict
        self._name = settings_dict["NAME"]
        self._patience_s = settings_dict["OPTIONS"]["pool"]["timeout"]
        self._admin = psycopg.connect(
            dbname="postgres", user=settings_dict["USER"], host=settings_dict["HOST"],
            port=settings_dict["PORT"] or None, autocommit=True,
        )  # fmt: skip

    def off(self) -> None:
        self._wait_at_most(AWAY_AFTER_S)
        self._allow("false")
        self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self._name]
        )

    def on(self) -> None:
        self._allow("true")
        self._wait_at_most(self._patience_s)
        forget_outage()

    def close(self) -> None:
        self.on()
        self._admin.close()

    def _wait_at_most(self, seconds: float) -> None:
        """For a connection of the pool."""
        connection.pool.timeout = seconds

    def _allow(self, yes_or_no: str) -> None:
        self._admin.execute(f'ALTER DATABASE "{self._name}" WITH ALLOW_CONNECTIONS {yes_or_no}')


@contextlib.contextmanager
def postgres_switch() -> Iterator[PostgresSwitch]:
    """For tests with and without a loop; a test without one closes its own connection before."""
    switch = PostgresSwitch()
    try:
        yield switch
    finally:
        switch.close()
        with ThreadPoolExecutor(1) as pool:  # Django's connections refuse a thread that runs a loop
            pool.submit(_wait_for_postgres).result()


def _wait_for_postgres() -> None:
    """The pool may still hold connections that ended; each is found out when it is used."""
    deadline = time.monotonic() + 45
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Exception:  # whatever the pool says meanwhile
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
        finally:
            connections.close_all()
