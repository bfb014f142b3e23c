"""Finnhub's stream as we serve it, message by message. Programs on a real server: test_finnhub_client.py."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from django.db import OperationalError

from accounts.models import ApiKey
from accounts.tiers import limits_of
from core import clock
from core.database import in_thread
from core.redis import client, close_async_client
from subscriptions import renewal, sockets, watchlist
from subscriptions.compat.finnhub_stream import FINNHUB, TRADES
from subscriptions.errors import Refused
from subscriptions.feeds import State
from subscriptions.hub import hub
from tests.factories import make_subscription, make_ticker
from tests.subscriptions.compat.lines import Line
from tests.subscriptions.compat.serving import Prices

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
async def _fresh_hub(quick):
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


@pytest.fixture
def prices():
    return Prices()


class Program(Line):
    def __init__(self, key="", headers=None):
        super().__init__(f"/compat/finnhub?token={key}" if key else "/compat/finnhub/", headers)

    async def hear(self):
        """What comes about once a minute, whatever a test does, is not meant."""
        while (told := await super().hear()) == {"type": "ping"}:
            pass
        return told

    async def subscribe(self, *symbols):
        """Nothing is acknowledged, so it is waited for an error that always comes."""
        for symbol in symbols:
            await self.say({"type": "subscribe", "symbol": symbol})
        assert await self.errors() == []

    async def errors(self):
        """What went wrong until now."""
        await self.say({"type": "subscribe", "symbol": "*"})
        found = []
        while (told := await self.hear()) != {"type": "error", "msg": "Invalid symbol *"}:
            found.append(told["msg"])
        return found


async def make_tickers(*symbols):
    return [await in_thread(make_ticker, symbol) for symbol in symbols]


# --- words


def test_a_trade_has_finnhubs_spelling_and_the_price_as_it_came():
    text = orjson.dumps({"s": "BTC-USD", "p": "64250.55", "t": 1772465400123, "e": 4, "n": 17}).decode()

    assert TRADES.part(State("BTC-USD", (4, 17), text, size=3)) == (
        '{"c":null,"p":64250.55,"s":"BINANCE:BTCUSDT","t":1772465400123,"v":3}'
    )


def test_several_trades_share_a_frame():
    assert FINNHUB.frame(['{"a":1}', '{"b":2}']) == '{"data":[{"a":1},{"b":2}],"type":"trade"}'


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("not_authenticated", "Invalid API key"),
        ("session_ended", "Invalid API key"),
        ("tier_limit", "Subscribing to too many symbols"),
        ("connection_limit", "Too many connections"),
        ("too_slow", "our own words"),
    ],
)
def test_a_refusal_is_told_in_finnhubs_words_where_it_has_any(code, words):
    assert orjson.loads(FINNHUB.error(Refused(code, "our own words"))) == {"type": "error", "msg": words}


def test_about_once_a_minute_there_is_a_ping():
    beats = range(1_772_465_400_000, 1_772_465_400_000 + 600_000, 5_100)

    pings = [at for at in beats if FINNHUB.heartbeat(at, ack=False) == '{"type":"ping"}']

    assert 10 <= len(pings) <= 21
    assert max(later - earlier for earlier, later in pairwise(pings)) < 70_000


# --- who connects


@pytest.mark.parametrize(
    "path", ["?token=nonsense", "?token=", "", "/", "?" + "&".join("abcdefghijklmnopqrstuvwxyz")]
)
async def test_a_key_that_is_none_is_told_and_the_connection_ended(path):
    async with Line(f"/compat/finnhub{path}") as line:
        assert await line.hear() == {"type": "error", "msg": "Invalid API key"}
        assert await line.closed() == 4001


async def test_the_key_may_stand_in_the_header(key):
    async with Program(headers={"x-finnhub-token": key}) as program:
        assert await program.ask({"type": "subscribe", "symbol": "NOSUCH"}) == {
            "type": "error", "msg": "Invalid symbol NOSUCH",
        }  # fmt: skip


async def test_one_connection_too_many_is_told_and_ended(key):
    programs = [Program(key) for _ in range(limits_of("free").max_connections)]
    for program in programs:
        await program.__aenter__()
        assert await program.errors() == []

    async with Program(key) as further:
        assert await further.hear() == {"type": "error", "msg": "Too many connections"}
        assert await further.closed() == 4003
    for program in programs:
        await program.__aexit__()


async def test_a_key_that_is_revoked_ends_the_connection(key, monkeypatch):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    async with Program(key) as program:
        assert await program.errors() == []
        await in_thread(ApiKey.objects.all().revoke, clock.now())

        assert await program.hear() == {"type": "error", "msg": "Invalid API key"}
        assert await program.closed() == 4001


async def test_a_database_that_is_away_is_told(monkeypatch):
    def away(_):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("accounts.credentials.by_api_keys", away)
    async with Program("ot_abcdefgh_" + "x" * 40) as program:
        assert (await program.hear())["type"] == "error"
        assert await program.closed() == 4012


# --- symbols


async def test_what_is_subscribed_streams_and_what_is_not_does_not(key, prices):
    await make_tickers("IBM", "GE", "BRK.B")
    async with Program(key) as program:
        await program.subscribe("IBM", "brk-b", "IBM")

        await prices.publish(**{"IBM": "250.10", "GE": "300", "BRK.B": "400"})
        frame = await program.hear()
        assert frame["type"] == "trade"
        assert {trade["s"]: trade["p"] for trade in frame["data"]} == {"IBM": 250.1, "BRK.B": 400}

        await program.say({"type": "unsubscribe", "symbol": "IBM"})
        await program.subscribe()
        await prices.publish(**{"IBM": "251", "BRK.B": "401"})
        assert [trade["s"] for trade in (await program.hear())["data"]] == ["BRK.B"]


async def test_the_sixth_ticker_is_too_many_until_one_is_given_up(user, key):
    symbols = [f"T{letter}" for letter in "ABCDEF"]
    await make_tickers(*symbols)
    async with Program(key) as program:
        await program.subscribe(*symbols[:5])
        await program.say({"type": "subscribe", "symbol": symbols[5]})
        assert await program.errors() == ["Subscribing to too many symbols"]

        await program.say({"type": "unsubscribe", "symbol": symbols[0]})
        await program.subscribe(symbols[5])
    assert await in_thread(watchlist.count, user) == 5


async def test_what_was_never_subscribed_can_be_given_up(key):
    async with Program(key) as program:
        await program.say({"type": "unsubscribe", "symbol": "IBM"})
        assert await program.errors() == []


async def test_rights_that_went_are_told(user, key, monkeypatch):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    (ticker,) = await make_tickers("GE")
    await in_thread(make_subscription, user, ticker)
    async with Program(key) as program:
        await program.subscribe("GE")
        await in_thread(watchlist.unwatch, user, [ticker])

        assert (await program.hear())["type"] == "error"


# --- what is no message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "Invalid message: send JSON"),
        (b"\x00\xff", "Invalid message: send JSON"),
        ("[" * 5_000, "Invalid message: send JSON"),
        ("null", "Invalid message: send an object"),
        ("[]", "Invalid message: send an object"),
        ("{}", "Invalid message: the types are subscribe and unsubscribe"),
        ('{"type":["subscribe"]}', "Invalid message: the types are subscribe and unsubscribe"),
        ('{"type":"subscribe-news","symbol":"IBM"}', "You don't have access to this resource."),
        ('{"type":"subscribe"}', "Invalid symbol"),
        ('{"type":"subscribe","symbol":7}', "Invalid symbol"),
        ('{"type":"subscribe","symbol":"A*"}', "Invalid symbol A*"),
        ('{"type":"subscribe","symbol":"OANDA:EUR"}', "Invalid symbol OANDA:EUR"),
        ('{"type":"subscribe","symbol":"NOSUCH"}', "Invalid symbol NOSUCH"),
        ('{"type":"subscribe","symbol":"' + "A" * 300 + '"}', "Invalid symbol " + "A" * 40),
    ],
)
async def test_what_is_no_message_is_told_and_the_connection_stays(key, message, words):
    async with Program(key) as program:
        assert await program.ask(message) == {"type": "error", "msg": words}
        assert await program.errors() == []


async def test_too_many_messages_end_the_connection(key, monkeypatch):
    monkeypatch.setattr(sockets, "MESSAGES_AT_ONCE", 3)
    monkeypatch.setattr(sockets, "MESSAGES_PER_MINUTE", 0)
    async with Program(key) as program:
        for _ in range(4):
            await program.say({"type": "subscribe", "symbol": "*"})
        told = [await program.hear() for _ in range(4)]
        assert told[3]["msg"] == "At most 0 messages a minute."
        assert await program.closed() == 4029
