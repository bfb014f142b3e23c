from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from core import clock
from dashboard.charts import MINUTES, recent_closes, spark, sparks
from marketdata.quotes import Quote
from tests.factories import make_minute_bar, make_quote, make_ticker
from tests.providers import make_quote as provided


def quoted(**fields) -> Quote:
    return provided("AAPL", "5", previous_close=Decimal(4), **fields)


def classes(svg: str) -> str:
    return ET.fromstring(svg).attrib["class"]


def test_the_colour_follows_from_the_last_price_against_the_previous_close() -> None:
    assert classes(spark([1, 3], 2)) == "spark spark-up"
    assert classes(spark([3, 1], 2)) == "spark spark-down"
    assert classes(spark([3, 2], 2)) == "spark spark-flat"
    assert classes(spark([3, 2], None)) == "spark spark-flat"


def test_the_previous_close_is_a_dashed_line() -> None:
    assert 'class="prev"' in spark([1, 2], 1.5)
    assert 'class="prev"' not in spark([1, 2], None)


def test_a_picture_needs_no_inline_style() -> None:
    assert "style" not in spark([1, 2, 3], 2)


def test_points_stay_inside_and_the_last_leaves_room_for_its_dot() -> None:
    line = ET.fromstring(spark([5, 1, 9, 4], 3)).findall("{*}path")[1].attrib["d"]
    points = [tuple(map(float, point.split())) for point in line.removeprefix("M").split("L")]

    assert all(0 <= x <= 106 and 3 <= y <= 29 for x, y in points)
    assert points[-1][0] == 106


def test_a_long_day_is_thinned_to_a_point_per_pixel_and_keeps_its_last() -> None:
    line = ET.fromstring(spark([*range(1000), 5000], None)).findall("{*}path")[0].attrib["d"]

    assert line.count("L") <= 106
    assert line.endswith("L106.0 3.0")


def test_one_price_alone_is_a_dot_and_none_is_nothing() -> None:
    assert "106.0 16.0" in spark([4], None)
    assert spark([], 3) == ""


@pytest.mark.django_db
def test_closes_are_those_of_a_session_oldest_first() -> None:
    now = clock.now()
    ticker = make_ticker()
    for minutes, close in [(1, "3"), (2, "2"), (MINUTES + 5, "1")]:
        make_minute_bar(ticker, now - timedelta(minutes=minutes), close)

    assert recent_closes({ticker.pk: quoted()}, now) == {ticker.pk: [2.0, 3.0]}


@pytest.mark.django_db
def test_of_a_replayed_ticker_the_replayed_day_before_is_left_out(settings) -> None:
    settings.REPLAY_SPEED = 39.0  # a day of ten minutes
    start = datetime(2026, 3, 2, 14, 20, tzinfo=UTC)
    replayed, live = make_ticker(), make_ticker()
    for ticker in (replayed, live):
        make_minute_bar(ticker, start - timedelta(minutes=1), "1")
        make_minute_bar(ticker, start, "2")
    now = start + timedelta(minutes=2)

    quotes = {replayed.pk: quoted(as_of=now, replay_date=date(2012, 10, 25)), live.pk: quoted(as_of=now)}
    assert recent_closes(quotes, now) == {replayed.pk: [2.0], live.pk: [1.0, 2.0]}

    # The price that is shown is still the last of the day before.
    quotes = {replayed.pk: quoted(as_of=start - timedelta(seconds=1), replay_date=date(2012, 10, 24))}
    assert recent_closes(quotes, now) == {replayed.pk: [1.0, 2.0]}


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 3])
def test_all_pictures_of_a_watchlist_cost_one_query(count, django_assert_num_queries) -> None:
    now = datetime.now(UTC)
    tickers = [make_ticker() for _ in range(count)]
    for ticker in tickers:
        make_minute_bar(ticker, now - timedelta(minutes=1))

    with django_assert_num_queries(1):
        drawn = sparks({ticker.pk: quoted() for ticker in tickers}, now)

    assert set(drawn) == {ticker.pk for ticker in tickers}


@pytest.mark.django_db
def test_without_prices_nothing_is_asked(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert sparks({}, datetime.now(UTC)) == {}


@pytest.mark.django_db
def test_the_picture_has_an_address_of_its_own_and_may_be_cached(client: Client) -> None:
    make_quote(make_ticker("AAPL"), "589.58", previous_close=Decimal("568.10"))

    answer = client.get("/charts/AAPL.svg")

    assert answer["Content-Type"] == "image/svg+xml"
    assert answer["Cache-Control"] == "public, max-age=30"
    assert classes(answer.content.decode()) == "spark spark-up"


@pytest.mark.django_db
def test_there_is_no_picture_of_what_has_no_price(client: Client) -> None:
    make_ticker("NVDA")

    assert client.get("/charts/NVDA.svg").status_code == 404
    assert client.get("/charts/NOPE.svg").status_code == 404
