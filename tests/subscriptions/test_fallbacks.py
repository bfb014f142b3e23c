from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace

import orjson
import pytest
from django.db import OperationalError, connection
from django.test import Client as Browser

from accounts import tickets
from accounts.credentials import Login
from accounts.models import User
from accounts.tiers import LIMITS, Tier
from core import live
from core.database import in_thread
from core.redis import async_client, client, close_async_client
from marketdata.models import Ticker
from subscriptions import client as client_module
from subscriptions import fallbacks, renewal, streaming, upkeep, watchlist
from subscriptions.connections import key_of
from subscriptions.errors import Refused
from subscriptions.fallbacks import EventWire, HandOver
from subscriptions.feeds import NATIVE, NativeWire, State
from subscriptions.hub import hub
from subscriptions.models import Subscription
from tests.accounts.keys import make_api_key
from tests.factories import make_ticker, make_user
from tests.subscriptions.event_reader import PATIENCE_S, EventReader

pytestmark = pytest.mark.django_db(transaction=True)

STREAM = "/api/v1/stream/?symbols="


@pytest.fixture(autouse=True)
async def fresh_hub(quick, settings) -> AsyncIterator[None]:
    settings.DEMO_SYMBOLS = ["AAPL", "MSFT"]
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


@pytest.fixture
async def demo() -> None:
    for symbol in ("AAPL", "MSFT"):
        await in_thread(make_ticker, symbol)


