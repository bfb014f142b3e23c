from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.utils import OperationalError
from django.test import Client

from core import clock
from marketdata import fundamentals
from summaries import allowance, analyses, orders
from summaries.models import Analysis, Order
from tests.factories import make_ticker, make_user
from tests.summaries.figures import make_known
from tests.summaries.money import make_prices, models

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
MODEL = "tiny-1"
LABELS = {
    "basic": "General",
    "buffett": "In the style of Warren Buffett",
    "lynch": "In the style of Peter Lynch",
    "dcf": "Discounted cash flow",
}
NEEDS = {"basic": "free", "buffett": "pro", "lynch": "pro", "dcf": "expert"}


@pytest.fixture(autouse=True)
def _at(monkeypatch, settings):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(orders, "wake", lambda: None)
    monkeypatch.setattr(fundamentals, "ask_for", lambda _: None)
    settings.DEMO_SYMBOLS = ["AAPL"]
    settings.LLM_MODEL, settings.LLM_VENDOR = MODEL, "openai"
    settings.LLM_BUDGET_USD = Decimal(1)


@pytest.fixture
def model():
    with models(MODEL):
        make_prices(MODEL)
        yield


def url(symbol: str, act: str = "") -> str:
    return f"/api/v1/analyses/{symbol}/{act}"


def log_in(client, tier: str = "free"):
    user = make_user(tier=tier)
    client.force_login(user)
    return user


def refresh(client, symbol: str, body: object = None):
    text = json.dumps(body) if body is not None else ""
    return client.post(url(symbol, "refresh/"), text, content_type="application/json")


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def locked(persona: str) -> dict[str, object]:
    return {"persona": persona, "label": LABELS[persona], "locked": True, "needs_tier": NEEDS[persona]}


@pytest.mark.parametrize(
    ("tier", "own"),
    [
        ("free", ["basic"]),
        ("pro", ["basic", "buffett", "lynch"]),
        ("expert", ["basic", "buffett", "lynch", "dcf"]),
    ],
)
def test_all_personas_are_told_and_those_of_other_plans_are_locked(client, tier, own):
    log_in(client, tier)
    ticker = make_known("IBM")

    told = client.get(url("ibm")).json()

    assert [one["persona"] for one in told["personas"]] == list(LABELS)
    assert [one["persona"] for one in told["personas"] if not one["locked"]] == own
    assert [one for one in told["personas"] if one["locked"]] == [
        locked(one) for one in LABELS if one not in own
    ]
    assert (told["symbol"], told["reason"], told["is_simulated"]) == (ticker.symbol, None, False)
    assert told["disclaimer"] == "Not investment advice."


def test_a_card_is_what_was_computed_with_the_date_and_the_source_of_each_figure(client):
    log_in(client)
    ticker = make_known("IBM")

    card = client.get(url("IBM")).json()["personas"][0]

    seen = analyses.look(ticker, [analyses.Persona.BASIC], NOW).cards[0]
    inputs = {one["key"]: one for one in card.pop("inputs")}
    assert card == {
        "persona": "basic",
        "label": "General",
        "locked": False,
        "score": seen.score,
        "criteria": [
            {"name": one.name, "points": one.points, "of": one.of, "text": one.text} for one in seen.criteria
        ],
        "sentences": seen.sentences,
        "model": "extractive",
        "is_generated": False,
        "created_at": "2026-11-21T15:00:00.000Z",
        "older": None,
        "order": None,
    }
    assert len(card["criteria"]) == 9
    assert {name: (inputs["eps_ttm"][name]) for name in ("value", "as_of", "source")} == {
        "value": "6", "as_of": "2026-09-30", "source": "finnhub",
    }  # fmt: skip
    assert (inputs["price"]["value"], inputs["price"]["source"]) == ("100.00", "finnhub")


def test_the_aggregate_says_how_far_the_scores_of_the_own_plan_agree(client):
    log_in(client, "expert")
    make_known("IBM")

    told = client.get(url("IBM")).json()

    scores = [one["score"] for one in told["personas"]]
    found = told["aggregate"]
    assert (found["score"], found["count"]) == (round(Decimal(sum(scores)) / 4), 4)
    assert found["spread"] == max(scores) - min(scores)
    assert set(found) == {"score", "count", "spread", "agreement", "words"}
    assert {"name": "P/E", "text": "16.67"} in told["ratios"]


def test_one_score_alone_agrees_with_nothing(client):
    log_in(client)
    make_known("IBM")

    assert client.get(url("IBM")).json()["aggregate"] is None


def test_what_a_model_wrote_of_earlier_figures_is_told_beside_those_of_now(client, model):
    log_in(client)
    ticker = make_known("IBM")
    row = Analysis.objects.create(
        ticker=ticker, persona="basic", inputs_hash="0" * 64, inputs={}, score=40, criteria=[],
        sentences=["It was so."], model=MODEL, prompt_version="1", created_at=NOW - timedelta(days=3),
    )  # fmt: skip

    card = client.get(url("IBM")).json()["personas"][0]

    assert card["older"] == {
        "score": 40, "sentences": row.sentences, "model": MODEL, "created_at": "2026-11-18T15:00:00.000Z",
    }  # fmt: skip
    assert card["is_generated"] is False


