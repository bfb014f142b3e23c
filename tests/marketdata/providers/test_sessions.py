from __future__ import annotations

from datetime import datetime

import pytest

from marketdata.providers.sessions import NEW_YORK, last_open_us, session_at
from marketdata.quotes import microseconds


def us(text):
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK))


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2026-01-14T03:59:59", "closed"),
        ("2026-01-14T04:00:00", "pre"),
        ("2026-01-14T09:29:59", "pre"),
        ("2026-01-14T09:30:00", "regular"),
        ("2026-07-14T15:59:59", "regular"),
        ("2026-07-14T16:00:00", "post"),
        ("2026-07-14T19:59:59", "post"),
        ("2026-07-14T20:00:00", "closed"),
        ("2026-07-18T12:00:00", "closed"),
        ("2026-07-19T12:00:00", "closed"),
    ],
)
def test_the_session_follows_new_york_hours_in_winter_and_summer(moment, session):
    assert session_at(us(moment)) == session


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        ("2026-07-14T12:00:00", "2026-07-14T12:00:00"),
        ("2026-07-14T20:00:00", "2026-07-14T19:59:59.999999"),
        ("2026-07-14T03:00:00", "2026-07-13T19:59:59.999999"),
        ("2026-07-13T03:00:00", "2026-07-10T19:59:59.999999"),
        ("2026-07-18T01:00:00", "2026-07-17T19:59:59.999999"),
        ("2026-07-19T23:00:00", "2026-07-17T19:59:59.999999"),
    ],
)
def test_the_last_open_moment_is_found(moment, last):
    assert last_open_us(us(moment)) == us(last)
