"""Only the upstream connection is lost, and nobody else supplies its tickers: everybody who looks is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.database import in_thread
from core.redis import client
from marketdata import cache, lookup
from marketdata.cache import BEATS_KEY
from marketdata.errors import ProviderDown
from marketdata.quotes import Reason
from subscriptions import hub as hub_module
from subscriptions import silence
from subscriptions.hub import PriceHub
from tests.subscriptions.conftest import Screen
from tests.tapes import Tape

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def screen(tape: Tape, monkeypatch, caplog) -> AsyncIterator[Screen]:
    """Follows one ticker through a hub whose looks are quick."""
    caplog.set_level("ERROR")
    monkeypatch.setattr(hub_module, "RESYNC_EVERY_S", 0.2)
    for module in (hub_module, silence):  # a busy machine is no silent tape: that would be told, too
        monkeypatch.setattr(module, "SILENT_AFTER_S", 3600.0)
    hub, one = PriceHub(), Screen()
    await hub.add(one.client)
    await hub.follow(one.client, ["AAPL"])
    yield one
    await hub.close()


def stored() -> tuple[str, Reason | None]:
    cache.forget_memory()
    quote = lookup.stored_quotes(["AAPL"])["AAPL"]
    return str(quote.price), quote.reason


async def test_a_lost_upstream_is_told_by_ticker_and_so_is_its_return(tape, screen):
    await tape.watch("AAPL")
    tape.start()
    await tape.until(lambda: tape.said_open() == {"AAPL"} and client().hexists(BEATS_KEY, "0"))
    tape.send("AAPL", "100.00")
    await screen.until(lambda: screen.prices() == {"AAPL": "100.00"})
    assert await in_thread(stored) == ("100.00", None)

    screen.frames.clear()
    tape.provider.connect_failure = tape.provider.failure = ProviderDown("gone")
    tape.provider.cut()
    await screen.until(lambda: any(frame["type"] == "stale" for frame in screen.frames))
    (stale,) = [frame for frame in screen.frames if frame["type"] == "stale"]
    assert stale == {"type": "stale", "symbols": ["AAPL"], "reason": "provider_down"}
    assert await in_thread(stored) == ("100.00", Reason.PROVIDER_DOWN)

    # Nothing was traded meanwhile: its end is said by itself.
    screen.frames.clear()
    tape.provider.connect_failure = tape.provider.failure = None
    await screen.until(lambda: {"type": "fresh", "symbols": ["AAPL"]} in screen.frames)
    assert [frame for frame in screen.frames if frame["type"] == "stale"] == []
    assert await in_thread(stored) == ("100.00", None)
