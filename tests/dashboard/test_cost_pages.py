from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache

from core import clock
from dashboard.cost_chart import DayCost, bars, nice_top
from dashboard.cost_rows import decimals_of, percent
from marketdata.models import Cause, Price, ProviderCall
from marketdata.providers import registry
from marketdata.providers.base import Window
from summaries.models import Article, ModelCall, Summary
from tests.factories import make_interval, make_staff, make_ticker, make_user

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
NOON_AGO = NOW - timedelta(hours=1)
database = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _noon(settings, monkeypatch):
    settings.DEMO_SYMBOLS = []
    cache.clear()
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def staff(client):
    client.force_login(make_staff())
    return client


def call(*symbols: str, provider: str = "simulator", at: datetime = NOW - timedelta(hours=1)) -> None:
    ProviderCall.objects.create(
        at=at, provider=provider, endpoint="quotes", cause=Cause.POLL, symbols=list(symbols), outcome="ok"
    )


def price(usd: str, provider: str = "simulator") -> None:
    Price.objects.create(
        provider=provider, unit="request", usd=Decimal(usd), valid_from=NOW - timedelta(days=90)
    )


def words(response) -> str:
    text = re.sub(r"<(script|style|svg).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


@database
@pytest.mark.parametrize("path", ["/costs/", "/costs/what-if/"])
def test_the_pages_of_all_costs_are_for_staff_only(client, path) -> None:
    assert client.get(path)["Location"].startswith("/account/login/")
    client.force_login(make_user())
    assert client.get(path).status_code == 403


@database
def test_an_empty_window_says_so(staff) -> None:
    assert "Nothing was bought in this time" in words(staff.get("/costs/"))


@database
def test_the_page_tells_what_was_paid_and_what_sharing_saved(staff) -> None:
    aapl = make_ticker("AAPL")
    for _ in range(4):
        make_interval(make_user(), aapl, started_at=NOW - timedelta(days=2))
    price("0.5")
    call("AAPL")
    call("AAPL")

    page = words(staff.get("/costs/?days=7"))

    assert "Paid 1.00 USD" in page
    assert "Without sharing 4.00 USD" in page
    assert "Saved by sharing 75.0 %" in page
    assert "2 asked, 8 without sharing" in page
    assert "1.00 USD in 7 days; most on 10 Mar 2026: 1.00 USD." in page


@database
def test_who_is_configured_no_more_is_named_like_the_others(staff) -> None:
    call("AAPL", provider="alpha_vantage")

    assert "Alpha Vantage no price 1 call, 1 unpriced" in words(staff.get("/costs/"))


@database
@pytest.mark.parametrize(("people", "told"), [(1, ", 1 watcher<"), (2, ", 2 watchers<")])
def test_one_watcher_is_told_as_one(staff, people, told) -> None:
    ticker = make_ticker("AAPL")
    for _ in range(people):
        make_interval(make_user(), ticker, started_at=NOW - timedelta(days=2))
    call("AAPL")

    assert told in staff.get("/costs/").content.decode()


@database
def test_calls_without_a_price_are_a_warning_and_not_free(staff) -> None:
    call("AAPL")

    page = words(staff.get("/costs/"))

    assert "No price for 1 of 1 calls They are counted, but in no sum." in page
    assert "After a change of provider or plan run manage.py loadprices" in page


@database
@pytest.mark.parametrize(
    ("by", "name"),
    [
        ("ticker", "AAPL"),
        ("provider", "simulator"),
        ("user", "Nobody"),
        ("model", "No language model"),
        ("nonsense", "AAPL"),
    ],
)
def test_the_table_can_be_told_otherwise(staff, by, name) -> None:
    price("0.5")
    call("AAPL")

    rows = staff.get(f"/costs/?by={by}").context["view"].rows

    assert rows[0].name == name


@database
def test_a_window_outside_of_the_choice_is_the_usual_one(staff) -> None:
    assert staff.get("/costs/?days=1000000").context["view"].days == 7


@database
def test_long_tables_end_and_can_be_shown_whole(staff) -> None:
    price("0.5")
    for number in range(30):
        call(f"T{number:02}")

    assert len(staff.get("/costs/").context["view"].rows) == 25
    assert len(staff.get("/costs/?all").context["view"].rows) == 30


@database
def test_a_quota_that_is_nearly_used_up_stands_out(staff, monkeypatch) -> None:
    (vendor,) = (one for one in registry.providers() if one.name == "simulator")
    limited = vendor.capabilities.__class__(
        **{
            **{name: getattr(vendor.capabilities, name) for name in vendor.capabilities.__slots__},
            "windows": (Window(10, 86_400), Window(5, 60)),
        }
    )
    monkeypatch.setattr(vendor, "capabilities", limited)
    for _ in range(8):
        call("AAPL")

    page = words(staff.get("/costs/"))

    assert "8 of 10 in the last day Over 80 %" in page


@database
def test_everybody_sees_what_his_own_tickers_cost(client) -> None:
    alice, bob, aapl = make_user("alice"), make_user("bob"), make_ticker("AAPL")
    for user in (alice, bob):
        make_interval(user, aapl, started_at=NOW - timedelta(days=2))
    price("1")
    call("AAPL")
    client.force_login(alice)

    page = words(client.get("/costs/me/"))

    assert "AAPL 1.00 without sharing 0.50 1.00 50.0 %" in page
    assert "All 1.00 without sharing 0.50 1.00 50.0 %" in page


@database
def test_who_watched_nothing_is_told_so(client) -> None:
    client.force_login(make_user())

    assert "You watched no ticker in this time" in words(client.get("/costs/me/"))


# -- language models


def text(*symbols: str, **fields) -> None:
    values = {
        "at": NOON_AGO, "vendor": "openai", "model": "gpt-6-luna", "task": "summary", "lane": "minutes",
        "outcome": "ok", "asked": 10, "answered": 9, "input_tokens": 12_000, "cached_tokens": 2_000,
        "output_tokens": 4_000,
    }  # fmt: skip
    ModelCall.objects.create(symbols=list(symbols), **{**values, **fields})


def token_prices() -> None:
    for unit, usd in (("ktoken_in", "0.25"), ("ktoken_cached", "0.05"), ("ktoken_out", "2")):
        Price.objects.create(
            provider="openai",
            plan="gpt-6-luna",
            unit=unit,
            usd=Decimal(usd),
            valid_from=NOW - timedelta(days=90),
        )


@database
def test_staff_sees_what_each_model_cost_and_how_true_it_was(staff) -> None:
    token_prices()
    text("AAPL", "MSFT")
    article = Article.objects.create(headline="h", provider="p", content_hash="a", published_at=NOON_AGO)
    Summary.objects.create(
        article=article, model="gpt-6-luna", prompt_version="1", created_at=NOON_AGO, sentences=[],
        key_points=[], sentiment=0, claims=200, grounded=199,
    )  # fmt: skip

    page = words(staff.get("/costs/"))

    # 10 thousand in at 0.25, 2 cached at 0.05, 4 out at 2
    assert (
        "gpt-6-luna 10,000 tokens in, 2,000 cached, 4,000 out 1 call, 9 of 10 texts, 1.18 each "
        "1 9 of 10 10.60 1.18 99.5 %"
    ) in page
    assert "AAPL 1 5.30 MSFT 1 5.30 2 of 2, by cost" in page


@database
def test_without_a_call_of_a_model_there_is_no_table_of_models(staff) -> None:
    call("AAPL")

    assert "Language models" not in words(staff.get("/costs/"))


@database
def test_a_model_without_a_price_is_told_and_not_free(staff) -> None:
    text("AAPL")

    page = words(staff.get("/costs/"))

    assert "No price for 1 of 1 calls" in page
    assert "for language models manage.py loadmodels" in page
    assert "4,000 out; 1 unpriced" in page


@database
def test_the_vendor_of_models_stands_beside_the_budget_of_today(staff, settings) -> None:
    settings.LLM_VENDOR, settings.LLM_BUDGET_USD = "openai", Decimal(5)
    token_prices()
    text("AAPL", counted_femto=4 * 10**15)

    page = words(staff.get("/costs/"))

    assert "OpenAI gpt-6-luna 10.60 USD 1 call 4.00 of 5.00 USD of today's budget Over 80 %" in page


@database
def test_a_budget_of_nothing_is_used_up(staff, settings) -> None:
    settings.LLM_VENDOR, settings.LLM_BUDGET_USD = "openai", Decimal(0)
    text("AAPL")

    (found,) = (one for one in staff.get("/costs/").context["view"].budgets if one.name == "openai")

    assert (found.used_percent, found.is_high) == (100, True)


@database
def test_texts_by_ticker_end_and_can_be_shown_whole(staff) -> None:
    for number in range(12):
        text(f"T{number:02}")

    assert len(staff.get("/costs/").context["view"].texts.tickers) == 10
    assert len(staff.get("/costs/?all").context["view"].texts.tickers) == 12


@database
def test_everybody_pays_his_part_of_the_texts_about_his_tickers(client) -> None:
    alice, bob, aapl = make_user("alice"), make_user("bob"), make_ticker("AAPL")
    for user in (alice, bob):
        make_interval(user, aapl, started_at=NOW - timedelta(days=2))
    token_prices()
    text("AAPL")
    client.force_login(alice)

    assert "AAPL 10.60 without sharing 5.30 10.60 50.0 %" in words(client.get("/costs/me/"))


# -- what if


@database
def test_the_what_if_page_answers_the_usual_question_at_once(staff) -> None:
    page = words(staff.get("/costs/what-if/"))

    assert "3,540" in page
    assert "14,160,000" in page
    assert "99.98 %" in page
    assert "98.75 % by sharing alone" in page


@database
def test_a_plan_brings_its_limits_and_its_fee(staff) -> None:
    found = staff.get("/costs/what-if/?plan=alpha_vantage.free&users=1&tickers_per_user=1&unique_tickers=1")

    assert found.context["answer"].feasibility.text == "Exhausted at 09:36 New York time."
    assert "The limits do not allow this Exhausted at 09:36 New York time." in words(found)
    massive = staff.get("/costs/what-if/?plan=massive.starter&days=30").context["answer"]
    assert round(massive.shared.usd, 2) == Decimal("28.58")


@database
def test_the_paper_stands_beside_its_correction(staff) -> None:
    page = words(staff.get("/costs/what-if/"))

    assert "116,180 1,505.00 shared 3,456,980 43,265 shared" in page


@database
@pytest.mark.parametrize(
    "query", ["users=0", "users=1000000", "batch=x", "plan=none.such", "overlap=nan", "usd_per_request=-1"]
)
def test_an_impossible_number_is_told_beside_its_field(staff, query) -> None:
    found = staff.get(f"/costs/what-if/?{query}")

    assert found.status_code == 200
    assert "answer" not in found.context
    assert 'aria-invalid="true"' in found.content.decode()


# -- numbers and pictures


@pytest.mark.parametrize(
    ("saving", "shown"),
    [("89.96", "90.0"), ("50.04", "50.0"), ("99.99", "99.9"), ("100", "100.0")],
)
def test_a_saving_is_never_rounded_to_all_of_it(saving, shown) -> None:
    assert percent(Decimal(saving)) == shown


@pytest.mark.parametrize(
    ("values", "places"),
    [
        (["12", "3"], 2),
        (["12", "0.5"], 2),
        (["12", "0.05"], 3),
        (["0.0001", "0"], 5),
        (["0.000000001"], 6),
        ([], 2),
    ],
)
def test_a_column_has_the_places_its_smallest_cost_needs(values, places) -> None:
    assert decimals_of([Decimal(value) for value in values]) == places


@pytest.mark.parametrize(
    ("highest", "top"), [("0", "1"), ("0.03", "0.05"), ("1", "1"), ("1.01", "2"), ("7", "10"), ("340", "500")]
)
def test_the_axis_ends_with_a_round_number(highest, top) -> None:
    assert nice_top(Decimal(highest)) == Decimal(top)


def test_a_bar_is_as_high_as_its_day_was_dear() -> None:
    day = date(2026, 3, 1)
    drawn = bars([DayCost(day, Decimal(2), Decimal(3)), DayCost(day, Decimal(0), Decimal(10))])

    heights = re.findall(r'class="cost-(fees|calls)"[^>]* height="([\d.]+)"', drawn)
    assert [(kind, Decimal(height)) for kind, height in heights] == [
        ("fees", Decimal(20)),
        ("calls", Decimal(30)),
        ("calls", Decimal(100)),
    ]
