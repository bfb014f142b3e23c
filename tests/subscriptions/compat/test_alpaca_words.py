"""What is said in Alpaca's words, in both encodings."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgpack
import orjson
import pytest

from marketdata.quotes import Quote
from marketdata.tape.publish import frame_of
from subscriptions.compat.alpaca import JSON_WIRE, MSGPACK_WIRE, NUMBERS, unpacked
from subscriptions.errors import Refused
from subscriptions.feeds import Minute, State
from subscriptions.sockets import CLOSE_CODES

AT = datetime(2026, 1, 5, 14, 51, 44, 208_000, tzinfo=UTC)


def state(number=7, **fields):
    quote = Quote("AAPL", Decimal("126.55"), AT, AT, AT, "replay", epoch=3, seq=number)
    return State("AAPL", (3, number), frame_of(quote), **fields)


def in_json(name, one):
    return orjson.loads(JSON_WIRE.frame([one.part(JSON_WIRE.feeds[name])]))


def in_msgpack(name, one):
    return msgpack.unpackb(MSGPACK_WIRE.frame([one.part(MSGPACK_WIRE.feeds[name])]))


def test_a_price_is_a_trade():
    assert in_json("trades", state(size=12)) == [
        {
            "T": "t", "S": "AAPL", "i": 7, "x": "E", "p": 126.55, "s": 12, "c": ["@"],
            "t": "2026-01-05T14:51:44.208000Z", "z": "C",
        }
    ]  # fmt: skip


def test_bid_and_ask_are_a_quote_without_sizes():
    assert in_json("quotes", state(bid="126.54", ask="126.56")) == [
        {
            "T": "q", "S": "AAPL", "bx": "E", "bp": 126.54, "bs": 0, "ax": "E", "ap": 126.56, "as": 0,
            "c": ["R"], "t": "2026-01-05T14:51:44.208000Z", "z": "C",
        }
    ]  # fmt: skip


def test_a_side_that_is_not_known_has_the_price_zero():
    (told,) = in_json("quotes", state(ask="126.56"))

    assert (told["bp"], told["ap"]) == (0, 126.56)


def test_without_bid_and_ask_there_is_no_quote():
    assert state().part(JSON_WIRE.feeds["quotes"]) is None
    assert state().part(MSGPACK_WIRE.feeds["quotes"]) is None


def test_a_minute_that_is_over_is_a_bar():
    minute = Minute("SPY", 3, 1_767_624_660, "388.985", "389.13", "388.975", "389.12", 49378)

    assert in_json("bars", minute) == [
        {
            "T": "b", "S": "SPY", "o": 388.985, "h": 389.13, "l": 388.975, "c": 389.12, "v": 49378,
            "n": None, "vw": None, "t": "2026-01-05T14:51:00Z",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("trades", state(size=12)),
        ("quotes", state(bid="1", ask="2")),
        ("bars", Minute("SPY", 3, 1_767_624_660, "1", "2", "1", "2", 9)),
    ],
)
def test_both_encodings_say_the_same(name, one):
    (binary,), (text,) = in_msgpack(name, one), in_json(name, one)

    moment = binary.pop("t").to_datetime()
    assert datetime.fromisoformat(text.pop("t")) == moment
    assert binary == text


def test_a_time_in_messagepack_is_a_timestamp():
    (told,) = in_msgpack("trades", state())

    assert told["t"].to_datetime() == AT


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_a_frame_is_an_array_of_any_length(count):
    part = state().part(MSGPACK_WIRE.feeds["trades"])

    assert len(msgpack.unpackb(MSGPACK_WIRE.frame([part] * count))) == count


def test_a_state_is_written_once_however_many_clients_there_are():
    one = state()

    assert one.part(MSGPACK_WIRE.feeds["trades"]) is one.part(MSGPACK_WIRE.feeds["trades"])


def test_the_answer_to_a_subscription_names_every_channel():
    assert orjson.loads(JSON_WIRE.subscription({"trades": ["AAPL"]})) == [
        {
            "T": "subscription", "trades": ["AAPL"], "quotes": [], "bars": [], "updatedBars": [], "dailyBars": [],
            "statuses": [], "lulds": [], "corrections": [], "cancelErrors": [],
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "number", "words"),
    [
        ("bad_message", 400, "invalid syntax"),
        ("not_authenticated", 402, "auth failed"),
        ("tier_limit", 405, "symbol limit exceeded"),
        ("connection_limit", 406, "connection limit exceeded"),
        ("too_slow", 407, "slow client"),
        ("no_channel", 409, "insufficient subscription"),
        ("never heard of", 500, "internal error"),
    ],
)
def test_a_refusal_has_alpacas_number_and_words(code, number, words):
    refused = Refused(code, "ours")

    assert orjson.loads(JSON_WIRE.error(refused)) == [{"T": "error", "code": number, "msg": words}]
    assert msgpack.unpackb(MSGPACK_WIRE.error(refused)) == [{"T": "error", "code": number, "msg": words}]


def test_whatever_ends_a_connection_has_a_number():
    assert set(CLOSE_CODES) - set(NUMBERS) == set()


@pytest.mark.parametrize(
    "data",
    [
        "", "{", "[" * 100_000, "NaN", '"\\ud800"', "1e999", "9" * 5_000, b"", b"\xc1", b"\xdf\xff\xff\xff\xff",
        b"\x91" * 100_000, b"\x81\x90\x01", b"\xd6\xff\x00", msgpack.packb({1: 2}), msgpack.packb(1) * 2,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_none(data):
    assert unpacked(data) is None
