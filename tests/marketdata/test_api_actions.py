from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings

from core import clock
from marketdata import cache
from marketdata.models import CorporateAction
from tests.factories import make_daily_bar, make_minute_bar, make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db

DAY = date(2024, 6, 10)
BEFORE = DAY - timedelta(days=3)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def alice(client):
    user = make_user("alice")
    client.force_login(user)
    return user


def make_action(ticker, kind="split", ex_date=DAY, **fields):
    values = {"split": {"split_from": 1, "split_to": 10}, "dividend": {"amount": Decimal(2)}}.get(kind, {})
    return CorporateAction.objects.create(
        ticker=ticker,
        kind=kind,
        ex_date=ex_date,
        provider="alpaca",
        loaded_at=clock.now(),
        **{**values, **fields},
    )


def get(client, symbol="NVDA", rest="actions/", **query):
    return client.get(f"/api/v1/tickers/{symbol}/{rest}", query)


def bars(client, **query):
    response = get(client, rest="bars/", start="2024-01-01", end="2024-12-31", **query)
    assert response.json()["adjusted"] == query.get("adjusted", "split")
    return [(bar["t"][:10], bar["c"], bar["v"]) for bar in response.json()["results"]]


@pytest.fixture
def nvidia(alice):
    ticker = make_ticker("NVDA")
    for day, close in ((BEFORE, "1200"), (DAY, "121"), (DAY + timedelta(days=1), "120")):
        make_daily_bar(ticker, day, close)
    return ticker


def test_bars_are_split_adjusted_unless_told_otherwise(client, nvidia):
    make_action(nvidia)

    assert bars(client) == [
        ("2024-06-07", "120.00", 10_000),
        ("2024-06-10", "121.00", 1000),
        ("2024-06-11", "120.00", 1000),
    ]
    assert bars(client, adjusted="split") == bars(client)
    assert bars(client, adjusted="raw")[0] == ("2024-06-07", "1200.00", 1000)


def test_bars_can_be_adjusted_for_dividends_too(client, nvidia):
    make_action(nvidia)
    make_action(nvidia, "dividend", DAY + timedelta(days=1), amount=Decimal("1.21"))

    # 1200 / 10 and 121, each times 1 - 1.21 / 121
    assert [close for _, close, _ in bars(client, adjusted="all")] == ["118.80", "119.79", "120.00"]


def test_a_dividend_in_another_currency_is_left_out(client, nvidia):
    make_action(nvidia, "dividend", currency="EUR")

    assert bars(client, adjusted="all") == bars(client, adjusted="raw")


def test_pages_agree_with_the_whole(client, nvidia):
    make_action(nvidia)
    make_action(nvidia, "dividend", DAY + timedelta(days=1))
    whole = get(client, rest="bars/", start="2024-01-01", end="2024-12-31", adjusted="all").json()["results"]

    paged, following = [], "/api/v1/tickers/NVDA/bars/?start=2024-01-01&end=2024-12-31&adjusted=all&limit=1"
    while following:
        answer = client.get(following).json()
        paged, following = paged + answer["results"], answer["next"]

    assert paged == whole
    assert len(whole) == 3


def test_what_is_announced_changes_no_price_yet(client, nvidia):
    make_action(nvidia, ex_date=clock.now().date() + timedelta(days=3))

    assert bars(client) == bars(client, adjusted="raw")


def test_a_replayed_ticker_does_not_know_the_splits_of_its_future(client, nvidia):
    make_action(nvidia)
    make_quote(nvidia, replay_date=BEFORE)

    assert bars(client) == [("2024-06-07", "1200.00", 1000)]
    assert get(client).json()["results"] == []


