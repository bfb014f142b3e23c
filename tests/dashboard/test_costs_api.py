from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache

from core import clock
from marketdata.models import Cause, Price, ProviderCall
from summaries.models import ModelCall
from tests.factories import make_interval, make_staff, make_ticker, make_user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _two_people_and_a_call(settings, monkeypatch):
    settings.DEMO_SYMBOLS = []
    cache.clear()
    monkeypatch.setattr(clock, "now", lambda: NOW)
    aapl, msft = make_ticker("AAPL"), make_ticker("MSFT")
    alice, bob = make_user("alice"), make_user("bob")
    for user, ticker in ((alice, aapl), (bob, aapl), (bob, msft)):
        make_interval(user, ticker, started_at=NOW - timedelta(days=3))
    Price.objects.create(
        provider="massive", unit="request", usd=Decimal("0.02"), valid_from=NOW - timedelta(days=90)
    )
    for symbols in (["AAPL", "MSFT"], ["AAPL"]):
        ProviderCall.objects.create(
            at=NOW - timedelta(hours=1),
            provider="massive",
            endpoint="quotes",
            cause=Cause.POLL,
            symbols=symbols,
            outcome="ok",
        )


def get(client, path: str, **query):
    return client.get(f"/api/v1/costs/{path}", query)


def log_in(client, name: str):
    from accounts.models import User  # noqa: PLC0415 -- only here

    client.force_login(User.objects.get(username=name))
    return client


def test_everybody_sees_only_his_own(client) -> None:
    alice = get(log_in(client, "alice"), "me/").json()
    bob = get(log_in(client, "bob"), "me/").json()

    assert [row["symbol"] for row in alice["results"]] == ["AAPL"]
    assert alice["total"] == {
        "cost": "0.015000000",
        "unshared": "0.030000000",
        "saved": "0.015000000",
        "saving_percent": "50.0000",
    }
    assert [(row["symbol"], row["cost"]) for row in bob["results"]] == [
        ("AAPL", "0.015000000"),
        ("MSFT", "0.010000000"),
    ]


def test_who_watches_nothing_pays_nothing(client) -> None:
    client.force_login(make_user("carol"))

    told = get(client, "me/").json()

    assert (told["total"]["cost"], told["total"]["saving_percent"], told["results"]) == (
        "0.000000000",
        None,
        [],
    )


def test_costs_of_all_are_for_staff_only(client) -> None:
    assert get(client, "").status_code == 401
    assert get(client, "me/").status_code == 401
    assert get(log_in(client, "alice"), "").status_code == 403


def test_staff_sees_what_each_ticker_cost(client) -> None:
    client.force_login(make_staff())

    told = get(client, "").json()

    assert told["total"] == {
        "cost": "0.040000000",
        "unshared": "0.070000000",
        "saved": "0.030000000",
        "saving_percent": "42.8571",
        "calls": 2,
        "unpriced_calls": 0,
    }
    assert [(row["key"], row["cost"], row["watchers"]) for row in told["results"]] == [
        ("AAPL", "0.030000000", 2),
        ("MSFT", "0.010000000", 1),
    ]
    assert (told["from"], told["to"]) == ("2026-02-09T00:00:00.000Z", "2026-03-10T12:01:00.000Z")


@pytest.mark.parametrize(
    ("group_by", "names"),
    [
        ("provider", ["massive"]),
        ("user", ["bob", "alice", "House", "Nobody"]),
        ("cause", ["Wanted, does not stream"]),
    ],
)
def test_staff_may_group_otherwise(client, group_by, names) -> None:
    client.force_login(make_staff())

    assert [row["name"] for row in get(client, "", group_by=group_by).json()["results"]] == names


def test_a_window_may_be_named(client) -> None:
    client.force_login(make_staff())

    days = get(client, "", group_by="day", **{"from": "2026-03-09", "to": "2026-03-10"}).json()

    assert [(row["key"], row["cost"]) for row in days["results"]] == [
        ("2026-03-09", "0.000000000"),
        ("2026-03-10", "0.040000000"),
    ]
    assert days["to"] == "2026-03-10T12:01:00.000Z"  # not the future


def test_a_limit_leaves_the_rest_out_and_says_how_many_there_are(client) -> None:
    client.force_login(make_staff())

    told = get(client, "", limit=1).json()

    assert ([row["key"] for row in told["results"]], told["count"]) == (["AAPL"], 2)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-03-10", "to": "2026-03-09"},
        {"from": "2025-01-01"},
        {"from": "yesterday"},
        {"from": "0001-01-01", "to": "0001-01-02"},
        {"to": "9999-12-31", "from": "9999-12-30"},
        {"group_by": "colour"},
        {"limit": "0"},
        {"limit": "1001"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client, query) -> None:
    client.force_login(make_staff())

    answer = get(client, "", **query)

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


@pytest.mark.parametrize("days", ["0", "32", "x"])
def test_ones_own_costs_are_told_for_up_to_a_month(client, days) -> None:
    assert get(log_in(client, "alice"), "me/", days=days).status_code == 400


def test_language_models_are_purchases_like_others(client) -> None:
    for unit in ("ktoken_in", "ktoken_out"):
        Price.objects.create(
            provider="openai", plan="gpt", unit=unit, usd=Decimal("0.1"), valid_from=NOW - timedelta(days=90)
        )
    for model in ("gpt", "unpriced"):
        ModelCall.objects.create(
            at=NOW - timedelta(hours=1), vendor="openai", model=model, task="analysis", lane="minutes",
            outcome="ok", symbols=["AAPL"], input_tokens=1000, output_tokens=1000,
        )  # fmt: skip
    client.force_login(make_staff())

    told = get(client, "", group_by="model").json()

    assert [(row["key"], row["cost"], row["calls"], row["unpriced_calls"]) for row in told["results"]] == [
        ("openai gpt", "0.200000000", 1, 0),
        ("", "0.040000000", 2, 0),
        ("openai unpriced", "0.000000000", 1, 1),
    ]
    assert told["total"]["cost"] == "0.240000000"
    causes = {row["key"]: row["cost"] for row in get(client, "", group_by="cause").json()["results"]}
    assert causes == {"analysis": "0.200000000", "poll": "0.040000000"}
