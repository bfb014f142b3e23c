from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from redis.exceptions import RedisError

PATIENT_S = 20.0


def pytest_configure() -> None:
    # Argon2 is slow on purpose; no test is about its strength.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    _be_patient()
    # A busy machine is no fault of the code.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("onetape", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("onetape")


def _be_patient() -> None:
    """Our servers are there: on a busy machine one that lets wait for seconds is not away. Who means it says so."""
    settings.REDIS_TIMEOUT_S = PATIENT_S
    options = settings.CACHES["default"]["OPTIONS"]
    options.update(dict.fromkeys(options, PATIENT_S))
    settings.DATABASES["default"]["OPTIONS"]["pool"]["timeout"] = PATIENT_S


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """The tests reach this machine only."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def purchases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The rows of the ledger, in memory for a test without a database; and no provider is in disgrace afterwards."""
    from marketdata import ledger  # noqa: PLC0415 -- models need the settings that pytest-django loads first

    rows: list[Any] = []
    ledger._waiting.clear()
    ledger._away_until = 0.0
    marker = request.node.get_closest_marker("django_db")
    if marker is None and not _DATABASE & set(request.fixturenames):
        monkeypatch.setattr(ledger, "_write", rows.extend)
    elif marker is not None and not marker.kwargs.get("transaction"):
        request.getfixturevalue("db")
        _forget_purchases()
    elif marker is not None:
        request.getfixturevalue("django_db_setup")
        _leave_no_connection()
    _forget_what_is_kept()
    yield rows
    _forgive()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not make an old price of a new one: who says nothing of his patience has a lot.

    Nor may it make a host that is there one that does not accept a connection.
    """
    from core import egress, http  # noqa: PLC0415 -- likewise
    from marketdata import lookup  # noqa: PLC0415 -- likewise

    monkeypatch.setitem(lookup.get_quotes.__kwdefaults__, "patience_s", 30.0)
    for module in (egress, http):
        monkeypatch.setattr(module, "CONNECT_S", PATIENT_S)


def _leave_no_connection() -> None:
    """A test that takes the database away cuts it, and beside a loop nobody could close it before."""
    from django.db import connections  # noqa: PLC0415 -- likewise

    connections.close_all()


def _forget_purchases() -> None:
    """What a fetcher's own thread has committed outlives the transaction of the test that asked it."""
    from marketdata.models import ProviderCall  # noqa: PLC0415 -- likewise

    ProviderCall.objects.all().delete()


_DATABASE = {"db", "transactional_db", "django_db_setup", "live_server"}


def _forgive() -> None:
    """What outlives a test in Redis or in this process: breakers, waiting times, a database that is left alone."""
    from core.database import forget_outage  # noqa: PLC0415 -- likewise
    from core.redis import client  # noqa: PLC0415 -- likewise
    from marketdata import quota  # noqa: PLC0415 -- likewise
    from marketdata.providers import breakers  # noqa: PLC0415 -- likewise

    keys = [f"breaker:{name}:{what}" for name in breakers._local for what in ("open", "failures", "probe")]
    keys += [f"quota:{name}:blocked" for name in quota._local._blocked]
    forget_outage()
    breakers._local.clear()
    quota._local = quota.LocalWindows(quota.PROCESSES_ASSUMED)
    if keys:
        with suppress(RedisError):
            client().delete(*keys)


def _forget_what_is_kept() -> None:
    """What this process knows for seconds or a minute: each test begins as a new process does, in whatever order."""
    from dashboard import status  # noqa: PLC0415 -- likewise
    from marketdata import attention, cache, demand, market_hours, splits  # noqa: PLC0415 -- likewise

    market_hours._read_at = None
    market_hours.use([])
    splits._of_today = {}
    demand._last_wake = 0.0
    attention.forget()
    cache.forget_memory()
    status._kept.clear()


def _guarded(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not _is_local(address[0]):
            raise PermissionError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    return guarded


def _is_local(host: str) -> bool:
    try:
        return host in {"localhost", ""} or ip_address(host).is_loopback
    except ValueError:
        return False
