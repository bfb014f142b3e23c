from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from channels.layers import get_channel_layer

from core import http
from core.redis import client, close_async_client
from tests.accounts.keys import make_api_key
from tests.contracts.patience import be_patient
from tests.factories import make_user
from tests.subscriptions.compat.serving import Daphne, Prices


@pytest.fixture(scope="session")
def _daphne(django_db_setup, django_db_blocker) -> Iterator[Daphne]:
    """One for the whole run: it takes seconds to start, and keeps nothing of a test."""
    made = Daphne()
    with django_db_blocker.unblock():
        made.start()
    yield made
    made.stop()


@pytest.fixture
def daphne(_daphne, transactional_db) -> Daphne:
    client().flushall()
    return _daphne


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
def user(transactional_db):
    return make_user()


@pytest.fixture
def key(user) -> str:
    return make_api_key(user)[1]


@pytest.fixture
async def prices() -> AsyncIterator[Prices]:
    """Publishes on the Redis that `daphne` listens to; closes what that has opened."""
    yield Prices()
    await get_channel_layer().flush()
    await close_async_client()
    await http.close_client()
