from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from django.db import connections

from core.redis import client
from tests.tapes import Tape, running_tape


@pytest.fixture
def unconnected(transactional_db) -> None:
    """The runner's own connection must not be open while a test ends all connections."""
    connections.close_all()


@pytest.fixture
async def tape(unconnected, monkeypatch, settings) -> AsyncIterator[Tape]:
    client().flushall()
    async with running_tape(monkeypatch, settings.REDIS_URL) as one:
        yield one