def logged_in(user: User) -> dict[str, str]:
    browser = Browser()
    browser.force_login(user)
    return {"cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())}


async def somebody(tier: str = "pro", *symbols: str) -> tuple[User, dict[str, str]]:
    """A user who watches these, and the headers of their browser."""
    user = await in_thread(make_user, tier=tier)
    tickers = [await in_thread(make_ticker, symbol) for symbol in symbols]
    await in_thread(watchlist.watch, user, tickers)
    return user, await in_thread(logged_in, user)


def says(symbol: str, number: int, epoch: int = 1) -> State:
    return State(symbol, (epoch, number), f'{{"s":"{symbol}","p":"{number}.00","e":{epoch},"n":{number}}}')


async def nobody_is_left() -> None:
    """Until all who went are gone from the hub."""
    while fallbacks._leaving:
        await asyncio.wait(fallbacks._leaving)
    assert (hub().clients, hub()._followers, hub().connections._mine) == (set(), {}, {})


# --- what a client gets


async def test_a_stream_begins_at_once_and_nobody_on_the_way_keeps_it_back(demo):
    async with EventReader(STREAM + "AAPL") as reader:
        assert reader.status == 200
        assert {
            name: reader.headers[name] for name in ("content-type", "cache-control", "x-accel-buffering")
        } == {"content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"}
        assert {"content-length", "content-encoding"} & reader.headers.keys() == set()
        await reader.until(lambda: reader.chunks)
        assert reader.chunks[0].startswith(b"retry: ")
        assert 1_000 <= reader.retry_ms <= 5_000


async def test_how_long_to_wait_is_another_for_everybody(demo, monkeypatch):
    monkeypatch.setattr(fallbacks, "random", random.Random(7))
    waits = []
    for _ in range(3):
        async with EventReader(STREAM + "AAPL") as reader:
            await reader.until(lambda reader=reader: reader.retry_ms)
            waits.append(reader.retry_ms)

    assert len(set(waits)) == 3


async def test_it_tells_the_snapshot_and_then_each_change_as_one_chunk_with_the_position_of_all(demo, feed):
    await feed.publish(AAPL="187.32", MSFT="50.00")
    async with EventReader(STREAM + "msft,aapl") as reader:
        first = await reader.next()
        assert (first.type, first.id) == ("subscribed", "1,AAPL:1,MSFT:1")
        assert list(first.data) == ["type", "id", "symbols", "recovered", "gaps", "quotes", "missed"]
        assert (first.data["symbols"], first.data["recovered"]) == (["MSFT", "AAPL"], False)
        assert {quote["symbol"]: quote["price"] for quote in first.data["quotes"]} == {
            "AAPL": "187.32",
            "MSFT": "50.00",
        }

        await feed.publish(AAPL="187.50")
        change = await reader.next("quotes")
        assert [(q["s"], q["p"], q["e"], q["n"]) for q in change.data["q"]] == [("AAPL", "187.50", 1, 2)]
        assert change.id == "1,AAPL:2,MSFT:1"
        assert all(chunk.endswith(b"\n\n") and chunk.count(b"\n\n") == 1 for chunk in reader.chunks)


async def test_what_moves_no_position_leaves_the_one_before(demo, feed):
    await feed.publish(AAPL="1.00")
    async with EventReader(STREAM + "AAPL") as reader:
        await reader.next("subscribed")
        assert (await reader.next("heartbeat")).id == "1,AAPL:1"
        assert b"id:" not in reader.chunks[-1]


async def test_a_stream_without_any_price_has_no_position_yet(demo):
    async with EventReader(STREAM + "AAPL") as reader:
        assert (await reader.next("subscribed")).id == ""
        hub()._take(says("AAPL", 3))
        assert (await reader.next("quotes")).id == "1,AAPL:3"


async def test_the_hub_says_heartbeats_as_events(demo, feed):
    await feed.publish(AAPL="1.00")
    async with EventReader(STREAM + "AAPL") as reader:
        heartbeat = (await reader.next("heartbeat")).data
        assert list(heartbeat) == ["type", "t"]


async def test_the_hub_says_silence_as_an_event(demo, feed):
    await feed.publish(AAPL="1.00")
    async with EventReader(STREAM + "AAPL") as reader:
        stale = await reader.next("stale")
        assert stale.data == {"type": "stale", "symbols": ["AAPL"], "reason": "provider_down"}


def test_no_word_of_the_socket_is_missing_here():
    words = [name for name in vars(NativeWire) if not name.startswith("_")]

    assert [name for name in words if name not in vars(EventWire)] == []


@pytest.mark.parametrize(
    ("said", "data"),
    [
        (lambda wire: wire.stale(["AAPL"], "provider_down"), NATIVE.stale(["AAPL"], "provider_down")),
        (lambda wire: wire.fresh(["AAPL"]), NATIVE.fresh(["AAPL"])),
        (lambda wire: wire.cadence("5s", "tier"), NATIVE.cadence("5s", "tier")),
        (lambda wire: wire.error(Refused("tier_limit", "No.")), NATIVE.error(Refused("tier_limit", "No."))),
        (lambda wire: wire.heartbeat(7, ack=True), NATIVE.heartbeat(7, ack=False)),
    ],
)
def test_an_event_is_named_after_its_message_and_holds_it(said, data):
    name = orjson.loads(data)["type"]

    assert said(EventWire({"AAPL": (1, 1)})) == f"event: {name}\ndata: {data}\n\n"


async def test_a_comment_comes_now_and_then_whatever_else_is_said(demo, monkeypatch):
    monkeypatch.setattr(fallbacks, "COMMENT_EVERY_S", 0.1)
    async with EventReader(STREAM + "AAPL") as reader:
        await reader.until(lambda: reader.comments >= 3)
        hub()._take(says("AAPL", 1))
        await reader.next("quotes")
        before = reader.comments
        await reader.until(lambda: reader.comments >= before + 2)


async def test_a_slower_cadence_is_chosen_in_the_address_and_told():
    _, headers = await somebody("pro", "NVDA")
    async with EventReader(STREAM + "NVDA&cadence=5s", headers) as reader:
        assert [(await reader.next()).type, (await reader.next()).data] == [
            "subscribed",
            {"type": "cadence", "mode": "5s", "reason": "chosen"},
        ]


async def test_a_tier_that_is_slower_is_told_without_being_asked():
    _, headers = await somebody("free", "NVDA")
    async with EventReader(STREAM + "NVDA", headers) as reader:
        await reader.next("subscribed")
        assert (await reader.next()).data == {"type": "cadence", "mode": "1s", "reason": "tier"}


async def test_a_paused_stream_is_alive_and_says_no_prices(demo):
    async with EventReader(STREAM + "AAPL&cadence=paused") as reader:
        await reader.next("subscribed")
        hub()._take(says("AAPL", 1))
        for _ in range(3):
            await reader.next("heartbeat")
        assert [event.type for event in reader.events if event.type == "quotes"] == []


# --- who comes back


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_who_comes_back_gets_what_was_missed(demo, feed, how):
    await feed.publish(AAPL="1.00", MSFT="1.00")
    async with EventReader(STREAM + "AAPL,MSFT") as other:  # so that this process goes on listening
        await other.next("subscribed")
        async with EventReader(STREAM + "AAPL,MSFT") as reader:
            position = (await reader.next("subscribed")).id
        for price in ("2.00", "3.00", "4.00"):
            hub()._take(says("AAPL", int(price[0])))

        old = "1,AAPL:0" if how == "both" else position
        query = "" if how == "header" else f"&last_event_id={old}"
        headers = {} if how == "query" else {"last-event-id": position}
        async with EventReader(STREAM + "AAPL,MSFT" + query, headers) as again:
            answer = (await again.next("subscribed")).data
            assert answer["recovered"] is True
            assert [(state["s"], state["p"]) for state in answer["missed"]] == [
                ("AAPL", "2.00"),
                ("AAPL", "3.00"),
            ]
            assert (await again.next("quotes")).data["q"][0]["p"] == "4.00"


async def test_who_comes_back_to_a_hole_is_told_so(demo, feed):
    await feed.publish(AAPL="1.00")
    async with EventReader(STREAM + "AAPL", {"last-event-id": "1,AAPL:1"}) as other:
        assert (await other.next("subscribed")).data["recovered"] is True
        hub()._take(says("AAPL", 5))
        async with EventReader(STREAM + "AAPL", {"last-event-id": "1,AAPL:1"}) as again:
            answer = (await again.next("subscribed")).data
            assert (answer["recovered"], answer["gaps"]) == (False, ["AAPL"])


@pytest.mark.parametrize(
    "text",
    [
        "1,AAPL:99",
        "9,AAPL:1",
        "0,AAPL:0",
        "1,MSFT:1",
        "1,NVDA:1",
        "-1,AAPL:-1",
        "undefined",
        "[object Object]",
        "1,AAPL:" + "9" * 18,
        "9" * 18 + ",AAPL:1",
        "\xff\xfe",
        "1," + ",".join(f"A{n}:1" for n in range(10_000)),
    ],
)
async def test_any_other_position_costs_a_snapshot_and_no_error(demo, feed, text):
    await feed.publish(AAPL="1.00")
    async with EventReader(STREAM + "AAPL", {"last-event-id": text}) as reader:
        first = await reader.next()
        assert (first.type, first.data["recovered"], first.id) == ("subscribed", False, "1,AAPL:1")
        assert [quote["price"] for quote in first.data["quotes"]] == ["1.00"]


async def test_a_position_outlives_a_stream_that_had_no_snapshot_to_give(demo):
    async with EventReader(STREAM + "AAPL,MSFT", {"last-event-id": "1,AAPL:7,NVDA:3"}) as reader:
        assert (await reader.next("subscribed")).id == "1,AAPL:7"


async def test_an_answer_is_not_endless_and_the_next_one_goes_on(demo, screen, monkeypatch):
    monkeypatch.setattr(fallbacks, "MOST_BYTES", 2_000)
    await hub().add(screen.client)  # so that this process goes on listening
    await hub().follow(screen.client, ["AAPL"])
    number, last_id, shown = 0, "", []
    for _ in range(3):
        async with EventReader(STREAM + "AAPL", {"last-event-id": last_id} if last_id else {}) as reader:
            assert (await reader.next("subscribed")).data["recovered"] is bool(last_id)
            while not reader.ended.is_set():
                number += 1
                hub()._take(says("AAPL", number))
                await reader.until(lambda: reader.ended.is_set() or reader.prices())
                shown += [q["n"] for event in reader.events for q in event.data.get("q", ())]
                reader.events.clear()
            assert reader.retry_ms == fallbacks.GO_ON_MS
            assert len(reader.body) < 4_000
            last_id = reader.last_event_id
            assert last_id == f"1,AAPL:{shown[-1]}"
    assert shown == sorted(set(shown))
    await hub().remove(screen.client)


# --- who may


def the(response: EventReader) -> tuple[int, str]:
    return response.problem()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (400, "validation_error")),
        (",,", (400, "validation_error")),
        (",".join(f"A{n}" for n in range(101)), (400, "validation_error")),
        ("A" * 90, (400, "invalid_symbol")),
        ("%D0%90APL", (400, "invalid_symbol")),
        ("AAPL%00", (400, "invalid_symbol")),
        ("AAPL&cadence=2s", (400, "validation_error")),
        ("AAPL&cadence=", (400, "validation_error")),
        ("NVDA", (401, "not_authenticated")),
        ("AAPL,NVDA", (401, "not_authenticated")),
        ("AAPL&ticket=nonsense", (401, "not_authenticated")),
        ("AAPL&ticket=" + "x" * 43, (401, "not_authenticated")),
    ],
)
async def test_what_cannot_be_streamed_is_refused_before_the_stream_begins(demo, query, expected):
    async with EventReader(STREAM + query) as reader:
        await reader.ends()
        assert the(reader) == expected
    await nobody_is_left()


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_it_can_only_be_got(demo, method):
    async with EventReader(STREAM + "AAPL", {"cookie": "csrftoken=" + "a" * 32}, method=method) as reader:
        await reader.ends()
        assert reader.status in ((405,) if method in ("HEAD", "OPTIONS") else (403, 405))
        if reader.status == 405:
            assert reader.headers["allow"] == "GET"


