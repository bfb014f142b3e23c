from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.utils import OperationalError
from django.test import Client

from core import clock
from summaries import news
from summaries.kinds import EXTRACTIVE
from tests.factories import make_ticker, make_user
from tests.summaries.stored import make_article, make_summary

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NEWS = "/api/v1/news/"


@pytest.fixture(autouse=True)
def _at(monkeypatch, settings):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    settings.DEMO_SYMBOLS = ["AAPL"]


@pytest.fixture
def alice(client):
    user = make_user("alice")
    client.force_login(user)
    return user


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def ids(response):
    return [row["id"] for row in response.json()["results"]]


def test_an_article_is_told_with_the_best_summary_there_is(client, alice):
    article = make_article(
        make_ticker("MSFT"), make_ticker("AAPL"), headline="Apples <b>fall</b>", licence="CC BY 2.5",
        source="Wikinews", url="https://example.com/a", published_at=NOW - timedelta(hours=1), is_fictional=True,
    )  # fmt: skip
    make_summary(article, EXTRACTIVE, created_at=NOW)
    make_summary(
        article, created_at=NOW - timedelta(minutes=30), related=["MSFT"], sentiment=Decimal("-0.40")
    )
    told = {
        "id": article.pk,
        "headline": "Apples <b>fall</b>",
        "source": "Wikinews",
        "url": "https://example.com/a",
        "published_at": "2026-11-21T11:00:00.000Z",
        "symbols": ["AAPL", "MSFT"],
        "is_fictional": True,
        "licence": "CC BY 2.5",
        "summary": {
            "sentences": ["It is so.", "Somebody said it."],
            "key_points": ["So", "Said"],
            "sentiment": "-0.40",
            "related": ["MSFT"],
            "model": "tiny-1",
            "is_generated": True,
            "created_at": "2026-11-21T11:30:00.000Z",
            "grounding": {"claims": 4, "grounded": 3},
        },
        "disclaimer": "Not investment advice.",
    }

    assert client.get(NEWS).json() == {"next": None, "previous": None, "results": [told]}
    assert client.get(f"{NEWS}{article.pk}/").json() == told


def test_sentences_of_the_article_itself_are_not_generated_and_an_article_may_have_none(client, alice):
    bare, extractive = make_article(published_at=NOW - timedelta(hours=1)), make_article()
    make_summary(extractive, EXTRACTIVE)

    first, second = client.get(NEWS).json()["results"]

    assert (first["id"], first["summary"]["model"], first["summary"]["is_generated"]) == (
        extractive.pk, "extractive", False,
    )  # fmt: skip
    assert (second["id"], second["summary"]) == (bare.pk, None)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("HTTP://example.com/", "HTTP://example.com/"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("", None),
    ],
)
def test_only_an_address_in_the_web_is_told(client, alice, address, told):
    article = make_article(url=address)

    assert client.get(f"{NEWS}{article.pk}/").json()["url"] == told


def test_articles_of_several_tickers_come_once_each_the_newest_first(client, alice):
    aapl, brk, ibm = make_ticker("AAPL"), make_ticker("BRK.B"), make_ticker("IBM")
    old = make_article(aapl, brk, published_at=NOW - timedelta(days=2))
    new = make_article(brk)
    make_article(ibm)

    assert ids(client.get(f"{NEWS}?symbols=aapl,BRK/B")) == [new.pk, old.pk]
    assert ids(client.get(f"{NEWS}?symbols=AAPL&symbols=brk-b")) == [new.pk, old.pk]
    assert ids(client.get(f"{NEWS}?symbols=AAPL")) == [old.pk]


def test_pages_follow_each_other_also_where_many_were_published_at_once(client, alice):
    made = [make_article().pk for _ in range(5)] + [make_article(published_at=NOW - timedelta(days=1)).pk]
    found, url = [], f"{NEWS}?limit=2"
    while url:
        answer = client.get(url).json()
        found += [row["id"] for row in answer["results"]]
        url = answer["next"]

    assert found == [*reversed(made[:5]), made[5]]


@pytest.mark.parametrize(
    "cursor",
    [
        "cD0yMDI2LTAxLTAxVDAwOjAwOjAwJTJCMjM6NTk=",
        "x",
        "cD1h",
        "cD0wMDAx",
        "cD0yMDI2LTExLTIx",
        "cD0%3D",
        "cD0yMDI2LTExLTIxVDAwOjAwOjAw",
    ],
)
def test_a_made_up_cursor_is_404_or_as_good_as_none(client, alice, cursor):
    make_article()

    assert client.get(f"{NEWS}?cursor={cursor}").status_code in {200, 404}


@pytest.mark.parametrize("number", [1, 12])
def test_a_list_costs_the_same_queries_for_any_length(client, alice, number, django_assert_num_queries):
    ticker = make_ticker("AAPL")
    for _ in range(number):
        make_summary(make_article(ticker, make_ticker()))

    with django_assert_num_queries(6):  # session, user, symbols, articles, tickers, summaries
        answer = client.get(f"{NEWS}?symbols=AAPL")
    assert len(ids(answer)) == number


def test_visitors_read_of_demo_tickers_only():
    demo, other = make_article(make_ticker("AAPL"), make_ticker("MSFT")), make_article(make_ticker("IBM"))
    visitor = Client()

    assert ids(visitor.get(f"{NEWS}?symbols=AAPL")) == [demo.pk]
    assert visitor.get(f"{NEWS}{demo.pk}/").status_code == 200
    for url in (NEWS, f"{NEWS}?symbols=AAPL,IBM", f"{NEWS}{other.pk}/"):
        assert problem(visitor.get(url)) == (401, "not_authenticated")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("?symbols=ZZZZ", (404, "not_found")),
        ("?symbols=", (400, "validation_error")),
        ("?symbols=!!", (400, "invalid_symbol")),
        ("?symbols=a%00", (400, "invalid_symbol")),
        ("?limit=0", (400, "validation_error")),
        ("?limit=-1", (400, "validation_error")),
        ("?limit=101", (400, "validation_error")),
        ("?limit=x", (400, "validation_error")),
        ("77/", (404, "not_found")),
        ("99999999999999999999999/", (404, "not_found")),
    ],
)
def test_what_cannot_be_told_is_a_problem(client, alice, query, answer):
    assert problem(client.get(f"{NEWS}{query}")) == answer


def test_a_dead_database_is_the_usual_503(client, alice, monkeypatch):
    def away(_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(news, "latest", away)

    response = client.get(NEWS)

    assert problem(response) == (503, "unavailable")
    assert response["Retry-After"]
