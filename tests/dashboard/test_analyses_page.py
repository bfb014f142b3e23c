"""The tab of analyses and its button; without a script."""

from __future__ import annotations

import html
import re
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.test import Client

from core import clock
from dashboard.analysis_page import AnalysisView, wanted_words, word_of
from dashboard.moments import zone_of
from marketdata import fundamentals
from marketdata.models import Quote
from summaries import allowance, analyses, modelbook, orders, refreshing
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Persona, Step
from summaries.models import Analysis, Order
from summaries.refreshing import RESTING, Wanted, Why
from tests.factories import make_ticker, make_user
from tests.summaries.factories import ACME, make_company, make_fundamentals

pytestmark = pytest.mark.django_db
MODEL = "gpt-6-luna"
TAB = "/tickers/ACME/?tab=analyses"
REFRESH = "/tickers/ACME/analyses/refresh/"


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    """A model is connected, and nobody asks it meanwhile."""
    monkeypatch.setattr(modelbook, "wanted_model", lambda: MODEL)
    monkeypatch.setattr(orders, "wake", lambda: None)
    monkeypatch.setattr(fundamentals, "ask_for", lambda _: None)


@pytest.fixture
def alice(client: Client):
    user = make_user("alice", tier="pro", time_zone="UTC")
    client.force_login(user)
    return user


@pytest.fixture
def acme():
    return make_company(symbol="ACME")


def text(answer) -> str:
    return re.sub(r"\s+", " ", html.unescape(answer.content.decode())).replace("\u2009", " ")


def card(answer, persona: Persona) -> str:
    found = re.search(
        rf'<section class="card analysis[^>]*data-card="{persona}".*?</section>', text(answer), re.DOTALL
    )
    return found[0]


def view(ticker, user=None) -> AnalysisView:
    return AnalysisView.of(ticker, user, clock.now(), zone_of("UTC"))


def order(ticker, *personas: Persona, state: OrderState = OrderState.QUEUED) -> None:
    wanted = personas or (Persona.BASIC,)
    found = analyses.refresh(ticker, wanted, lane=Lane.INTERACTIVE, tier="pro")
    assert len(found) == len(wanted)
    Order.objects.filter(pk__in=[one.pk for one in found]).update(state=state)


def written(ticker, *sentences: str, persona: Persona = Persona.BASIC, **fields) -> Analysis:
    """As if a model had written of the figures that are stored, or of earlier ones."""
    analyses.refresh(ticker, [persona], lane=Lane.INTERACTIVE, tier="pro")
    row = Analysis.objects.get(ticker=ticker, persona=persona, model=EXTRACTIVE)
    row.pk, row.sentences = None, list(sentences)
    for name, value in {"model": MODEL, "created_at": clock.now(), **fields}.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    Order.objects.update(state=OrderState.DONE)
    return row


# --- the cards


def test_a_card_says_score_criteria_reasoning_and_inputs_with_date_and_source(
    client: Client, alice, acme
) -> None:
    answer = card(client.get(TAB), Persona.BASIC)

    for shown in [
        '<h3 id="persona-basic">General</h3>',
        '<b>60</b> <span class="muted">of 100, middle</span>',
        '<rect class="bar-fill" width="60" height="8"/>',
        "<span>ACME has 60 of 100 points by its general figures.</span>",
        '<span class="criterion-name">P/E</span>',
        "The price is 20.0 times the earnings of the last four quarters.",
        "none at 40, all up to 12",
        '<th scope="row">Price</th><td class="num">100.00 USD</td>',
        "<td>30 Sep 2026</td><td>Finnhub</td>",
        "Computed sentences, no model asked · not investment advice",
    ]:
        assert shown in answer


def test_reasoning_by_a_model_is_labelled_with_model_and_date(client: Client, alice, acme, still) -> None:
    written(acme, "It is cheap.", "It grows.")

    answer = card(client.get(TAB), Persona.BASIC)

    day = f"{clock.now().day} {clock.now():%b %Y}"
    assert "<span>It is cheap.</span> <span>It grows.</span>" in answer
    assert f"Reasoning by {MODEL} · {day} · not investment advice" in answer
    assert "Computed sentences" not in answer


