"""Massive's stream as we serve it, message by message. Its own client library against it: test_massive_client.py."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
from django.db import OperationalError

from accounts.models import ApiKey
from accounts.tiers import limits_of
from core import clock
from core.database import in_thread
from core.redis import client, close_async_client
from marketdata.quotes import Bar
from subscriptions import renewal, sockets, upkeep, watchlist
from subscriptions.compat.massive_feeds import CRYPTO, FOREX, INDICES, MASSIVE, MINUTES, STOCKS
from subscriptions.errors import Refused
from subscriptions.feeds import Minute, State
from subscriptions.hub import hub
from tests.factories import make_subscription, make_ticker
from tests.subscriptions.compat.lines import Line
from tests.subscriptions.compat.serving import Prices, joined

pytestmark = [pytest.mark.django_db(transaction=True)]

PATH = "/compat/massive/stocks"
CONNECTED = [{"ev": "status", "status": "connected", "message": "Connected Successfully"}]
AUTHENTICATED = [{"ev": "status", "status": "auth_success", "message": "authenticated"}]
FAILED = [{"ev": "status", "status": "auth_failed", "message": "authentication failed"}]


@pytest.fixture(autouse=True)
async def _fresh_hub(quick):
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


@pytest.fixture
def prices():
    return Prices()


class Massive(Line):
    """A line whose key is said at once, where given."""

    def __init__(self, key="", market="stocks"):
        super().__init__(f"/compat/massive/{market}")
        self._key = key

    async def __aenter__(self):
        await super().__aenter__()
        assert await self.hear() == CONNECTED
        if self._key:
            assert await self.ask({"action": "auth", "params": self._key}) == AUTHENTICATED
        return self

    async def subscribe(self, *channels):
        """(status, message) of each answer."""
        answers = await self.ask({"action": "subscribe", "params": ",".join(channels)})
        return [(one["status"], one["message"]) for one in answers]

    async def unsubscribe(self, *channels):
        answers = await self.ask({"action": "unsubscribe", "params": ",".join(channels)})
        return [(one["status"], one["message"]) for one in answers]


async def make_tickers(*symbols):
    return [await in_thread(make_ticker, symbol) for symbol in symbols]


def taken(*channels):
    return [("success", f"subscribed to: {channel}") for channel in channels]


def refused(channel, why=""):
    return ("error", f"You are not authorized to subscribe to: {channel}{f' ({why})' if why else ''}")


# --- what an update becomes


def state(symbol, **fields):
    text = orjson.dumps({"s": symbol, "p": "187.30", "t": 1772465400123, "e": 4, "n": 17}).decode()
    return State(symbol, (4, 17), text, **fields)


def written(feed, one):
    return orjson.loads(feed.part(one))


def test_a_trade_is_the_newest_price_with_the_numbers_of_the_tape():
    assert STOCKS["T"].part(state("BRK.B", size=30)) == (
        '{"ev":"T","sym":"BRK.B","i":"4-17","p":187.30,"s":30,"t":1772465400123,"q":17}'
    )


def test_a_quote_has_the_sides_that_are_known():
    both, one = state("IBM", bid="187.29", ask="187.31"), state("IBM", ask="187.31")

    assert written(STOCKS["Q"], both) == {
        "ev": "Q", "sym": "IBM", "bp": 187.29, "ap": 187.31, "t": 1772465400123, "q": 17,
    }  # fmt: skip
    assert written(STOCKS["Q"], one) == {"ev": "Q", "sym": "IBM", "ap": 187.31, "t": 1772465400123, "q": 17}
    assert STOCKS["Q"].part(state("IBM")) is None


def test_a_minute_has_its_begin_and_its_end():
    minute = Minute("IBM", 4, 1772465400, "1.00", "3.00", "0.50", "2.00", 900)

    assert written(MINUTES, minute) == {
        "ev": "AM", "sym": "IBM", "v": 900, "o": 1.0, "c": 2.0, "h": 3.0, "l": 0.5,
        "s": 1772465400000, "e": 1772465460000,
    }  # fmt: skip


def test_coins_pairs_and_indexes_have_words_of_their_own():
    assert written(CRYPTO["XT"], state("BTC-USD", size=2)) == {
        "ev": "XT", "pair": "BTC-USD", "i": "4-17", "p": 187.3, "s": 2, "t": 1772465400123,
    }  # fmt: skip
    assert written(FOREX["C"], state("EURUSD=X", bid="1.09")) == {
        "ev": "C", "p": "EUR/USD", "a": 187.3, "b": 1.09, "t": 1772465400123,
    }  # fmt: skip
    assert written(INDICES["V"], state("^GSPC")) == {
        "ev": "V",
        "T": "I:SPX",
        "val": 187.3,
        "t": 1772465400123,
    }


def test_a_frame_is_a_list():
    assert MASSIVE.frame(['{"a":1}', '{"b":2}']) == '[{"a":1},{"b":2}]'


def test_every_refusal_of_ours_has_a_status():
    told = {
        code: orjson.loads(MASSIVE.error(Refused(code, "words")))[0]["status"] for code in sockets.CLOSE_CODES
    }

    assert told == {
        "not_authenticated": "auth_failed", "session_ended": "force_disconnect",
        "connection_limit": "max_connections", "too_slow": "slow_consumer", "message_too_big": "error",
        "too_many_messages": "error", "restarting": "force_disconnect", "unavailable": "error",
    }  # fmt: skip


# --- who connects


async def test_a_key_that_is_none_is_told_and_the_connection_ended():
    async with Massive() as line:
        assert await line.ask({"action": "auth", "params": "nonsense"}) == FAILED
        assert await line.closed() == 4001


async def test_whoever_subscribes_without_a_key_is_sent_away():
    async with Massive() as line:
        assert await line.ask({"action": "subscribe", "params": "T.IBM"}) == FAILED
        assert await line.closed() == 4001


async def test_whoever_says_nothing_is_sent_away_in_massives_words(monkeypatch):
    monkeypatch.setattr(sockets, "AUTHENTICATE_WITHIN_S", 0.05)
    async with Massive() as line:
        (told,) = await line.hear()
        assert (told["status"], told["message"]) == ("auth_timeout", "No authentication request received.")
        assert await line.closed() == 4001


async def test_one_connection_too_many_is_max_connections(user, key):
    await in_thread(lambda: type(user).objects.filter(pk=user.pk).update(tier="free"))
    lines = [Massive(key) for _ in range(limits_of("free").max_connections)]
    for line in lines:
        await line.__aenter__()

    async with Massive() as further:
        (told,) = await further.ask({"action": "auth", "params": key})
        assert told["status"] == "max_connections"
        assert told["message"].startswith("Maximum number of websocket connections exceeded.")
        assert await further.closed() == 4003
    for line in lines:
        await line.__aexit__()


async def test_a_key_that_is_revoked_ends_the_connection(key, monkeypatch):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    async with Massive(key) as line:
        await in_thread(ApiKey.objects.all().revoke, clock.now())

        (told,) = await line.hear()
        assert (told["status"], told["message"]) == ("force_disconnect", "Your key is not valid any more.")
        assert await line.closed() == 4001


async def test_a_database_that_is_away_is_told(monkeypatch):
    def away(_):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr("accounts.credentials.by_api_keys", away)
    async with Massive() as line:
        (told,) = await line.ask({"action": "auth", "params": "ot_abcdefgh_" + "x" * 40})
        assert told["status"] == "error"
        assert await line.closed() == 4012


# --- channels


async def test_each_channel_is_acknowledged_and_streams(key, prices):
    await make_tickers("IBM", "GE")
    async with Massive(key) as line:
        assert await line.subscribe("T.IBM", "AM.GE") == taken("T.IBM", "AM.GE")

        await prices.publish(IBM="250.10", GE="300")
        (trade,) = await line.hear()
        assert (trade["ev"], trade["sym"], trade["p"], trade["q"]) == ("T", "IBM", 250.1, 1)
        await joined("GE")
        await prices.close_minute(
            Bar("GE", clock.now().replace(second=0, microsecond=0), *map(Decimal, "1312"), 7)
        )
        (bar,) = await line.hear()
        assert (bar["ev"], bar["sym"], bar["v"], bar["h"]) == ("AM", "GE", 7, 3)


async def test_one_frame_has_everything_of_a_beat(key, prices):
    await make_tickers("IBM", "GE")
    async with Massive(key) as line:
        await line.subscribe("T.IBM", "Q.IBM", "T.GE")

        sides = {"bid": Decimal("9.5"), "ask": Decimal("10.5")}
        await prices.tell([prices.quote("IBM", "10", **sides), prices.quote("GE", "20")])

        frame = await line.hear()
        assert sorted((one["ev"], one["sym"]) for one in frame) == [("Q", "IBM"), ("T", "GE"), ("T", "IBM")]


async def test_what_is_known_already_is_not_told_as_a_trade(key, prices):
    await make_tickers("IBM")
    await prices.publish(IBM="250")
    async with Massive(key) as line:
        assert await line.subscribe("T.IBM") == taken("T.IBM")
        assert await line.is_quiet()

        await prices.publish(IBM="251")
        (trade,) = await line.hear()
        assert trade["p"] == 251


async def test_a_channel_that_we_do_not_have_is_refused_and_the_others_are_not(key):
    await make_tickers("IBM")
    async with Massive(key) as line:
        assert await line.subscribe(
            "A.IBM", "T.IBM", "LULD.IBM", "T.NOSUCH", "T.A*", "T.X:BTCUSD", "nonsense"
        ) == [
            refused("A.IBM"),
            *taken("T.IBM"),
            refused("LULD.IBM"),
            refused("T.NOSUCH", "no such ticker"),
            refused("T.A*", "no such ticker"),
            refused("T.X:BTCUSD", "no such ticker"),
            refused("nonsense"),
        ]


async def test_over_the_limit_the_first_are_taken_and_the_others_refused(user, key):
    symbols = [f"T{letter}" for letter in "ABCDEFG"]
    await make_tickers(*symbols)
    async with Massive(key) as line:
        answers = await line.subscribe(*[f"T.{symbol}" for symbol in symbols], "Q.TA", "Q.TG")

    assert [status for status, _ in answers] == ["success"] * 5 + ["error"] * 2 + ["success", "error"]
    assert answers[5][1].startswith(
        "You are not authorized to subscribe to: T.TF (Your Free plan has room for 5"
    )
    assert await in_thread(watchlist.count, user) == 5


async def test_what_is_given_up_makes_room(key):
    symbols = [f"T{letter}" for letter in "ABCDEF"]
    await make_tickers(*symbols)
    async with Massive(key) as line:
        await line.subscribe(*[f"T.{symbol}" for symbol in symbols[:5]], "Q.TA")

        assert await line.unsubscribe("T.TA") == [("success", "unsubscribed to: T.TA")]
        ((status, _),) = await line.subscribe("T.TF")
        assert status == "error"  # TA is still followed, for its quotes
        await line.unsubscribe("Q.TA")
        assert await line.subscribe("T.TF") == taken("T.TF")


async def test_only_the_channel_that_was_given_up_falls_silent(key, prices):
    await make_tickers("IBM")
    async with Massive(key) as line:
        await line.subscribe("T.IBM", "Q.IBM")
        await line.unsubscribe("T.IBM")

        await prices.tell([prices.quote("IBM", "10", bid=Decimal(9), ask=Decimal(11))])
        assert [one["ev"] for one in await line.hear()] == ["Q"]


async def test_a_channel_that_there_is_not_can_be_unsubscribed_as_well(key, prices):
    await make_tickers("IBM")
    async with Massive(key) as line:
        await line.subscribe("T.IBM")

        assert await line.unsubscribe("A.IBM", "LULD.*", "nonsense") == [
            ("success", f"unsubscribed to: {channel}") for channel in ("A.IBM", "LULD.*", "nonsense")
        ]
        await prices.publish(IBM="1")
        assert [one["sym"] for one in await line.hear()] == ["IBM"]


async def test_a_star_is_the_watchlist_of_this_market(user, key, prices):
    for ticker in await make_tickers("IBM", "BTC-USD"):
        await in_thread(make_subscription, user, ticker)
    await make_tickers("GE")
    async with Massive(key) as line:
        assert await line.subscribe("T.*") == taken("T.*")
        await prices.publish(**{"IBM": "1", "GE": "2", "BTC-USD": "3"})
        assert [one["sym"] for one in await line.hear()] == ["IBM"]

        assert await line.unsubscribe("T.*") == [("success", "unsubscribed to: T.*")]
        await prices.publish(IBM="2")
        assert await line.is_quiet()


async def test_a_star_without_a_watchlist_is_refused(key):
    async with Massive(key) as line:
        why = "a star is your watchlist, which has no ticker of this market"
        assert await line.subscribe("T.*") == [refused("T.*", why)]


@pytest.mark.parametrize(
    ("market", "channel", "symbol"), [("crypto", "XT.BTC-USD", "BTC-USD"), ("indices", "V.I:SPX", "^GSPC")]
)
async def test_each_market_has_its_stream(key, prices, market, channel, symbol):
    await make_tickers(symbol, "IBM")
    async with Massive(key, market) as line:
        assert await line.subscribe(channel, "T.IBM") == [*taken(channel), refused("T.IBM")]

        await prices.publish(**{symbol: "5"})
        (event,) = await line.hear()
        assert event["ev"] == channel.partition(".")[0]


async def test_rights_that_went_are_told_ticker_by_ticker(user, key, monkeypatch):
    monkeypatch.setattr(renewal, "RENEW_EVERY_S", 0.1)
    tickers = await make_tickers("IBM", "GE")
    for ticker in tickers:
        await in_thread(make_subscription, user, ticker)
    async with Massive(key) as line:
        await line.subscribe("T.IBM", "T.GE")
        await in_thread(watchlist.unwatch, user, [tickers[1]])

        (told,) = await line.hear()
        assert (told["status"], told["message"].split(" (")[0]) == refused("GE")


# --- what is no message


@pytest.mark.parametrize(
    "message",
    [
        " ", "{", "null", "[]", "7", '"auth"', "{}", '{"action":"fly"}', '{"action":["auth"]}', b"\x00\xff",
        '{"action":"subscribe"}', '{"action":"subscribe","params":7}', '{"action":"subscribe","params":",, ,"}',
        '{"action":"subscribe","params":["T.IBM"]}', '{"action":"auth","params":"again"}', "[" * 5_000,
        '{"action":"unsubscribe","params":""}', '{"action":"subscribe","params":"' + "T.A," * 300 + 'T.B"}',
    ],
)  # fmt: skip
async def test_what_is_no_message_is_told_and_the_connection_stays(key, message):
    async with Massive(key) as line:
        answer = await line.ask(message)

        assert {one["status"] for one in answer} == {"error"}
        ((status, _),) = await line.subscribe("T.NOSUCH")
        assert status == "error"


async def test_more_channels_than_anybody_can_have_are_refused(key):
    async with Massive(key) as line:
        channels = ",".join(f"T.A{number}" for number in range(301))
        (told,) = await line.ask({"action": "subscribe", "params": channels})
        assert told["message"] == "params are 1 to 300 channels with commas between them."


async def test_a_message_that_is_too_big_ends_the_connection(key):
    async with Massive(key) as line:
        (told,) = await line.ask({"action": "subscribe", "params": "T.IBM" * 10_000})
        assert told["status"] == "error"
        assert await line.closed() == 4009


async def test_a_heartbeat_and_a_silent_tape_are_no_word_of_massives(key, monkeypatch):
    monkeypatch.setattr(upkeep, "HEARTBEAT_EVERY_S", 0.02)
    await make_tickers("IBM")
    async with Massive(key) as line:
        await line.subscribe("T.IBM")
        assert await line.is_quiet()
