from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.db import OperationalError
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import User
from core.database import in_thread
from core.redis import client, close_async_client
from marketdata.models import Ticker
from marketdata.quotes import microseconds
from subscriptions import renewal, streaming, watchlist
from subscriptions.feeds import State
from subscriptions.hub import hub
from subscriptions.models import Subscription
from tests.factories import make_ticker, make_user
from tests.subscriptions.sockets import PATIENCE_S, Socket

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
async def fresh_hub(quick) -> AsyncIterator[None]:
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


async def test_subscribe_answers_with_what_is_known_and_then_streams(feed):
    user, ticker = await in_thread(make_user), await in_thread(make_ticker, "AAPL")
    await in_thread(watchlist.watch, user, [ticker])
    await feed.publish(AAPL="187.32")

    async with Socket(user) as socket:
        answer = await socket.ask({"type": "subscribe", "id": "1", "symbols": ["aapl"]})
        assert (answer["type"], answer["id"], answer["symbols"]) == ("subscribed", "1", ["AAPL"])
        (quote,) = answer["quotes"]
        assert (quote["symbol"], quote["price"], quote["e"], quote["n"]) == ("AAPL", "187.32", 1, 1)

        await feed.publish(AAPL="187.50")
        frame = await socket.next("quotes")
        while frame["q"][0]["n"] < 2:
            frame = await socket.next("quotes")
        (update,) = frame["q"]
        assert (update["s"], update["p"], update["e"], update["n"]) == ("AAPL", "187.50", 1, 2)


async def test_a_frame_says_when_the_price_was_true_in_unix_milliseconds(feed):
    user, ticker = await in_thread(make_user), await in_thread(make_ticker, "AAPL")
    await in_thread(watchlist.watch, user, [ticker])
    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "id": "1", "symbols": ["AAPL"]})
        quote = feed.quote("AAPL", "5")
        hub()._take(State("AAPL", (1, 1), f'{{"s":"AAPL","t":{microseconds(quote.as_of) // 1000}}}'))
        (update,) = (await socket.next("quotes"))["q"]
        assert update["t"] == int(quote.as_of.timestamp() * 1000)


async def test_a_ticker_that_is_not_watched_is_streamed_for_a_while_within_the_limit():
    user = await in_thread(make_user)
    tickers = [await in_thread(make_ticker) for _ in range(6)]
    async with Socket(user) as socket:
        five = [ticker.symbol for ticker in tickers[:5]]
        await socket.ask({"type": "subscribe", "id": 1, "symbols": five})
        refused = await socket.ask({"type": "subscribe", "id": 2, "symbols": [tickers[5].symbol]})
        assert (refused["type"], refused["id"], refused["code"]) == ("error", 2, "tier_limit")
        assert refused["symbols"] == [tickers[5].symbol]
        assert await in_thread(Subscription.objects.filter(ends_at__isnull=False).count) == 5

        answer = await socket.ask({"type": "unsubscribe", "id": 3, "symbols": five[:1]})
        assert answer == {"type": "unsubscribed", "id": 3, "symbols": five[:1]}
        again = await socket.ask({"type": "subscribe", "id": 4, "symbols": [tickers[5].symbol]})
        assert again["type"] == "subscribed"
    assert await in_thread(watchlist.count, user) == 5  # kept for ten minutes, should the client come back


async def test_unsubscribing_a_watched_ticker_leaves_it_on_the_watchlist():
    user, ticker = await in_thread(make_user), await in_thread(make_ticker, "AAPL")
    await in_thread(watchlist.watch, user, [ticker])
    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "id": "1", "symbols": ["AAPL"]})
        await socket.ask({"type": "unsubscribe", "id": "2", "symbols": ["AAPL"]})
    assert await in_thread(watchlist.count, user) == 1


async def test_visitors_get_the_demo_symbols_only(settings):
    settings.DEMO_SYMBOLS = ["AAPL"]
    for symbol in ("AAPL", "NVDA"):
        await in_thread(make_ticker, symbol)
    async with Socket() as socket:
        answer = await socket.ask({"type": "subscribe", "id": "1", "symbols": ["AAPL", "NVDA"]})
        assert answer["symbols"] == ["AAPL"]
        error = await socket.next("error")
        assert (error["code"], error["symbols"]) == ("login_required", ["NVDA"])
    assert not await in_thread(Subscription.objects.exists)


