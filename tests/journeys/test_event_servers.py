"""Server-Sent Events through real servers: nothing on the way may keep an event back, or keep anything for it."""

from __future__ import annotations

import asyncio
import signal

import pytest

from accounts.credentials import Login
from accounts.tickets import issue
from core.database import in_thread
from core.redis import client, close_async_client
from subscriptions.connections import key_of
from tests.factories import make_ticker, make_user
from tests.journeys.served import WireReader, served
from tests.subscriptions.conftest import Feed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

STREAM = "/api/v1/stream/?symbols=AAPL,MSFT"


@pytest.fixture
async def feed():
    client().flushall()
    for symbol in ("AAPL", "MSFT"):
        await in_thread(make_ticker, symbol)
    yield Feed()
    await close_async_client()


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
async def test_each_event_arrives_when_it_happens_and_nothing_is_held_for_it(feed, server):
    user = await in_thread(make_user, tier="expert")
    await feed.publish(AAPL="1.00")
    async with served(server) as site, WireReader(site.port, STREAM) as reader:
        assert (reader.status, reader.headers["transfer-encoding"]) == (200, "chunked")
        assert reader.headers["content-type"] == "text/event-stream"
        assert await reader.next("subscribed")
        for price in ("2.00", "3.00", "4.00"):
            await feed.publish(AAPL=price)
            assert [q["p"] for q in (await reader.next("quotes")).data["q"]] == [price]
        last_id = reader.last_event_id
        assert last_id == "1,AAPL:4"

        async with WireReader(site.port, STREAM, {"Last-Event-ID": last_id}) as again:
            answer = (await again.next("subscribed")).data
            assert (answer["recovered"], answer["gaps"], answer["missed"]) == (True, [], [])

        before = site.threads
        others = []
        for _ in range(40):
            address = f"{STREAM}&ticket={await asyncio.to_thread(issue, Login(user.pk, 'expert'))}"
            others.append(await WireReader(site.port, address).__aenter__())
            assert await others[-1].next("subscribed")
        assert site.threads < before + 20  # of asyncio's own pool
        assert client().scard(key_of(user.pk)) == 40

        for other in others:
            await other.__aexit__()
        async with asyncio.timeout(60):
            while client().scard(key_of(user.pk)):
                await asyncio.sleep(0.05)

        site.process.send_signal(signal.SIGTERM)
        if server == "daphne":
            assert (await reader.next("error")).data["code"] == "restarting"
        await site.ends()
