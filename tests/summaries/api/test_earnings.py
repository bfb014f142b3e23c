from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from core import clock
from summaries.kinds import EXTRACTIVE
from tests.factories import make_ticker, make_user
from tests.summaries.stored import make_earnings_summary, make_transcript

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EARNINGS = "/api/v1/earnings/"


@pytest.fixture(autouse=True)
def _at(monkeypatch, settings):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    settings.DEMO_SYMBOLS = ["AAPL"]


@pytest.fixture
def alice(client):
    user = make_user("alice")
    client.force_login(user)
    return user


def quarters(response):
    return [(row["year"], row["quarter"]) for row in response.json()["results"]]


def test_a_call_is_told_with_the_best_summary_there_is(client, alice):
    transcript = make_transcript(make_ticker("AAPL"), is_fictional=True)
    make_earnings_summary(transcript, EXTRACTIVE, created_at=NOW)
    make_earnings_summary(transcript, created_at=NOW)

    assert client.get(f"{EARNINGS}?symbol=aapl").json() == {
        "next": None,
        "previous": None,
        "results": [
            {
                "symbol": "AAPL",
                "year": 2026,
                "quarter": 3,
                "title": "AAPL, Q3 2026",
                "held_on": "2026-10-29",
                "is_fictional": True,
                "summary": {
                    "sentences": ["They sold 5 things."],
                    "key_metrics": [{"name": "Things sold", "value": "5"}],
                    "guidance": ["They expect more."],
                    "sentiment": "0.10",
                    "model": "tiny-1",
                    "is_generated": True,
                    "created_at": "2026-11-21T12:00:00.000Z",
                    "grounding": {"claims": 2, "grounded": 2},
                },
                "disclaimer": "Not investment advice.",
            }
        ],
    }


def test_calls_come_the_newest_first_page_by_page_and_by_quarter(client, alice):
    aapl = make_ticker("AAPL")
    made = [(2026, 2), (2026, 1), (2025, 4), (2025, 3), (2024, 2)]
    for year, quarter in reversed(made):
        make_transcript(aapl, year, quarter, held_on=None)
    make_transcript(make_ticker("IBM"))
    found, url = [], f"{EARNINGS}?symbol=AAPL&limit=2"
    while url:
        answer = client.get(url)
        found += quarters(answer)
        url = answer.json()["next"]

    assert found == made
    assert quarters(client.get(f"{EARNINGS}?symbol=AAPL&year=2025")) == made[2:4]
    assert quarters(client.get(f"{EARNINGS}?symbol=AAPL&quarter=2")) == [made[0], made[4]]
    assert client.get(f"{EARNINGS}?symbol=AAPL&year=2024").json()["results"][0]["held_on"] is None
    assert client.get(f"{EARNINGS}?symbol=AAPL&year=2024").json()["results"][0]["summary"] is None


@pytest.mark.parametrize("number", [1, 4])
def test_a_list_costs_the_same_queries_for_any_length(client, alice, number, django_assert_num_queries):
    ticker = make_ticker("AAPL")
    for quarter in range(number):
        make_earnings_summary(make_transcript(ticker, 2026, quarter + 1))

    with django_assert_num_queries(5):  # session, user, ticker, calls, summaries
        answer = client.get(f"{EARNINGS}?symbol=AAPL")
    assert len(quarters(answer)) == number


def test_visitors_read_of_demo_tickers_only():
    make_transcript(make_ticker("AAPL"))
    make_transcript(make_ticker("IBM"))

    assert quarters(Client().get(f"{EARNINGS}?symbol=AAPL")) == [(2026, 3)]
    assert Client().get(f"{EARNINGS}?symbol=IBM").status_code == 401


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "validation_error"),
        ("?symbol=ZZZZ", 404, "not_found"),
        ("?symbol=!!", 400, "invalid_symbol"),
        ("?symbol=AAPL&quarter=5", 400, "validation_error"),
        ("?symbol=AAPL&limit=0", 400, "validation_error"),
        ("?symbol=AAPL&year=99999999999999", 400, "validation_error"),
        ("?symbol=AAPL&cursor=cD05OTk5OTk5OTk5OTk5", 404, "not_found"),
    ],
)
def test_what_cannot_be_told_is_a_problem(client, alice, query, status, code):
    make_transcript(make_ticker("AAPL"))

    response = client.get(f"{EARNINGS}{query}")

    assert (response.status_code, response.json()["code"]) == (status, code)
