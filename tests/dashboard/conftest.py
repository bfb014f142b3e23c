from __future__ import annotations

from collections.abc import Iterator

import pytest

from core import clock
from core.redis import client
from marketdata import cache


@pytest.fixture(autouse=True)
def no_quotes_of_other_tests() -> Iterator[None]:
    """Quotes are shared in memory and in Redis; the database alone forgets by itself."""
    client().flushdb()
    cache.forget_memory()
    yield
    cache.forget_memory()


@pytest.fixture
def still(time_machine) -> None:
    """One moment: no midnight lies between what is written and the page that tells its day."""
    time_machine.move_to(clock.now(), tick=False)