async def test_unknown_symbols_are_named_and_the_others_stream():
    user = await in_thread(make_user)
    await in_thread(make_ticker, "AAPL")
    async with Socket(user) as socket:
        answer = await socket.ask({"type": "subscribe", "id": "1", "symbols": ["AAPL", "ZZZZ"]})
        assert answer["symbols"] == ["AAPL"]
        error = await socket.next("error")
        assert (error["code"], error["symbols"]) == ("not_found", ["ZZZZ"])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (" ", "bad_message"),
        ("not json", "bad_message"),
        ("[]", "bad_message"),
        ('"subscribe"', "bad_message"),
        ("null", "bad_message"),
        ("[" * 5000, "bad_message"),
        ({"type": "shout"}, "bad_message"),
        ({"type": ["subscribe"]}, "bad_message"),
        ({"type": {}}, "bad_message"),
        ({"type": "subscribe"}, "bad_message"),
        ({"type": "subscribe", "symbols": []}, "bad_message"),
        ({"type": "subscribe", "symbols": "AAPL"}, "bad_message"),
        ({"type": "subscribe", "id": {"a": 1}, "symbols": ["AAPL"]}, "bad_message"),
        ({"type": "subscribe", "symbols": ["AAPL"] * 101}, "bad_message"),
        ({"type": "subscribe", "symbols": [1]}, "invalid_symbol"),
        ({"type": "subscribe", "symbols": [None]}, "invalid_symbol"),
        ({"type": "subscribe", "symbols": ["АAPL"]}, "invalid_symbol"),
        ({"type": "subscribe", "symbols": ["A" * 100]}, "invalid_symbol"),
        ({"type": "subscribe", "symbols": ["AAPL\n;"]}, "invalid_symbol"),
        ({"type": "unsubscribe", "symbols": [{}]}, "invalid_symbol"),
    ],
)
async def test_bad_messages_get_a_clear_error_and_the_connection_lives(message, code):
    user, ticker = await in_thread(make_user), await in_thread(make_ticker, "AAPL")
    await in_thread(watchlist.watch, user, [ticker])
    async with Socket(user) as socket:
        error = await socket.ask(message)
        assert (error["type"], error["code"]) == ("error", code)
        assert error["message"]
        answer = await socket.ask({"type": "subscribe", "id": "after", "symbols": ["AAPL"]})
        assert (answer["type"], answer["id"]) == ("subscribed", "after")


async def test_an_unknown_address_is_refused():
    assert not await Socket(path="/ws/v9/nothing").connects()


# --- what goes wrong on the way


async def test_nobody_stays_in_the_hub_who_disconnected():
    user, ticker = await in_thread(make_user), await in_thread(make_ticker)
    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "symbols": [ticker.symbol]})
        assert len(hub().clients) == 1
    assert (hub().clients, hub()._followers) == (set(), {})


async def test_nobody_stays_in_the_hub_after_a_mistake_of_ours(monkeypatch):
    user = await in_thread(make_user)
    monkeypatch.setattr(streaming, "grant_many", lambda *_: 1 / 0)
    socket = await Socket(user).__aenter__()

    await socket.say({"type": "subscribe", "symbols": ["AAPL"]})

    await socket.fails()
    assert hub().clients == set()


async def test_a_user_who_was_deactivated_is_told_and_disconnected():
    user, ticker = await in_thread(make_user), await in_thread(make_ticker)
    socket = await Socket(user).__aenter__()
    await in_thread(User.objects.update, is_active=False)

    error = await socket.ask({"type": "subscribe", "id": 1, "symbols": [ticker.symbol]})

    assert (error["type"], error["code"]) == ("error", "session_ended")
    assert await socket.closed() == 4001
    assert hub().clients == set()


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
async def test_a_database_that_is_away_is_told_and_nothing_is_done(monkeypatch, kind):
    user, ticker = await in_thread(make_user), await in_thread(make_ticker)

    def away(*_: object) -> None:
        raise OperationalError

    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "symbols": [ticker.symbol]})
        with monkeypatch.context() as patch:
            patch.setattr(streaming, {"subscribe": "grant_many", "unsubscribe": "give_up"}[kind], away)
            error = await socket.ask({"type": kind, "id": 7, "symbols": [ticker.symbol]})
        assert (error["id"], error["code"], error["symbols"]) == (7, "unavailable", [ticker.symbol])
        again = await socket.ask({"type": "unsubscribe", "symbols": [ticker.symbol]})
        assert again["symbols"] == [ticker.symbol]
    assert hub().clients == set()


