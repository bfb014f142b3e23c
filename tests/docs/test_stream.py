from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import orjson

from core import live
from marketdata.payload import quote_payload
from marketdata.quotes import NoQuote, Quote, Reason, Session
from marketdata.tape.publish import frame_of
from subscriptions.consumers import TYPES
from subscriptions.sockets import CLOSE_CODES
from tests.docs.pages import first_cells, text_of

PAGE = "docs/reference/stream.md"
AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
FULL = Quote(
    symbol="AAPL",
    price=Decimal("187.32"),
    as_of=AT,
    received_at=AT,
    expires_at=AT,
    provider="replay",
    replay_date=date(2012, 10, 25),
    halted=True,
)


SOURCES = (
    "core/live.py",
    "subscriptions/admission.py",
    "subscriptions/consumers.py",
    "subscriptions/errors.py",
    "subscriptions/feeds.py",
    "subscriptions/granting.py",
    "subscriptions/hub.py",
    "subscriptions/personal.py",
    "subscriptions/renewal.py",
    "subscriptions/sockets.py",
    "subscriptions/upkeep.py",
)


def test_every_field_of_an_update_is_described_and_no_other():
    assert sorted(first_cells(PAGE, "The update")) == sorted(orjson.loads(frame_of(FULL)))


def test_the_example_of_an_update_has_the_fields_of_one():
    example = re.search(r'^\{"type": "quotes", .*$', text_of(PAGE), re.MULTILINE)

    assert example is not None
    assert list(orjson.loads(example[0])["q"][0]) == list(orjson.loads(frame_of(replace(FULL, halted=False))))


def test_every_message_type_is_described_and_no_other():
    sent = [word for source in SOURCES for word in re.findall(r'"type":\s*"(\w+)"', text_of(source))]

    assert sorted(first_cells(PAGE, "What you get")) == sorted(set(sent))
    assert sorted(first_cells(PAGE, "What you send")) == sorted(TYPES)


def test_every_close_code_is_told_where_its_error_is_described():
    told = re.findall(r"^\| `(\w+)` \|.*\| (4\d{3})", text_of(PAGE), re.MULTILINE)

    assert {code: int(number) for code, number in told} == CLOSE_CODES


def test_every_error_code_is_described_and_no_other():
    codes = [code for source in SOURCES for code in re.findall(r'Refused\(\s*"(\w+)"', text_of(source))]

    assert sorted(first_cells(PAGE, "Errors")) == sorted(set(codes))


def test_every_event_between_processes_is_described_and_no_other():
    events = [
        value
        for name, value in vars(live).items()
        if name.isupper() and isinstance(value, str) and "." in value
    ]

    assert sorted(first_cells(PAGE, "Between our own processes")) == sorted(events)


def test_every_key_of_a_quote_is_described_and_no_other():
    keys = quote_payload(NoQuote("AAPL", Reason.NO_DATA_YET))

    assert sorted(first_cells("docs/reference/api.md", "A quote")) == sorted(keys)


def test_every_reason_and_session_is_named():
    text = text_of("docs/reference/api.md")

    assert [word for word in [*Reason, *Session] if f"`{word}`" not in text] == []


def test_the_program_is_python():
    program = re.search(r"^```python\n(.*?)^```", text_of(PAGE), re.DOTALL | re.MULTILINE)

    assert program is not None
    ast.parse(program[1])