def test_all_styles_of_the_plan_are_shown_with_how_far_they_agree(client: Client, alice, acme) -> None:
    answer = text(client.get(TAB))

    assert re.findall(r'data-card="(\w+)"', answer) == ["basic", "buffett", "lynch", "dcf"]
    assert "of 100, middle</span>" in answer
    assert "2 of 3 see it between 40 and 60." in answer
    assert "67 % agree" in answer
    assert "<dt>P/E</dt><dd>20.00</dd>" in answer


@pytest.mark.parametrize(
    ("tier", "locked"),
    [
        ("free", [("buffett", "Pro"), ("lynch", "Pro"), ("dcf", "Expert")]),
        ("pro", [("dcf", "Expert")]),
        ("expert", []),
    ],
)
def test_styles_of_higher_plans_are_shown_as_what_they_would_be(
    tier, locked, client: Client, alice, acme
) -> None:
    alice.tier = tier
    alice.save()

    answer = text(client.get(TAB))

    found = re.findall(r'is-locked"[^>]* data-card="(\w+)">.*?badge-accent">In (\w+)</span>', answer)
    assert found == locked
    assert answer.count(">Inputs and formula</summary>") == 4 - len(locked)


def test_a_visitor_sees_what_the_smallest_plan_has_and_no_button(client: Client) -> None:
    demo = make_company(symbol=settings.DEMO_SYMBOLS[0])

    answer = text(client.get(f"/tickers/{demo.symbol}/?tab=analyses"))

    assert answer.count(">Inputs and formula</summary>") == 1
    assert answer.count("is-locked") == 3
    assert "data-refresh" not in answer
    assert "Sign up for new texts" in answer
    assert client.get(TAB).url.startswith("/account/login/")


def test_one_style_alone_has_no_agreement(client: Client, alice, acme) -> None:
    alice.tier = "free"
    alice.save()

    assert "With two scores or more, their mean stands here, and how far they agree." in text(client.get(TAB))


def test_made_up_figures_are_marked(client: Client, alice) -> None:
    ticker = make_company(symbol="ACME", provider="simulator", simulated=True)
    Quote.objects.filter(ticker=ticker).update(provider="simulator")

    assert ">Simulated figures</span>" in text(client.get(TAB))


def test_real_figures_are_not_marked(client: Client, alice, acme) -> None:
    assert "Simulated figures" not in text(client.get(TAB))


def test_a_style_that_knows_too_little_has_no_score(client: Client, alice) -> None:
    alice.tier = "expert"
    alice.save()
    ticker = make_company(symbol="ACME", fcf_ttm=Decimal(-1))
    why = analyses.look(ticker, [Persona.DCF], clock.now()).cards[0].sentences

    answer = card(client.get(TAB), Persona.DCF)

    assert "No score" in answer
    assert "score-bar" not in answer
    assert [one in answer for one in why] == [True]


def test_without_figures_the_tab_says_what_is_missing(client: Client, alice) -> None:
    make_ticker("ACME")
    assert "No figures of its business are known yet." in text(client.get(TAB))


def test_without_a_price_the_tab_says_so(client: Client, alice) -> None:
    make_fundamentals(make_ticker("ACME"))
    assert "It has no price yet" in text(client.get(TAB))


def test_figures_in_another_currency_are_said_to_be(client: Client, alice) -> None:
    make_company(symbol="ACME", currency="EUR")
    assert "in another currency than its price" in text(client.get(TAB))


def test_discounted_cash_flows_show_how_far_their_value_depends_on_what_was_assumed(
    client: Client, alice, acme
) -> None:
    alice.tier = "expert"
    alice.save()
    estimate = analyses.look(acme, [Persona.DCF], clock.now()).estimate

    answer = client.get(TAB)

    cells = re.findall(
        r'<td class="num">(<b title="As assumed">)?([\d.,\u2212]+)(?:</b>)?</td>', card(answer, Persona.DCF)
    )
    assert [(bool(mark), float(value.replace("\u2212", "-"))) for mark, value in cells[:9]] == [
        (value == estimate.worth.per_share, round(float(value), 2)) for value in estimate.grid.cells
    ]
    assert sum(bool(mark) for mark, _ in cells) == 1
    assert "worth-table" not in card(answer, Persona.BASIC)