@pytest.mark.parametrize("said", ["Api-Key nonsense", "Bearer abc", "Basic YTpi"])
async def test_a_header_that_is_no_login_of_ours_is_told(demo, said):
    async with EventReader(STREAM + "AAPL", {"authorization": said}) as reader:
        await reader.ends()
        assert the(reader) == (401, "not_authenticated")
        assert reader.headers["www-authenticate"] == 'Api-Key realm="Onetape"'


@pytest.mark.parametrize("way", ["session", "api key", "ticket"])
async def test_whoever_is_logged_in_may_come_any_of_our_ways(way):
    user, headers = await somebody("pro", "NVDA")
    query = ""
    if way == "api key":
        _, text = await in_thread(make_api_key, user)
        headers = {"authorization": f"Api-Key {text}"}
    elif way == "ticket":
        query, headers = f"&ticket={tickets.issue(Login(user.pk, user.tier))}", {}
    async with EventReader(STREAM + "NVDA" + query, headers) as reader:
        assert (await reader.next("subscribed")).data["symbols"] == ["NVDA"]

    async with EventReader(STREAM + "NVDA" + query, headers) as again:
        assert again.status == (401 if way == "ticket" else 200)


async def test_more_tickers_than_the_tier_allows_are_a_403_and_nothing_was_granted():
    user, headers = await somebody("free", "A1", "A2", "A3", "A4")
    for symbol in ("B1", "B2"):
        await in_thread(make_ticker, symbol)
    async with EventReader(STREAM + "A1,B1,B2", headers) as reader:
        await reader.ends()
        assert the(reader) == (403, "tier_limit")
    await nobody_is_left()
    assert await in_thread(watchlist.count, user) == 4


