from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from dashboard.phases import payload_of, phase_at
from marketdata.calendar import NEW_YORK


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2026-07-14T03:00", ("closed", "Closed since Mon 16:00", "opens 09:30 New York time")),
        ("2026-07-14T08:00", ("live", "Before the open", "opens 09:30 New York time")),
        ("2026-07-14T12:00", ("live", "", "")),
        ("2026-07-14T17:00", ("live", "After the close", "closed since 16:00 New York time")),
        ("2026-07-14T21:00", ("closed", "Closed since 16:00", "opens Wed 09:30 New York time")),
        ("2026-07-18T12:00", ("closed", "Closed since Fri 16:00", "opens Mon 09:30 New York time")),
        ("2026-11-26T12:00", ("closed", "Closed since Wed 16:00", "opens Fri 09:30 New York time")),
        ("2026-11-27T14:00", ("live", "After the close", "closed since 13:00 New York time")),
    ],
)
def test_the_market_is_said_to_be_closed_since_and_until_when(moment, said):
    phase = phase_at(ny(moment))

    assert (phase.state, phase.words, phase.note) == said


def test_a_page_knows_what_to_say_over_a_long_weekend():
    start = ny("2026-07-02T15:59")  # Friday is a holiday

    phases = payload_of(start)

    assert [(one["words"], one["until"]) for one in phases[:5]] == [
        (words, round(ny(until).timestamp() * 1000))
        for words, until in [
            ("", "2026-07-02T16:00"),
            ("After the close", "2026-07-02T20:00"),
            ("Closed since 16:00", "2026-07-03T00:00"),
            ("Closed since Thu 16:00", "2026-07-04T00:00"),
            ("Closed since Thu 16:00", "2026-07-05T00:00"),
        ]
    ]
    assert phases[-1]["until"] > (start + timedelta(days=4)).timestamp() * 1000


def test_what_a_page_was_told_is_what_the_server_would_say_then():
    start = ny("2026-10-30T12:00")  # the clocks go back on Sunday

    for one in payload_of(start):
        last = datetime.fromtimestamp(one["until"] / 1000 - 1, NEW_YORK)
        phase = phase_at(last)
        assert (phase.words, phase.note) == (one["words"], one["note"])
