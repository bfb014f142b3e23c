"""What a back-test tells, from results as the engine of the past gives them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from alerts import backtesting
from alerts.backtest import Fire, Result
from alerts.kinds import Kind, Mode, Rule
from alerts.spans import Source
from dashboard.backtest_chart import MOST_GUIDES, picture
from dashboard.backtest_page import SHOWN_FIRES, BacktestView, backtest_of
from tests.factories import make_ticker

FIRST = date(2026, 1, 5)
RULE = Rule(kind=Kind.ABOVE, threshold=Decimal(600), mode=Mode.REPEAT)


def fires(number: int, days: int) -> list[Fire]:
    """Spread over so many days, from ten in the morning on."""
    start = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
    return [
        Fire(start + timedelta(days=n % days, minutes=n // days), Decimal("600.5")) for n in range(number)
    ]


def view(monkeypatch, number: int, *, rule: Rule = RULE, days: int = 20, **fields) -> BacktestView:
    found = Result(
        fires=sorted(fires(number, days)), days=days, since=FIRST, until=FIRST + timedelta(days=days),
        **{"source": Source.MINUTE, "counted_as": Mode.REPEAT, **fields},
    )  # fmt: skip
    monkeypatch.setattr(backtesting, "run", lambda *_: found)
    return backtest_of(make_ticker(), rule, UTC)


pytestmark = pytest.mark.django_db


def test_more_than_three_a_day_is_warned_of(monkeypatch) -> None:
    assert view(monkeypatch, 124).warning == "6.2 times a day is more than most people want to hear."
    assert view(monkeypatch, 61).warning.startswith("3.0 times a day")


def test_few_are_not(monkeypatch) -> None:
    shown = view(monkeypatch, 60)

    assert (shown.warning, shown.count, shown.times) == ("", 60, "times")


def test_it_says_from_which_bars(monkeypatch) -> None:
    assert view(monkeypatch, 1).source == (
        "From minute bars, 5 Jan 2026 to 25 Jan 2026; the order inside a minute is assumed."
    )


def test_days_are_named_by_what_they_cover(monkeypatch) -> None:
    shown = view(monkeypatch, 300, days=360, source=Source.DAY)

    assert shown.within == "last year"
    assert shown.source.startswith("From daily highs and lows,")
    assert shown.fires[0].at == "31 Oct 2026"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "It would have stayed silent."),
        (1, "On 5 Jan 2026."),
        (40, "About 2 a day; at most 14 in a week."),
        (8, "About 2 a week; at most 7 in a week."),
        (2, "About 2 a month; at most 2 in a week."),
    ],
)
def test_it_says_how_often_that_is(number, words, monkeypatch) -> None:
    assert view(monkeypatch, number).sentence == words


def test_the_narrowest_band_that_halves_it_is_offered(monkeypatch) -> None:
    bands = {Decimal("0.1"): 15, Decimal("0.25"): 9, Decimal("0.5"): 3}
    few = view(monkeypatch, 19, days=200, fires_with_band=bands)

    assert (few.band, few.band_count) == ("0.25", 9)


def test_no_band_is_offered_where_none_helps(monkeypatch) -> None:
    shown = view(monkeypatch, 19, days=200, fires_with_band={Decimal("0.5"): 18})

    assert (shown.band, shown.band_count) == ("", 0)


@pytest.mark.parametrize(("number", "band"), [(0, ""), (1, ""), (2, ""), (3, "0.1")])
def test_what_hardly_fires_needs_no_band(number, band, monkeypatch) -> None:
    shown = view(monkeypatch, number, days=200, fires_with_band={Decimal("0.1"): 0})

    assert shown.band == band


def test_what_fires_once_says_how_it_was_counted(monkeypatch) -> None:
    once = Rule(kind=Kind.ABOVE, threshold=Decimal(600))

    assert view(monkeypatch, 3, rule=once).remark == "Counted as if it were armed again after each time."


def test_a_long_table_says_what_it_leaves_out(monkeypatch) -> None:
    shown = view(monkeypatch, SHOWN_FIRES + 20)

    assert (len(shown.fires), shown.more) == (SHOWN_FIRES, 20)
    assert shown.fires[0].at == "24 Jan 2026, 15:05"


# --- the picture


def closes(*prices: str) -> list[tuple[date, Decimal]]:
    return [(FIRST + timedelta(days=7 * n), Decimal(price)) for n, price in enumerate(prices)]


def test_each_fire_has_a_mark_and_a_guide() -> None:
    drawn = picture(closes("100", "120", "110"), [Decimal(115)], [FIRST, FIRST + timedelta(days=7)])

    assert re.findall(r'class="bt-mark" x="([\d.]+)%"', drawn) == ["0.0", "50.0"]
    assert drawn.count('class="bt-guide"') == 2
    assert "115.00" in drawn


def test_many_fires_have_marks_alone_and_those_of_one_place_one() -> None:
    days = [FIRST + timedelta(days=n) for n in range(MOST_GUIDES + 40)] * 2
    drawn = picture(closes(*["100", "120"] * 10), [], days)

    assert 'class="bt-guide"' not in drawn
    assert drawn.count('class="bt-mark"') == MOST_GUIDES + 40


def test_a_level_near_the_prices_widens_the_picture_and_a_far_one_does_not_flatten_it() -> None:
    assert picture(closes("100", "120"), [Decimal(125)], []).count('class="bt-level"') == 1
    assert picture(closes("100", "120"), [Decimal(900)], []).count('class="bt-level"') == 0


@pytest.mark.parametrize(
    "prices", [("100", "100"), ("0.0001", "0.0001"), ("0.5", "0.61"), ("99999", "100001")]
)
def test_any_prices_have_a_picture_with_a_few_round_ones(prices) -> None:
    drawn = picture(closes(*prices), [Decimal(prices[0])], [])

    assert 1 <= drawn.count('class="bt-grid"') <= 8
    assert all(0 <= float(y) <= 300 for y in re.findall(r'y1="([\d.-]+)"', drawn))
