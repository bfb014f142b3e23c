"""Alpaca's stream as we serve it, message by message. Its own client library against it: test_alpaca_client.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgpack
import pytest
from django.db import OperationalError

from accounts.models import ApiKey
from accounts.tiers import limits_of
from core import clock, live
from core.database import in_thread
from core.redis import client, close_async_client
from marketdata.symbols import group_name
from subscriptions import client as client_module
from subscriptions import renewal, sockets, upkeep, watchlist
from subscriptions.client import Client
from subscriptions.compat.alpaca import JSON_WIRE
from subscriptions.hub import hub
from subscriptions.models import Subscription
from tests.accounts.keys import make_api_key
from tests.factories import make_subscription, make_ticker, make_user
from tests.subscriptions.compat.alpaca import AUTHENTICATED, CONNECTED, Program, error, subscription
from tests.subscriptions.compat.serving import joined

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
async def _fresh_hub(quick):
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


@pytest.fixture
async def user():
    return await in_thread(make_user)


@pytest.fixture
async def key(user):
    _, text = await in_thread(make_api_key, user)
    return text


@pytest.fixture
async def tickers():
    return [await in_thread(make_ticker, symbol) for symbol in ("AAPL", "MSFT", "BRK.B")]


async def ticks(feed, program, **prices):
    """What the program gets of these prices: they are said again until it hears of them."""
    await feed.publish(**prices)
    return await program.hear()


# --- coming in


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("feed", ["iex", "sip", "test"])
async def test_it_greets_first_and_knows_a_key(key, feed, binary):
    program = Program(feed=feed, binary=binary)

    assert await program.connects()
    assert await program.hear() == CONNECTED
    assert await program.ask(action="auth", key=key, secret=key) == AUTHENTICATED
    await program.__aexit__()


async def test_the_key_may_come_as_its_public_part_and_whole(key):
    async with Program() as program:
        assert await program.ask(action="auth", key=key.split("_")[1], secret=key) == AUTHENTICATED


async def test_the_whole_key_in_either_place_is_enough(key):
    async with Program() as program:
        assert await program.ask(action="auth", key=key, secret="") == AUTHENTICATED


async def test_a_key_in_the_headers_lets_in_at_once(key):
    program = Program(headers={"apca-api-key-id": key.split("_")[1], "apca-api-secret-key": key})

    assert await program.connects()
    assert [await program.hear(), await program.hear()] == [CONNECTED, AUTHENTICATED]
    await program.__aexit__()


async def test_a_wrong_key_in_the_headers_is_told_and_ends_it():
    program = Program(headers={"apca-api-key-id": "PK", "apca-api-secret-key": "\xff"})

    assert await program.connects()
    assert [await program.hear(), await program.hear()] == [CONNECTED, error(402, "auth failed")]
    assert await program.closed() == 4001


WRONG = (
    {"key": "PK", "secret": "secret"},
    {"key": "ABCDEFGH", "secret": "ot_ABCDEFGH_" + "a" * 40},
    {"key": "ot_ABCDEFGH_" + "a" * 40, "secret": ""},
    {"secret": "ot_ABCDEFGH_" + "a" * 40},
    {"key": 1, "secret": None},
    {"key": [], "secret": {}},
    {"key": "\x00", "secret": "\x00"},
    {},
)


async def test_a_wrong_key_is_told_and_ends_it():
    for said in WRONG:
        async with Program() as program:
            assert await program.ask(action="auth", **said) == error(402, "auth failed"), said
            assert await program.closed() == 4001


async def test_a_revoked_key_is_wrong(user):
    _, text = await in_thread(make_api_key, user, revoked_at=datetime.now(UTC))
    async with Program() as program:
        assert await program.ask(action="auth", key=text, secret=text) == error(402, "auth failed")


async def test_who_is_in_is_told_so_when_he_says_it_again(key):
    async with Program(key) as program:
        assert await program.ask(action="auth", key=key, secret=key) == error(403, "already authenticated")
        assert await program.ask(action="subscribe") == subscription()


async def test_nothing_is_subscribed_before_the_key(key):
    async with Program() as program:
        assert await program.ask(action="subscribe", trades=["AAPL"]) == error(401, "not authenticated")
        assert await program.ask(action="auth", key=key, secret=key) == AUTHENTICATED


async def test_who_does_not_say_who_he_is_is_closed(monkeypatch):
    monkeypatch.setattr(sockets, "AUTHENTICATE_WITHIN_S", 0.05)
    async with Program() as program:
        assert await program.hear() == error(404, "auth timeout")
        assert await program.closed() == 4001


async def test_a_connection_too_many_is_refused(user, key):
    most = limits_of(user.tier).max_connections
    programs = [await Program(key).__aenter__() for _ in range(most)]
    async with Program() as program:
        assert await program.ask(action="auth", key=key, secret=key) == error(
            406, "connection limit exceeded"
        )
        assert await program.closed() == 4003

    await programs.pop().__aexit__()
    async with Program(key):
        pass
    for program in programs:
        await program.__aexit__()


async def test_while_the_database_is_away_it_is_an_internal_error(monkeypatch, key):
    def away(_):
        raise OperationalError

    monkeypatch.setattr("accounts.credentials.by_api_keys", away)
    async with Program() as program:
        assert await program.ask(action="auth", key=key, secret=key) == error(500, "internal error")
        assert await program.closed() == 4012


async def test_another_feed_of_alpacas_is_no_address():
    assert not await Program(feed="boats").connects()


# --- what is followed


@pytest.mark.parametrize("binary", [False, True])
async def test_trades_come_as_prices_change(feed, key, tickers, binary):
    async with Program(key, binary=binary) as program:
        assert await program.ask(action="subscribe", trades=["AAPL", "brk-b"]) == subscription(
            trades=["AAPL", "BRK.B"]
        )
        (told,) = await ticks(feed, program, AAPL="187.32", MSFT="400")

        at = told.pop("t")
        assert isinstance(at, msgpack.Timestamp if binary else str)
        assert told == {"T": "t", "S": "AAPL", "i": 1, "x": "E", "p": 187.32, "s": 0, "c": ["@"], "z": "C"}


async def test_each_channel_has_its_own_symbols(key, tickers):
    async with Program(key) as program:
        await program.ask(action="subscribe", trades=["AAPL"], quotes=["AAPL", "MSFT"])
        assert await program.ask(action="subscribe", bars=["MSFT"]) == subscription(
            trades=["AAPL"], quotes=["AAPL", "MSFT"], bars=["MSFT"]
        )
        assert await program.ask(action="unsubscribe", quotes=["AAPL", "BRK.B"], bars=["*"]) == subscription(
            trades=["AAPL"], quotes=["MSFT"]
        )


async def test_quotes_come_where_bid_and_ask_are_known(key, tickers):
    async with Program(key) as program:
        await program.ask(action="subscribe", quotes=["AAPL"])
        await joined("AAPL")
        at = clock.now_us() // 1000
        for number, sides in ((1, {}), (2, {"b": "187.29", "a": "187.31"})):
            text = f'{{"s":"AAPL","p":"187.3","t":{at},"e":1,"n":{number}}}'
            event = {"type": live.QUOTE_TICKED, "s": "AAPL", "e": 1, "n": number, "d": text, **sides}
            await live.publish(group_name("AAPL"), event)
        (told,) = await program.hear()

        assert (told["T"], told["bp"], told["ap"]) == ("q", 187.29, 187.31)


async def test_bars_come_when_their_minute_is_over(key, tickers):
    async with Program(key) as program:
        await program.ask(action="subscribe", bars=["AAPL"], trades=["AAPL"])
        await joined("AAPL")
        await live.publish(
            group_name("AAPL"),
            {"type": live.BAR_CLOSED, "s": "AAPL", "e": 1, "t": 1_767_624_660,
             "o": "1.5", "h": "4.5", "l": "0.5", "c": "2.5", "v": 77},
        )  # fmt: skip

        assert await program.hear() == [
            {
                "T": "b", "S": "AAPL", "o": 1.5, "h": 4.5, "l": 0.5, "c": 2.5, "v": 77, "n": None, "vw": None,
                "t": "2026-01-05T14:51:00Z",
            }
        ]  # fmt: skip


async def test_one_frame_holds_all_that_changed_meanwhile(feed, key, tickers):
    async with Program(key) as program:
        await program.ask(action="subscribe", trades=["AAPL", "MSFT"])
        told = await ticks(feed, program, AAPL="1", MSFT="2")

        assert sorted((one["S"], one["p"]) for one in told) == [("AAPL", 1.0), ("MSFT", 2.0)]


async def test_a_trade_is_told_once(feed, key, tickers):
    """When a silence ends all is well again; but a trade happened once."""
    async with Program(key) as program:
        await program.ask(action="subscribe", trades=["AAPL"])
        await ticks(feed, program, AAPL="1")
        while not hub().silence.is_silent("AAPL"):
            await asyncio.sleep(0.05)
        while hub().silence.is_silent("AAPL"):
            await feed.beat()
            await asyncio.sleep(0.05)

        assert [one["p"] for one in await ticks(feed, program, AAPL="2")] == [2.0]


async def test_after_unsubscribing_nothing_comes(feed, key, tickers):
    async with Program(key) as program:
        await program.ask(action="subscribe", trades=["AAPL", "MSFT"])
        await program.ask(action="unsubscribe", trades=["AAPL"])
        await feed.publish(AAPL="1")

        assert [one["S"] for one in await ticks(feed, program, MSFT="2")] == ["MSFT"]
        assert hub().symbols == ["MSFT"]


async def test_a_star_is_the_watchlist(user, key, tickers):
    for ticker in tickers[:2]:
        await in_thread(make_subscription, user, ticker)
    async with Program(key) as program:
        assert await program.ask(action="subscribe", trades=["*"], bars=["BRK.B", "*"]) == subscription(
            trades=["AAPL", "MSFT"], bars=["AAPL", "BRK.B", "MSFT"]
        )
        assert await program.ask(action="unsubscribe", trades=["*"]) == subscription(
            bars=["AAPL", "BRK.B", "MSFT"]
        )


async def test_a_star_of_an_empty_watchlist_is_nothing(key):
    async with Program(key) as program:
        assert await program.ask(action="subscribe", trades=["*"]) == subscription()


async def test_what_nobody_lists_is_left_out_of_the_answer(key, tickers):
    async with Program(key) as program:
        assert await program.ask(action="subscribe", trades=["AAPL", "NOSUCH"]) == subscription(
            trades=["AAPL"]
        )


async def test_channels_that_we_do_not_have_are_left_out_beside_others(key, tickers):
    async with Program(key) as program:
        assert await program.ask(
            action="subscribe", trades=["AAPL"], dailyBars=["AAPL"], statuses=["*"]
        ) == subscription(trades=["AAPL"])


@pytest.mark.parametrize(
    "name", ["dailyBars", "updatedBars", "statuses", "lulds", "corrections", "cancelErrors"]
)
async def test_channels_that_we_do_not_have_are_refused_alone(key, name):
    async with Program(key) as program:
        assert await program.ask(action="subscribe", **{name: ["AAPL"]}) == error(
            409, "insufficient subscription"
        )
        assert await program.ask(action="subscribe") == subscription()


@pytest.mark.parametrize("name", ["news", "orderbooks", "imaginary"])
async def test_what_is_no_channel_of_shares_is_no_action(key, name):
    async with Program(key) as program:
        assert await program.ask(action="subscribe", trades=["AAPL"], **{name: ["AAPL"]}) == error(
            410, "invalid subscribe action for this feed"
        )


# --- the limits of a plan


async def test_a_symbol_too_many_is_refused_and_those_before_stay(key, feed):
    symbols = [f"S{number}" for number in range(6)]
    for symbol in symbols:
        await in_thread(make_ticker, symbol)
    async with Program(key) as program:
        await program.ask(action="subscribe", trades=symbols[:5])

        assert await program.ask(action="subscribe", trades=symbols) == error(405, "symbol limit exceeded")
        assert await program.ask(action="subscribe", quotes=symbols[:5]) == subscription(
            trades=symbols[:5], quotes=symbols[:5]
        )
        await program.ask(action="unsubscribe", trades=symbols[:1], quotes=symbols[:1])
        assert await program.ask(action="subscribe", bars=symbols[5:]) == subscription(
            trades=symbols[1:5], quotes=symbols[1:5], bars=symbols[5:]
        )


async def test_a_symbol_makes_room_when_its_last_channel_ends(user, key, tickers):
    async with Program(key) as program:
        await program.ask(action="subscribe", trades=["BRK.B"], quotes=["BRK.B"])
        (ours,) = hub().clients
        await program.ask(action="unsubscribe", trades=["BRK.B"])
        assert ours.temporary == {"BRK.B": tickers[2].pk}
        await program.ask(action="unsubscribe", quotes=["BRK.B"])
        assert ours.temporary == {}


async def test_more_symbols_than_any_plan_has_are_refused_unread(key):
    async with Program(key) as program:
        assert await program.ask(
            action="subscribe", trades=[f"S{number}" for number in range(500)], quotes=["*"] * 100
        ) == error(405, "symbol limit exceeded")
    assert not await in_thread(Subscription.objects.exists)


async def test_what_leaves_the_watchlist_is_no_longer_sent(monkeypatch, user, key, tickers):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    await in_thread(watchlist.watch, user, tickers[2:])
    async with Program(key) as program:
        await program.ask(action="subscribe", trades=["BRK.B"])
        await in_thread(watchlist.unwatch, user, tickers[2:])

        assert await program.hear() == error(405, "symbol limit exceeded")
        assert await program.ask(action="subscribe") == subscription()


async def test_who_revokes_a_key_ends_its_connections(monkeypatch, key, tickers):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    async with Program(key) as program:
        await in_thread(ApiKey.objects.all().update, revoked_at=datetime.now(UTC))

        assert await program.hear() == error(402, "auth failed")
        assert await program.closed() == 4001


# --- bad messages, slow readers


BAD = (
    "", "not json", "[]", "null", "1", '"auth"', "[" * 5_000, '{"action":null}', '{"action":["auth"]}',
    '{"action":"listen"}', '{"action":{}}', '{"action":"subscribe","trades":"AAPL"}',
    '{"action":"subscribe","trades":{"AAPL":1}}', '{"action":"subscribe","trades":[1]}',
    '{"action":"subscribe","trades":[null]}', '{"action":"subscribe","trades":[["AAPL"]]}',
    '{"action":"subscribe","trades":["АAPL"]}', '{"action":"subscribe","trades":["AAPL\\n;"]}',
    '{"action":"subscribe","trades":[1e999]}', '{"action":"unsubscribe","trades":[{}]}',
    '{"action":"unsubscribe","bars":true}', b"\xc1", b"\x91" * 5_000, b"",
)  # fmt: skip


async def test_bad_messages_are_told_so_and_the_connection_lives(key, tickers):
    async with Program(key) as program:
        for message in BAD:
            await program.say_raw(message)
            assert await program.hear() == error(400, "invalid syntax"), message
        assert await program.ask(action="subscribe", trades=["AAPL"]) == subscription(trades=["AAPL"])


async def test_the_other_encoding_is_understood_too(key, tickers):
    async with Program(key) as program:
        await program.say_raw(msgpack.packb({"action": "subscribe", "trades": ["AAPL"]}))
        assert await program.hear() == subscription(trades=["AAPL"])


async def test_a_message_that_is_too_big_ends_it(key):
    async with Program(key) as program:
        await program.say_raw(b"\x00" * (sockets.MAX_MESSAGE + 1))
        assert await program.hear() == error(400, "invalid syntax")
        assert await program.closed() == 4009


async def test_a_slow_reader_is_dropped_and_delays_nobody(monkeypatch, feed, screen, price_hub):
    monkeypatch.setattr(client_module, "STUCK_S", 0.3)
    monkeypatch.setattr(upkeep, "MIND_EVERY_S", 0.05)
    stuck, refusals = asyncio.Event(), asyncio.Queue()
    slow = Client(lambda _: stuck.wait(), wire=JSON_WIRE, close=refusals.put)
    for one in (slow, screen.client):
        await price_hub.add(one)
    await price_hub.follow(slow, ["AAPL"], JSON_WIRE.feeds["trades"])
    await price_hub.follow(screen.client, ["AAPL"])

    await feed.publish(AAPL="1")
    await screen.until(lambda: screen.prices() == {"AAPL": "1.00"})
    async with asyncio.timeout(30):
        refused = await refusals.get()

    assert JSON_WIRE.error(refused) == '[{"T":"error","code":407,"msg":"slow client"}]'
    assert price_hub.clients == {screen.client}
    stuck.set()