async def test_a_ticker_that_nobody_lists_is_a_404_and_the_others_take_no_place():
    user, headers = await somebody("free")
    await in_thread(make_ticker, "NVDA")
    async with EventReader(STREAM + "NVDA,ZZZZ", headers) as reader:
        await reader.ends()
        assert the(reader) == (404, "not_found")
        assert b"ZZZZ" in reader.body
    await nobody_is_left()
    row = await in_thread(Subscription.objects.get, user=user)
    assert row.ends_at < row.subscribed_at + streaming.KEEP_FOR / 2  # it runs out soon


async def test_a_ticker_that_is_not_watched_counts_within_the_limit_while_it_streams():
    user, headers = await somebody("free")
    await in_thread(make_ticker, "NVDA")
    async with EventReader(STREAM + "NVDA", headers) as reader:
        await reader.next("subscribed")
        assert await in_thread(watchlist.count, user) == 1


async def test_more_connections_than_the_tier_allows_are_a_429_until_one_goes(monkeypatch):
    user, headers = await somebody("free", "NVDA")
    limit = LIMITS[Tier.FREE].max_connections
    readers = [await EventReader(STREAM + "NVDA", headers).__aenter__() for _ in range(limit)]

    async with EventReader(STREAM + "NVDA", headers) as refused:
        await refused.ends()
        assert the(refused) == (429, "connection_limit")
        assert refused.headers["retry-after"] == "10"
    assert client().scard(key_of(user.pk)) == limit

    await readers.pop().disconnect()
    while fallbacks._leaving:
        await asyncio.wait(fallbacks._leaving)
    readers.append(await EventReader(STREAM + "NVDA", headers).__aenter__())
    assert readers[-1].status == 200
    for reader in readers:
        await reader.disconnect()
    await nobody_is_left()
    assert client().scard(key_of(user.pk)) == 0