# --- rights that go while the connection lives


@pytest.fixture
def often(monkeypatch) -> None:
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)


async def test_a_logout_closes_the_connection(often):
    user = await in_thread(make_user)
    browser = Browser()
    socket = await Socket(user, browser=browser).__aenter__()

    await in_thread(browser.logout)

    assert (await socket.next("error"))["code"] == "session_ended"
    assert await socket.closed() == 4001
    assert hub().clients == set()


async def test_who_unwatches_elsewhere_no_longer_gets_the_ticker_and_may_ask_again(often):
    user, ticker = await in_thread(make_user), await in_thread(make_ticker)
    await in_thread(watchlist.watch, user, [ticker])
    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "symbols": [ticker.symbol]})
        await in_thread(watchlist.unwatch, user, [ticker])

        error = await socket.next("error")
        assert (error["id"], error["code"], error["symbols"]) == (None, "not_watched", [ticker.symbol])
        assert hub()._followers == {}

        answer = await socket.ask({"type": "subscribe", "symbols": [ticker.symbol]})
        assert (answer["type"], answer["symbols"]) == ("subscribed", [ticker.symbol])


async def test_a_streamed_ticker_gives_way_to_the_watchlist_and_the_client_is_told(often):
    user, ticker = await in_thread(make_user), await in_thread(make_ticker)
    others = [await in_thread(make_ticker) for _ in range(5)]
    async with Socket(user) as socket:
        await socket.ask({"type": "subscribe", "symbols": [ticker.symbol]})
        await in_thread(watchlist.watch, user, others)

        error = await socket.next("error")
        assert (error["code"], error["symbols"]) == ("tier_limit", [ticker.symbol])
        assert hub()._followers == {}


async def test_of_two_tabs_on_one_ticker_the_second_goes_on_when_the_first_leaves(often):
    user, ticker = await in_thread(make_user), await in_thread(make_ticker)
    message = {"type": "subscribe", "symbols": [ticker.symbol]}
    async with Socket(user) as stays, Socket(user) as leaves:
        await stays.ask(message)
        await leaves.ask(message)
        await leaves.ask({**message, "type": "unsubscribe"})

        async with asyncio.timeout(PATIENCE_S):
            while await in_thread(seconds_left, ticker) < 60:
                await asyncio.sleep(0.05)
        assert set(hub()._followers) == {ticker.symbol}


def seconds_left(ticker: Ticker) -> float:
    ends_at = Subscription.objects.get(ticker=ticker).ends_at
    assert ends_at is not None
    return (ends_at - timezone.now()).total_seconds()


async def test_whoever_is_logged_in_follows_notifications_and_is_told_where_they_end():
    async with Socket(await in_thread(make_user)) as socket:
        answer = await socket.ask({"type": "follow", "id": "f", "notifications": True, "since": 3})

    assert answer == {
        "type": "following",
        "id": "f",
        "notifications": True,
        "last": 0,
        "unread": 0,
        "missed": 0,
        "more": False,
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "bad_message"),
        ({"notifications": 1}, "bad_message"),
        ({"notifications": True, "since": "7"}, "bad_message"),
        ({"notifications": True, "since": True}, "bad_message"),
        ({"notifications": True, "since": 2**53}, "bad_message"),
        ({"notifications": True, "since": -1}, "bad_message"),
        ({"notifications": True, "seen": 7}, "bad_message"),
        ({"notifications": True, "seen": [None]}, "bad_message"),
        ({"notifications": True, "seen": list(range(501))}, "bad_message"),
        ({"notifications": True}, "login_required"),
    ],
)
async def test_what_cannot_be_followed_is_refused(fields, code):
    async with Socket() as socket:
        refused = await socket.ask({"type": "follow", "id": 1, **fields})

    assert (refused["type"], refused["id"], refused["code"]) == ("error", 1, code)