# --- how a text stands


@pytest.mark.parametrize(
    ("state", "words", "is_waited_for"),
    [
        (OrderState.QUEUED, "A new text is queued", True),
        (OrderState.RUNNING, "A new text is being written", True),
        (OrderState.DEAD, "The model's text could not be used. What stands here is computed.", False),
    ],
)
def test_a_card_says_how_its_text_stands(state, words, is_waited_for, client: Client, alice, acme) -> None:
    order(acme, state=state)

    answer = client.get(TAB)

    assert words in card(answer, Persona.BASIC)
    assert ("data-under-way" in text(answer)) is is_waited_for


def test_a_text_of_earlier_figures_is_shown_with_its_date_and_score(client: Client, alice, acme) -> None:
    at = clock.now() - timedelta(hours=3)
    written(acme, "It was cheaper.", inputs_hash="0" * 64, score=71, created_at=at)

    answer = card(client.get(TAB), Persona.BASIC)

    assert "ACME has 60 of 100 points" in answer
    assert f"{at:%H:%M}; the score was 71" in answer
    assert "<span>It was cheaper.</span>" in answer
    assert f"Reasoning by {MODEL}" in answer


def test_a_budget_that_is_used_up_is_said_with_the_age_of_the_text(monkeypatch, alice, acme, still) -> None:
    at = clock.now() - timedelta(hours=3)
    written(acme, "It was cheaper.", inputs_hash="0" * 64, created_at=at)
    Order.objects.update(state=OrderState.QUEUED)
    monkeypatch.setattr(refreshing, "step_for", lambda _: Step.EXTRACTIVE)

    seen = view(acme, alice)

    assert seen.resting == (
        "The text is from 3\u2009h ago; today's budget for new ones is used up. "
        "The next are written from 00:00 UTC on."
    )
    assert not seen.is_under_way


def test_a_budget_for_renewals_that_is_used_up_holds_no_first_text_back(monkeypatch, alice, acme) -> None:
    order(acme)
    monkeypatch.setattr(refreshing, "step_for", lambda _: Step.CACHED_ONLY)

    seen = view(acme, alice)

    assert (seen.resting, seen.is_under_way) == ("", True)


def test_nothing_that_a_model_wrote_becomes_an_element(client: Client, alice, acme) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    link = "![x](https://evil.example/p.png)"
    written(acme, hostile, link, model=hostile)
    written(acme, hostile, inputs_hash="0" * 64, persona=Persona.LYNCH, model=hostile)

    page = client.get(TAB).content.decode()

    assert "<img" not in page
    assert re.findall(r'(?:href|src)="[^"]*evil[^"]*"', page) == []
    assert page.count(html.escape(hostile)) == 4
    assert page.count(link) == 1


@pytest.mark.parametrize(
    ("score", "word"), [(100, "High"), (61, "High"), (60, "Middle"), (40, "Middle"), (39, "Low"), (0, "Low")]
)
def test_a_score_has_a_word(score: int, word: str) -> None:
    assert word_of(score) == word


# --- the button


def test_refresh_orders_texts_of_all_styles_of_the_plan(client: Client, alice, acme) -> None:
    answer = client.post(REFRESH, follow=True)

    assert answer.redirect_chain == [(TAB, 302)]
    assert "New texts are being written; they appear here" in text(answer)
    ordered = Order.objects.order_by("analysis__persona").values_list("analysis__persona", "lane", "tier")
    assert list(ordered) == [(name, "interactive", "pro") for name in ("basic", "buffett", "lynch")]


def test_refresh_without_a_model_says_that_sentences_are_computed(
    monkeypatch, client: Client, alice, acme
) -> None:
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "")

    answer = text(client.post(REFRESH, follow=True))

    assert "Looked at again. No language model is connected, so the sentences are computed." in answer
    assert "data-under-way" not in answer


def test_refresh_without_a_price_says_so(client: Client, alice) -> None:
    make_fundamentals(make_ticker("ACME"))

    assert "ACME has no price yet, and a score needs one." in text(client.post(REFRESH, follow=True))