async def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(demo, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(streaming, "grant_many", away)
    async with EventReader(STREAM + "AAPL") as reader:
        await reader.ends()
        assert the(reader) == (503, "unavailable")
        assert reader.headers["retry-after"] == "5"
    await nobody_is_left()


def test_a_server_that_would_collect_the_stream_says_that_it_cannot(client):
    response = client.get("/api/v1/stream/", {"symbols": "AAPL"})

    assert (response.status_code, response.json()["detail"]) == (503, "This server cannot stream.")


@pytest.mark.parametrize("what", ["logout", "deactivation"])
async def test_it_ends_with_the_login_and_says_so(monkeypatch, what):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    user, headers = await somebody("pro", "NVDA")
    async with EventReader(STREAM + "NVDA", headers) as reader:
        await reader.next("subscribed")
        if what == "logout":
            await in_thread(_log_out, headers["cookie"])
        else:
            await in_thread(User.objects.filter(pk=user.pk).update, is_active=False)

        assert (await reader.next("error")).data["code"] == "session_ended"
        await reader.ends()
    await nobody_is_left()


def _log_out(cookie: str) -> None:
    browser = Browser()
    browser.cookies.load(cookie)
    browser.logout()


async def test_a_ticker_that_left_the_watchlist_is_named_and_the_others_stream_on(monkeypatch):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    user, headers = await somebody("pro", "NVDA", "IBM")
    async with EventReader(STREAM + "NVDA,IBM", headers) as reader:
        await reader.next("subscribed")
        await in_thread(lambda: watchlist.unwatch(user, [Ticker.objects.get(symbol="NVDA")]))

        error = (await reader.next("error")).data
        assert (error["code"], error["symbols"]) == ("not_watched", ["NVDA"])
        hub()._take(says("IBM", 1))
        assert (await reader.next("quotes")).data["q"][0]["s"] == "IBM"


# --- who does not read, and who goes


async def test_who_does_not_read_is_skipped_and_then_gets_the_newest_state(demo, monkeypatch):
    monkeypatch.setattr(client_module, "STUCK_S", 3600.0)  # a busy machine may need long for all of it
    async with EventReader(STREAM + "AAPL") as reader, EventReader(STREAM + "AAPL") as slow:
        await slow.next("subscribed")
        slow.gate.clear()
        for number in range(1, 40):
            hub()._take(says("AAPL", number))
            await reader.until(lambda n=number: reader.prices().get("AAPL") == f"{n}.00")
        slow.gate.set()
        await slow.until(lambda: slow.prices().get("AAPL") == "39.00")

        numbers = [q["n"] for event in slow.events if event.type == "quotes" for q in event.data["q"]]
        assert len(numbers) <= 4  # on the way, lying ready, waiting; then the newest
        assert numbers == sorted(set(numbers))


async def test_who_never_reads_again_is_given_up_and_cut_off(demo, monkeypatch):
    monkeypatch.setattr(client_module, "STUCK_S", 0.3)
    monkeypatch.setattr(upkeep, "MIND_EVERY_S", 0.05)
    monkeypatch.setattr(fallbacks, "LAST_WORDS_S", 0.1)
    aborted = asyncio.Event()
    async with EventReader(STREAM + "AAPL") as reader:
        reader.transport = SimpleNamespace(abort=aborted.set)  # as uvicorn has it beside its `send`
        await reader.next("subscribed")
        reader.gate.clear()
        async with asyncio.timeout(40):
            for number in range(1, 1_000):
                hub()._take(says("AAPL", number))
                await asyncio.sleep(0.02)
                if reader.ended.is_set():
                    break
        assert reader.ended.is_set()
        assert aborted.is_set()
    await nobody_is_left()


async def test_who_reads_again_just_in_time_is_told_why_it_ended(demo, monkeypatch):
    monkeypatch.setattr(client_module, "STUCK_S", 0.3)
    monkeypatch.setattr(upkeep, "MIND_EVERY_S", 0.05)
    monkeypatch.setattr(fallbacks, "LAST_WORDS_S", 3600.0)  # just in time, however busy this machine is
    async with EventReader(STREAM + "AAPL") as reader:
        await reader.next("subscribed")
        reader.gate.clear()
        async with asyncio.timeout(40):
            number = 0
            while hub().clients:
                number += 1
                hub()._take(says("AAPL", number))
                await asyncio.sleep(0.02)
        reader.gate.set()
        assert (await reader.next("error")).data["code"] == "too_slow"
        await reader.ends()
    await nobody_is_left()


async def test_an_answer_that_never_begins_is_given_up_too(demo, monkeypatch):
    """Cancelled between the view and its answer, which then hears nothing of it."""
    monkeypatch.setattr(client_module, "STUCK_S", 0.3)
    monkeypatch.setattr(upkeep, "MIND_EVERY_S", 0.05)
    monkeypatch.setattr(fallbacks, "LAST_WORDS_S", 0.1)
    user, _ = await somebody("pro", "NVDA")
    stream = fallbacks.EventStream(Login(user.pk, "pro"), fallbacks.Mode.LIVE)
    await stream.begin(["NVDA"], {})
    assert len(hub().clients) == 1

    async with asyncio.timeout(40):
        while hub().clients or hub().connections._mine:
            await asyncio.sleep(0.05)
    await nobody_is_left()


@pytest.mark.parametrize("gate", ["open", "closed"])
async def test_who_disconnects_is_gone_from_the_hub(gate):
    _, headers = await somebody("pro", "NVDA")
    async with EventReader(STREAM + "NVDA", headers) as reader:
        await reader.next("subscribed")
        assert len(hub().clients) == 1
        if gate == "closed":
            reader.gate.clear()
            hub()._take(says("NVDA", 1))
            await asyncio.sleep(0)
        await reader.disconnect()
    await nobody_is_left()


async def test_nobody_stays_who_came_while_something_went_wrong(monkeypatch, caplog):
    _, headers = await somebody("pro", "NVDA")
    monkeypatch.setattr(hub(), "recovery", lambda *_: 1 / 0)
    async with EventReader(STREAM + "NVDA", headers) as reader:
        await reader.ends()
        assert the(reader) == (500, "server_error")
    await nobody_is_left()


async def test_a_hundred_streams_hold_no_thread_and_no_connection_to_the_database(demo):
    async with EventReader(STREAM + "AAPL") as first:
        await first.next("subscribed")
        before = threading.active_count()
        readers = [await EventReader(STREAM + "AAPL").__aenter__() for _ in range(100)]
        for reader in readers:
            await reader.next("subscribed")

        async with asyncio.timeout(PATIENCE_S):
            # Those of asyncio's own pool may have come; others take a moment to end.
            while threading.active_count() >= before + 40 or not await in_thread(_is_whole):
                await asyncio.sleep(0.05)
        for reader in readers:
            await reader.disconnect()
    await nobody_is_left()


def _is_whole() -> bool:
    """Nobody holds a connection; the hub itself asks for something now and then."""
    stats = connection.pool.get_stats()
    return stats["pool_available"] == stats["pool_size"]


# --- one frame at a time


async def test_what_is_handed_over_keeps_its_order_and_waits_for_its_turn():
    desk = HandOver()
    await asyncio.wait_for(desk.put("1"), PATIENCE_S)
    second, third = asyncio.create_task(desk.put("2")), asyncio.create_task(desk.put("3"))
    await asyncio.sleep(0)
    assert [task.done() for task in (second, third)] == [False, False]

    assert await desk.take() == "1"
    await asyncio.wait_for(second, PATIENCE_S)
    assert not third.done()
    fourth = asyncio.create_task(desk.put("4"))
    await asyncio.sleep(0)
    assert [await desk.take() for _ in range(3)] == ["2", "3", "4"]
    await asyncio.gather(third, fourth)


async def test_closing_lets_everybody_go_who_waits():
    desk = HandOver()
    await desk.put("1")
    waiting = [asyncio.create_task(desk.put(text)) for text in "23"]
    await asyncio.sleep(0)

    desk.close("last")
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
    await desk.put("too late")

    assert [await desk.take(), await desk.take()] == ["last", None]


async def test_a_reader_who_waits_is_woken_by_the_end():
    desk = HandOver()
    reader = asyncio.create_task(desk.take())
    await asyncio.sleep(0)

    desk.close("last")

    assert await asyncio.wait_for(reader, PATIENCE_S) == "last"


async def test_notifications_come_as_events_that_leave_the_position_of_prices(feed):
    user, headers = await somebody("pro", "AAPL")
    await feed.publish(AAPL="1.00")
    async with EventReader(STREAM + "AAPL", headers) as reader:
        await reader.next("subscribed")
        name = f"asgi__group__{live.user_group(user.pk)}"
        while dict(await async_client().pubsub_numsub(name)) != {name.encode(): 1}:
            await asyncio.sleep(0.01)

        await live.tell_users([(user.pk, {"id": number}) for number in range(1, 61)])

        for number in range(1, 61):
            event = await reader.next("notification")
            assert (event.data, event.id) == ({"type": "notification", "id": number}, "1,AAPL:1")
