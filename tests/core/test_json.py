from __future__ import annotations

import io
import json as stdlib
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from rest_framework.exceptions import ParseError

from core import json
from core.json import BodyTooLarge, InvalidJSON, JSONParser, JSONRenderer

REFUSED = {
    "empty": b"",
    "nan": b"NaN",
    "infinity": b'{"a": Infinity}',
    "overflowing float": b"1e999",
    "integer beyond 64 bits": b"18446744073709551616",
    "negative integer beyond 64 bits": b"-9223372036854775809",
    "5,000 digits": b"1" * 5000,
    "lone surrogate": b'"\\ud800"',
    "invalid utf-8": b'"\xff"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "33 levels": b"[" * 33 + b"]" * 33,
    "1,000 levels": b"[" * 1000 + b"]" * 1000,
    "100,000 open brackets": b"[" * 100_000,
    "100,000 open objects": b'{"a":' * 100_000,
    "cut": b'{"a": ',
    "two values": b"{}{}",
    "comment": b"{} // no",
    "control character in text": b'"\x01"',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_plain_json_is_refused(body):
    with pytest.raises(InvalidJSON) as refusal:
        json.loads(body)

    assert str(refusal.value).startswith("Not valid JSON: ")


def test_the_deepest_allowed_body_is_read():
    assert json.loads(b"[" * 32 + b"]" * 32) is not None


def test_of_duplicate_keys_the_last_wins():
    assert json.loads(b'{"a": 1, "a": 2}') == {"a": 2}


def test_64_bit_numbers_keep_their_digits():
    assert json.loads(b"[9223372036854775807, -0, 1e-400, true]") == [9223372036854775807, 0, 0.0, True]


def test_values_are_written_in_the_words_of_the_api():
    written = json.dumps(
        {
            "price": Decimal("1E-8"),
            "volume": Decimal("1234567.80"),
            "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "day": date(2026, 1, 2),
            "id": UUID(int=1),
            "set": {"b", "a"},
            1: None,
        }
    )

    assert stdlib.loads(written) == {
        "price": "0.00000001",
        "volume": "1234567.80",
        "at": "2026-01-02T03:04:05Z",
        "day": "2026-01-02",
        "id": "00000000-0000-0000-0000-000000000001",
        "set": ["a", "b"],
        "1": None,
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_number_is_written_as_null(number):
    assert json.dumps([number]) == "[null]"


@pytest.mark.parametrize("value", ["\ud800", 2**70])
def test_what_orjson_cannot_write_is_written_all_the_same(value):
    assert stdlib.loads(json.dumps({"echo": value})) == {"echo": value}


def test_the_parser_reads_a_body_of_exactly_the_limit():
    body = b'"' + b"x" * (json.MAX_BODY - 2) + b'"'

    assert len(JSONParser().parse(io.BytesIO(body))) == json.MAX_BODY - 2


def test_the_parser_stops_reading_one_byte_over_the_limit():
    stream = io.BytesIO(b" " * (3 * json.MAX_BODY))

    with pytest.raises(BodyTooLarge):
        JSONParser().parse(stream)

    assert stream.tell() == json.MAX_BODY + 1


def test_the_parser_tells_the_client_what_is_wrong():
    with pytest.raises(ParseError, match="Not valid JSON"):
        JSONParser().parse(io.BytesIO(b"{"))


def test_nothing_is_rendered_as_an_empty_body():
    assert JSONRenderer().render(None) == b""
    assert JSONRenderer().render({"a": Decimal("1.50")}) == b'{"a":"1.50"}'