def test_refresh_of_figures_in_another_currency_says_so(client: Client, alice) -> None:
    make_company(symbol="ACME", currency="JPY")

    answer = text(client.post(REFRESH, follow=True))

    assert "The figures of ACME are in another currency than its price, so there is no score." in answer


def test_refresh_of_what_too_little_is_known_of_says_so(client: Client, alice) -> None:
    known = {field.name: None for field in fields(ACME) if isinstance(getattr(ACME, field.name), Decimal)}
    make_company(symbol="ACME", **known)

    answer = text(client.post(REFRESH, follow=True))

    assert "Too few figures of ACME are known for a score." in answer


def test_there_are_words_for_all_that_may_become_of_a_wish() -> None:
    zone = zone_of("UTC")
    said = [wanted_words([Wanted(Persona.BASIC, RESTING, why)], "ACME", zone) for why in Why]
    assert len({*said}) == len(Why)
    assert said[-1] == "The model does not answer just now; it is asked again later."


def test_a_text_that_was_given_up_is_not_called_up_to_date() -> None:
    said = wanted_words([Wanted(Persona.BASIC, OrderState.DEAD.value)], "ACME", zone_of("UTC"))
    assert said == "The model's text could not be used. What stands here is computed."


def test_refresh_of_what_nothing_is_known_of_says_that_it_was_asked_for(client: Client, alice) -> None:
    make_ticker("ACME")

    answer = text(client.post(REFRESH, follow=True))

    assert "No figures of ACME are known yet; they have been asked for." in answer


def test_refresh_of_what_is_written_already_says_so(client: Client, alice, acme) -> None:
    for persona in (Persona.BASIC, Persona.BUFFETT, Persona.LYNCH):
        written(
            acme, "It is so.", persona=persona, prompt_version=orders.prompts.version(orders.Task.ANALYSIS)
        )

    answer = text(client.post(REFRESH, follow=True))

    assert "The texts are of these very figures already." in answer


def test_refresh_with_the_budget_used_up_says_until_when(monkeypatch, client: Client, alice, acme) -> None:
    monkeypatch.setattr(refreshing, "step_for", lambda _: Step.EXTRACTIVE)

    answer = text(client.post(REFRESH, follow=True))

    assert "Today's budget for new texts is used up; the next are written from 00:00 UTC on." in answer


def test_refresh_is_refused_as_often_as_the_api_refuses_it(client: Client, alice, acme) -> None:
    for _ in range(alice.limits.analyses_per_hour):
        allowance.take(alice)

    answer = client.post(REFRESH, follow=True)

    limit = alice.limits.analyses_per_hour
    assert f"Your Pro plan has {limit} new analyses an hour, and all are used." in text(answer)
    assert 'data-said="error"' in text(answer)
    assert Order.objects.count() == 0


def test_refresh_is_for_those_who_are_logged_in_and_changes_nothing_when_looked_at(
    client: Client, acme
) -> None:
    assert client.post(REFRESH).url == f"/account/login/?next={REFRESH}"
    client.force_login(make_user())
    assert client.get(REFRESH).status_code == 405
    assert client.post("/tickers/NONE/analyses/refresh/").status_code == 404
    assert client.post("/tickers/!!/analyses/refresh/").status_code == 404
    assert Order.objects.count() == 0


def test_refresh_takes_any_spelling_of_a_symbol(client: Client, alice) -> None:
    make_company(symbol="BRK.B")

    assert client.post("/tickers/brk/b/analyses/refresh/").url == "/tickers/BRK.B/?tab=analyses"


def test_an_open_page_gets_the_tab_alone(client: Client, alice, acme) -> None:
    answer = text(client.get(TAB, headers={"X-Fragment": "analyses"}))

    assert answer.startswith('<div class="analyses"')
    assert "<html" not in answer


def test_the_tab_costs_the_same_queries_for_any_history(
    client: Client, alice, acme, django_assert_max_num_queries
) -> None:
    for number in range(5):
        written(acme, "It is so.", inputs_hash=f"{number:064x}")

    # session, user, ticker, quote, on the watchlist, watchers, actions, days; figures, stored analyses, best texts,
    # older ones, orders; the shell's numbers
    with django_assert_max_num_queries(16):
        client.get(TAB)
