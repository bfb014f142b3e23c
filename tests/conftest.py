from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import hypothesis
import pytest
from django.conf import settings


def pytest_configure() -> None:
    # Argon2 is slow on purpose; no test is about its strength.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # A busy machine is no fault of the code.
    hypothesis.settings.register_profile("onetape", deadline=None)
    hypothesis.settings.load_profile("onetape")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """The tests reach this machine only."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    patch.undo()


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