def test_minutes_before_a_split_are_adjusted_up_to_midnight_in_new_york(client, alice):
    ticker = make_ticker("NVDA")
    make_action(ticker, ex_date=date(2024, 6, 10))
    evening, morning = datetime(2024, 6, 10, 3, 59, tzinfo=UTC), datetime(2024, 6, 10, 4, 0, tzinfo=UTC)
    make_minute_bar(ticker, evening, "1200")
    make_minute_bar(ticker, morning, "121")

    assert [close for _, close, _ in bars(client, interval="1min")] == ["120.00", "121.00"]
    assert [close for _, close, _ in bars(client, interval="1min", adjusted="raw")] == ["1200.00", "121.00"]


@pytest.mark.parametrize("mode", ["raw", "split", "all"])
def test_a_series_costs_few_queries_however_many_actions(client, nvidia, mode, django_assert_max_num_queries):
    for days in range(50):
        make_action(nvidia, "dividend", DAY - timedelta(days=days))
    make_action(nvidia)

    with django_assert_max_num_queries(5):  # session, user, ticker, bars, actions
        bars(client, adjusted=mode)


@pytest.mark.parametrize("query", [{"adjusted": "yes"}, {"adjusted": ""}])
def test_an_unknown_adjustment_is_a_400(client, nvidia, query):
    assert get(client, rest="bars/", **query).status_code == 400


def test_actions_are_told_newest_first(client, nvidia):
    make_action(nvidia)
    make_action(
        nvidia, "dividend", DAY + timedelta(days=1), amount=Decimal("0.01"), pay_date=date(2024, 6, 28)
    )
    make_action(nvidia, "rename", DAY - timedelta(days=1), new_symbol="NVDB")

    response = get(client, "nvda")

    assert response.json()["next"] is None
    assert response.json()["results"][0] == {
        "symbol": "NVDA",
        "kind": "dividend",
        "ex_date": "2024-06-11",
        "special": False,
        "amount": "0.01",
        "currency": "USD",
        "split_from": None,
        "split_to": None,
        "new_symbol": "",
        "declared_date": None,
        "record_date": None,
        "pay_date": "2024-06-28",
        "provider": "alpaca",
    }
    assert [
        (one["kind"], one["split_from"], one["split_to"], one["new_symbol"])
        for one in response.json()["results"][1:]
    ] == [("split", "1", "10", ""), ("rename", None, None, "NVDB")]


def test_actions_of_one_kind_and_page_by_page(client, nvidia):
    make_action(nvidia)
    for days in range(5):
        make_action(nvidia, "dividend", DAY - timedelta(days=days))

    found, following = [], "/api/v1/tickers/NVDA/actions/?kind=dividend&limit=2"
    while following:
        answer = client.get(following).json()
        assert len(answer["results"]) <= 2
        found, following = found + [one["ex_date"] for one in answer["results"]], answer["next"]

    assert found == [str(DAY - timedelta(days=days)) for days in range(5)]


@pytest.mark.parametrize(
    ("query", "status"),
    [({"kind": "merger"}, 400), ({"cursor": "cD1ub25zZW5zZQ=="}, 404), ({"cursor": "cD0yMDIzLTAyLTMw"}, 404)],
)
def test_a_query_for_actions_that_makes_no_sense_is_refused(client, nvidia, query, status):
    assert get(client, **query).status_code == status


def test_a_visitor_reads_the_actions_of_demo_tickers_only(client):
    demo, other = make_ticker(settings.DEMO_SYMBOLS[0]), make_ticker("OTHER")

    assert get(client, demo.symbol).status_code == 200
    assert get(client, other.symbol).status_code == 401
    assert get(client, "NOSUCH").status_code == 404


@pytest.mark.parametrize("rows", [1, 3])
def test_a_list_of_actions_costs_the_same_queries_for_any_length(
    client, nvidia, rows, django_assert_num_queries
):
    for days in range(rows):
        make_action(nvidia, "dividend", DAY - timedelta(days=days))

    with django_assert_num_queries(4):  # session, user, ticker, actions
        assert len(get(client).json()["results"]) == rows
