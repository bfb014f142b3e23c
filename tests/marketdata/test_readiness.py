from __future__ import annotations

import time

import pytest

from core.redis import client
from marketdata import readiness
from marketdata.cache import BEATS_KEY
from tests.factories import make_quote, make_ticker

pytestmark = pytest.mark.django_db


def test_a_tape_that_beats_is_alive_and_the_newest_price_has_an_age():
    make_quote(make_ticker())
    client().hset(BEATS_KEY, "0", str(time.time() + 600))  # not a late one, whatever the machine does

    finding = readiness.tape()

    assert finding.ok
    assert 0 <= finding.figures["newest_quote_age_s"] < 60


def test_a_tape_that_missed_its_beats_is_not():
    client().delete(BEATS_KEY)
    client().hset(BEATS_KEY, "0", str(time.time() - 10))

    finding = readiness.tape()

    assert not finding.ok
    assert finding.figures["newest_quote_age_s"] is None