def test_without_figures_there_is_no_score_and_the_reason_is_told(client):
    log_in(client, "pro")
    make_ticker("IBM")

    told = client.get(url("IBM")).json()

    assert (told["reason"], told["aggregate"], told["ratios"]) == ("no_fundamentals", None, [])
    own = {"locked": False, "score": None}
    assert told["personas"] == [
        *({"persona": one, "label": LABELS[one], **own} for one in ("basic", "buffett", "lynch")),
        locked("dcf"),
    ]


def test_made_up_figures_are_marked(client):
    log_in(client)
    make_known("IBM", simulated=True)

    assert client.get(url("IBM")).json()["is_simulated"] is True


def test_visitors_see_what_the_smallest_plan_has_of_demo_tickers():
    make_known("AAPL")
    make_known("IBM")
    visitor = Client()

    told = visitor.get(url("AAPL")).json()["personas"]

    assert [one["persona"] for one in told if not one["locked"]] == ["basic"]
    assert problem(visitor.get(url("IBM"))) == (401, "not_authenticated")
    assert problem(refresh(visitor, "AAPL")) == (401, "not_authenticated")


def test_a_wish_is_answered_at_once_and_seen_at_the_card(client, model):
    log_in(client, "pro")
    make_known("BRK.B")

    answer = refresh(client, "brk/b", {"personas": ["lynch", "basic"]})

    state = {"state": "queued", "why": None, "until": None}
    assert answer.status_code == 202
    assert answer.json() == {
        "symbol": "BRK.B",
        "results": [{"persona": one, "label": LABELS[one], **state} for one in ("lynch", "basic")],
        "disclaimer": "Not investment advice.",
    }
    cards = client.get(url("BRK.B")).json()["personas"]
    assert {one["persona"]: one.get("order") for one in cards} == {
        "basic": "queued", "buffett": None, "lynch": "queued", "dcf": None,
    }  # fmt: skip


def test_a_wish_for_which_nothing_is_bought_is_a_202_as_well(client):
    log_in(client)
    make_known("IBM")

    answer = refresh(client, "IBM")

    assert answer.status_code == 202
    assert answer.json()["results"] == [
        {"persona": "basic", "label": "General", "state": "resting", "why": "no_model", "until": None}
    ]


def test_a_locked_persona_is_refused(client, model):
    log_in(client)
    make_known("IBM")

    answer = refresh(client, "IBM", {"personas": ["dcf"]})

    assert problem(answer) == (403, "plan_locked")
    assert answer.json()["errors"][0]["attr"] == "personas"
    assert Order.objects.count() == 0


def test_too_many_wishes_are_throttled_until_there_is_room_again(client, model, monkeypatch):
    monkeypatch.setattr(clock, "now_us", lambda: 1_800_000_000_000_000)
    user = log_in(client)
    make_known("IBM")
    for _ in range(user.limits.analyses_per_hour):
        allowance.take(user)

    answer = refresh(client, "IBM")

    assert problem(answer) == (429, "throttled")
    assert answer["Retry-After"] == "3600"
    assert answer.json()["detail"] == (
        "Your Free plan has 5 new analyses an hour, and all are used. Try again in 60 minutes."
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"personas": ["graham"]}, "validation_error"),
        ({"personas": []}, "validation_error"),
        ({"personas": "basic"}, "validation_error"),
        ({"personas": ["basic"] * 9}, "validation_error"),
        ({"persona": "basic"}, "validation_error"),
        (["basic"], "validation_error"),
        ("basic", "validation_error"),
    ],
)
def test_a_wish_that_cannot_be_read_counts_for_nothing(client, body, code, monkeypatch):
    log_in(client)
    make_known("IBM")
    monkeypatch.setattr(allowance, "take", lambda _: pytest.fail("it was counted"))

    assert problem(refresh(client, "IBM", body)) == (400, code)


@pytest.mark.parametrize(
    ("symbol", "answer"), [("ZZZZ", (404, "not_found")), ("!!", (400, "invalid_symbol"))]
)
def test_what_is_no_ticker_is_a_problem(client, symbol, answer):
    log_in(client)

    assert problem(client.get(url(symbol))) == answer
    assert problem(refresh(client, symbol)) == answer


@pytest.mark.parametrize("tier", ["pro", "expert"])
def test_a_look_costs_the_same_queries_whatever_there_is(client, tier, django_assert_num_queries):
    log_in(client, tier)
    make_known("IBM")

    # session, user, ticker; figures, quote, fresh analyses, the best, older ones, orders
    with django_assert_num_queries(9):
        client.get(url("IBM"))


def test_a_dead_database_is_the_usual_503(client, monkeypatch):
    def away(*_):
        raise OperationalError("connection refused")

    log_in(client)
    make_known("IBM")
    monkeypatch.setattr(analyses, "look", away)

    answer = client.get(url("IBM"))

    assert problem(answer) == (503, "unavailable")
    assert answer["Retry-After"]
