"""The page for those who write a receiver: its code is run."""

from __future__ import annotations

import re

import pytest

from alerts.deliveries.webhook import DIGEST, TYPES, sign
from core import clock
from tests.alerts.deliveries.messages import SECRET
from tests.docs.pages import first_cells, text_of

PAGE = "docs/howto/webhooks.md"
BODY = b'{"type":"alert.fired"}'


@pytest.fixture
def is_genuine():
    (code,) = re.findall(r"^```python\n(.*?)^```", text_of(PAGE), re.DOTALL | re.MULTILINE)
    names: dict = {}
    exec(code, names)
    return names["is_genuine"]


def headers(at=None, **fields):
    at = str(int(clock.now().timestamp()) if at is None else at)
    return {
        "webhook-id": "ot-17-4",
        "webhook-timestamp": at,
        "webhook-signature": sign(SECRET, "ot-17-4", at, BODY),
        **fields,
    }


def test_what_we_sign_is_genuine(is_genuine):
    assert is_genuine(SECRET, headers(), BODY)


def test_another_body_id_or_secret_is_not(is_genuine):
    assert not is_genuine(SECRET, headers(), BODY + b" ")
    assert not is_genuine(SECRET, headers(**{"webhook-id": "ot-17-5"}), BODY)
    assert not is_genuine("whsec_" + "A" * 32, headers(), BODY)


def test_an_old_message_is_not(is_genuine):
    assert not is_genuine(SECRET, headers(at=int(clock.now().timestamp()) - 400), BODY)


def test_every_type_is_described_and_no_other():
    assert sorted(first_cells(PAGE, "What it says")[1:]) == sorted([*TYPES.values(), DIGEST])
