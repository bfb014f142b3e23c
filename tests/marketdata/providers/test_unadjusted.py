from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from marketdata.providers.unadjusted import unadjusted, unadjusted_dividend
from marketdata.quotes import Action, ActionKind, Bar


def split(day, before, after):
    return Action("X", ActionKind.SPLIT, day, split_from=Decimal(before), split_to=Decimal(after))


def bar(day, price, volume):
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Bar("X", start, *[Decimal(price)] * 4, volume)


FORWARD, REVERSE = split(date(2020, 8, 31), 1, 4), split(date(2022, 5, 2), 50, 1)


def test_a_bar_counts_all_splits_after_its_day_and_none_of_its_own():
    days = [date(2020, 8, 28), date(2020, 8, 31), date(2022, 4, 29), date(2022, 5, 2)]
    told = [
        bar(days[0], "100", 800),
        bar(days[1], "100", 200),
        bar(days[2], "100", 200),
        bar(days[3], "2", 100),
    ]

    found = unadjusted(told, [FORWARD, REVERSE])

    assert [(one.close, one.volume) for one in found] == [
        (Decimal(8), 10_000),
        (Decimal(2), 10_000),
        (Decimal(2), 10_000),
        (Decimal(2), 100),
    ]


def test_thirds_are_rounded_to_hundredths_of_a_cent():
    (found,) = unadjusted([bar(date(2020, 1, 2), "10", 9)], [split(date(2020, 2, 3), 3, 1)])

    assert (found.open, found.volume) == (Decimal("3.3333"), 27)


def test_a_dividend_is_told_as_it_was_paid():
    paid = Action("X", ActionKind.DIVIDEND, date(2020, 8, 7), amount=Decimal("0.205"))
    later = Action("X", ActionKind.DIVIDEND, date(2020, 9, 7), amount=Decimal("0.205"))

    assert unadjusted_dividend(paid, [FORWARD]).amount == Decimal("0.82")
    assert unadjusted_dividend(later, [FORWARD]) is later
