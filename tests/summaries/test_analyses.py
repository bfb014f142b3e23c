"""Which analysis of a ticker is seen, when it is made anew, and what is wanted of a model."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connections

from core import clock
from marketdata import demand, fundamentals, models
from marketdata.demand import Wanted
from summaries import analyses, grounding, inputs, modelbook, orders
from summaries.drafts import AnalysisDraft
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Persona, Task
from summaries.llm import prompts
from summaries.models import Analysis, Order
from tests.factories import make_quote, make_ticker
from tests.summaries.factories import make_company, make_fundamentals, set_figures, set_price

pytestmark = pytest.mark.django_db

ALL = tuple(Persona)
START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "gpt-6-luna")
    monkeypatch.setattr(orders, "wake", lambda: None)


@pytest.fixture
def later(time_machine):
    """The clock stands still; the function moves it."""
    time_machine.move_to(START, tick=False)

    def move(**how) -> None:
        time_machine.shift(timedelta(**how))

    return move


def look(ticker, personas=ALL):
    return analyses.look(ticker, personas, clock.now())


def card(ticker, persona=Persona.BASIC):
    return look(ticker, [persona]).cards[0]


def refresh(ticker, personas=(Persona.BASIC,), lane=Lane.INTERACTIVE, tier="pro"):
    return analyses.refresh(ticker, personas, lane=lane, tier=tier)


def written(ticker, text="A model says so.", persona=Persona.BASIC):
    """As if a model had written of the newest stored analysis."""
    row = Analysis.objects.filter(ticker=ticker, persona=persona, model=EXTRACTIVE).first()
    row.pk = None
    row.model, row.prompt_version = "gpt-6-luna", prompts.version(Task.ANALYSIS)
    row.sentences, row.created_at = [text], clock.now()
    row.save(force_insert=True)
    Order.objects.filter(analysis__inputs_hash=row.inputs_hash).update(state=OrderState.DONE)
    return row


# --- looking


def test_every_persona_has_a_card_with_its_score_and_the_sentences_of_its_figures():
    ticker = make_company(symbol="ACME")
    seen = look(ticker)

    assert [(one.persona, one.score) for one in seen.cards][:3] == [
        (Persona.BASIC, 60), (Persona.BUFFETT, 43), (Persona.LYNCH, 34),
    ]  # fmt: skip
    assert seen.cards[2].sentences == [
        "ACME has 34 of 100 points in the style of Peter Lynch.",
        "By its growth it is a stalwart.",
        "Best: The price is 20.0 times the earnings of the last four quarters.",
        "Weakest: The P/E is 2.22 times the 9.0 percent by which earnings grow.",
    ]
    assert {(one.model, one.is_generated, one.is_older, one.is_locked) for one in seen.cards} == {
        (EXTRACTIVE, False, False, False)
    }
    assert (seen.reason, seen.simulated) == ("", False)


def test_the_aggregate_is_of_all_cards_with_a_score():
    seen = look(make_company(fcf_ttm=Decimal(-1)))

    scores = [one.score for one in seen.cards if one.score is not None]
    assert len(scores) == 3
    assert (seen.aggregate.count, seen.aggregate.spread) == (3, max(scores) - min(scores))


def test_a_persona_that_knows_too_little_says_so():
    found = card(make_company(fcf_ttm=Decimal(-1)), Persona.DCF)

    assert (found.score, found.criteria) == (None, ())
    assert found.sentences == [
        "No free cash was left over the last four quarters, so no value can be worked out from it."
    ]


def test_inputs_say_their_dates_and_sources():
    ticker = make_company(symbol="ACME")
    found = {one.key: one for one in card(ticker, Persona.DCF).inputs}

    assert sorted(found) == sorted([
        "price", "shares", "fcf_ttm", "cash", "total_debt", "book_value_per_share", "debt_to_equity", "beta",
        "revenue_growth_1y", "revenue_growth_5y", "eps_growth_1y", "eps_growth_3y", "eps_growth_5y",
    ])  # fmt: skip
    quote = models.Quote.objects.get(ticker=ticker)
    price, debt = found["price"], found["total_debt"]
    assert (price.name, price.value, price.raw) == ("Price", "100.00 USD", "100.00")
    assert (price.as_of, price.source) == (quote.as_of, "finnhub")
    assert (debt.name, debt.value, debt.raw) == ("Debt", "20,000 USD", "20000")
    assert (debt.as_of, debt.source) == (date(2026, 9, 30), "finnhub")


def test_what_a_persona_does_not_look_at_is_none_of_its_inputs():
    keys = [one.key for one in card(make_company(), Persona.LYNCH).inputs]
    assert keys == [
        "price", "shares", "eps_ttm", "book_value_per_share", "cash", "total_debt", "dividend_per_share",
        "debt_to_equity", "eps_growth_1y", "eps_growth_3y", "eps_growth_5y",
    ]  # fmt: skip


def test_without_figures_there_is_nothing():
    ticker = make_ticker()
    make_quote(ticker)
    seen = look(ticker)

    assert (seen.cards, seen.aggregate, seen.reason) == ([], None, "no_fundamentals")


def test_without_a_price_there_is_nothing():
    ticker = make_ticker()
    make_fundamentals(ticker)

    assert look(ticker).reason == "no_price"


def test_figures_in_another_currency_than_the_price_are_not_compared_with_it():
    assert look(make_company(currency="TWD")).reason == "other_currency"


@pytest.mark.parametrize(
    ("figures", "quote", "simulated"),
    [
        ({}, {"provider": "finnhub"}, False),
        ({"simulated": True}, {"provider": "finnhub"}, True),
        ({}, {"provider": "simulator"}, True),
        ({}, {"provider": "replay", "replay_date": date(2013, 5, 3)}, True),
    ],
)
def test_what_is_made_up_is_said_to_be(figures, quote, simulated):
    ticker = make_ticker()
    make_fundamentals(ticker, **figures)
    make_quote(ticker, **quote)

    assert look(ticker).simulated is simulated


def test_the_discounted_value_comes_with_its_grid_and_the_usual_ratios():
    seen = look(make_company())

    assert seen.estimate.grid.values[1][1] == seen.estimate.worth.per_share
    assert {one.name: one.text for one in seen.ratios} == {
        "P/E": "20.00",  # 100 / 5
        "PEG": "2.22",  # 20 / 9
        "P/B": "2.50",  # 100 / 40
        "P/S": "2.00",  # 100 / 50
        "Earnings yield": "5.0 %",
        "Dividend yield": "2.0 %",
        "Payout": "40.0 %",
        "Free cash flow per share": "4.00",
        "Free cash flow yield": "4.0 %",
        "EV/FCF": "26.25",  # (100,000 + 5,000) / 4,000
        "Graham number": "67.08",  # sqrt(22.5 x 5 x 40 = 4,500)
    }


@pytest.mark.parametrize("personas", [ALL[:1], ALL])
def test_looking_takes_six_queries_for_however_many_personas_and_writes_nothing(
    personas, django_assert_num_queries
):
    ticker = make_company()
    refresh(ticker, ALL)
    before = list(Analysis.objects.order_by("id").values())

    # Figures, quote, fresh analyses, the best texts, older texts, orders.
    with django_assert_num_queries(6):
        look(ticker, personas)
    assert list(Analysis.objects.order_by("id").values()) == before


# --- hashes


def known(price="100", **figures):
    ticker = make_company(price, **figures)
    return analyses._gather([ticker])[ticker.symbol].known


def test_the_hash_is_of_the_persona_the_figures_and_the_step_of_the_price():
    one = inputs.hash_of(Persona.BASIC, known())

    assert len(one) == 64
    assert inputs.hash_of(Persona.BASIC, known()) == one
    assert inputs.hash_of(Persona.BASIC, known("100.8")) == one
    assert inputs.hash_of(Persona.BUFFETT, known()) != one
    assert inputs.hash_of(Persona.BASIC, known("103")) != one
    assert inputs.hash_of(Persona.BASIC, known(roe=Decimal("0.126"))) != one
    assert inputs.hash_of(Persona.BASIC, known(current_ratio=None)) != one


@pytest.mark.parametrize(
    ("persona", "changes", "is_same"),
    [
        (Persona.BASIC, {"as_of": date(2026, 12, 31)}, True),  # the same values told anew
        (Persona.BASIC, {"beta": Decimal(2)}, True),  # not looked at
        (Persona.LYNCH, {"roe": Decimal(2)}, True),
        (Persona.DCF, {"beta": Decimal("1.004")}, True),
        (Persona.DCF, {"beta": Decimal("1.01")}, False),
        (Persona.DCF, {"eps_ttm": Decimal(9)}, True),
        (Persona.DCF, {"fcf_ttm": Decimal(4_004)}, True),  # as a vendor works it out of today's price
        (Persona.DCF, {"fcf_ttm": Decimal(4_010)}, False),
    ],
)
def test_the_hash_changes_with_what_the_persona_looks_at(persona, changes, is_same):
    assert (inputs.hash_of(persona, known()) == inputs.hash_of(persona, known(**changes))) is is_same


def test_the_source_is_no_part_of_the_hash():
    assert inputs.hash_of(Persona.BASIC, known(provider="massive")) == inputs.hash_of(Persona.BASIC, known())


def test_each_step_of_the_price_is_two_percent_wide():
    # 1.02^232 = 98.91, 1.02^233 = 100.89, 1.02^234 = 102.91.
    assert [inputs.bucket(Decimal(text)) for text in ("98.95", "100.8", "100.95", "102.8", "103")] == [
        232, 232, 233, 233, 234,
    ]  # fmt: skip


# --- fresh for half an hour or until an input changes


def test_within_half_an_hour_a_price_about_the_border_of_a_step_flips_nothing(later):
    ticker = make_company("100.8")
    refresh(ticker)
    first = card(ticker)
    set_price(ticker, "100.95")  # the next step
    later(minutes=29)

    assert card(ticker) == first
    assert refresh(ticker) == list(Order.objects.all())
    assert Analysis.objects.count() == 1


def test_after_half_an_hour_the_inputs_are_gathered_anew(later):
    ticker = make_company("100.8")
    refresh(ticker)
    set_price(ticker, "100.95")
    first = card(ticker)
    later(minutes=30)

    found = card(ticker)
    assert found.inputs_hash != first.inputs_hash
    assert found.inputs[0].raw == "100.95"
    refresh(ticker)
    assert Analysis.objects.count() == 2


def test_a_price_that_moves_by_more_than_two_percent_is_another_input_at_once(later):
    ticker = make_company("100")
    refresh(ticker)
    first = card(ticker)
    set_price(ticker, "102")
    assert card(ticker) == first
    set_price(ticker, "102.01")

    found = card(ticker)
    assert found.inputs[0].raw == "102.01"
    assert found.inputs_hash != first.inputs_hash


def test_a_figure_that_changes_is_another_input_at_once(later):
    ticker = make_company()
    refresh(ticker)
    first = card(ticker)
    set_figures(ticker, roe="0.2")

    found = card(ticker)
    assert found.inputs_hash != first.inputs_hash
    assert found.score > first.score


def test_a_price_that_flaps_by_more_has_the_same_two_analyses(later):
    ticker = make_company("100")
    for price in ("100", "103", "100.2", "103.1", "100"):
        set_price(ticker, price)
        refresh(ticker)
        later(minutes=1)

    assert (Analysis.objects.count(), Order.objects.count()) == (2, 2)


def test_unchanged_inputs_are_renewed_without_a_purchase(later):
    ticker = make_company("100")
    refresh(ticker)
    written(ticker)
    later(hours=5)
    set_price(ticker, "100.5")

    assert refresh(ticker) == []
    assert Order.objects.count() == 1
    row = Analysis.objects.get(model=EXTRACTIVE)
    assert (row.created_at, row.inputs["price"]["value"]) == (clock.now(), "100.50")
    # Fresh again: a border that is crossed now flips nothing.
    later(minutes=20)
    set_price(ticker, "101")
    assert card(ticker).sentences == ["A model says so."]


def test_what_a_model_is_just_explaining_stays_as_it_was_asked(later):
    ticker = make_company("100")
    refresh(ticker)
    Order.objects.update(state=OrderState.RUNNING)
    later(hours=1)
    set_price(ticker, "100.5")
    refresh(ticker)

    assert Analysis.objects.get().inputs["price"]["value"] == "100.00"


# --- texts


def test_a_card_is_one_analysis_with_its_own_figures(later):
    ticker = make_company("100")
    refresh(ticker)
    row = written(ticker)
    later(hours=3)
    set_price(ticker, "100.7")

    found = card(ticker)
    assert (found.sentences, found.model, found.is_generated) == (["A model says so."], "gpt-6-luna", True)
    assert (found.created_at, found.inputs[0].raw, found.score) == (row.created_at, "100.00", row.score)
    assert (found.is_older, found.older) == (False, None)


def test_what_another_version_stored_besides_is_passed_over(later):
    ticker = make_company("100")
    refresh(ticker)
    first = card(ticker)
    row = Analysis.objects.get()
    row.criteria[0]["mood"] = "sunny"
    row.inputs["mood"] = {"value": "sunny", "as_of": "2026-09-30", "source": "finnhub"}
    row.save()
    written(ticker)

    found = card(ticker)
    assert (found.criteria, found.inputs) == (first.criteria, first.inputs)


def test_what_a_model_wrote_of_earlier_inputs_is_told_as_older(later):
    ticker = make_company("100")
    refresh(ticker)
    row = written(ticker, "It was cheap.")
    later(days=1)
    set_price(ticker, "130")

    found = card(ticker)
    assert found.sentences[0] == f"{ticker.symbol} has {found.score} of 100 points by its general figures."
    assert (found.model, found.created_at, found.is_older) == (EXTRACTIVE, clock.now(), False)
    assert found.older == analyses.Text(["It was cheap."], "gpt-6-luna", row.created_at, row.score)
    assert found.older.is_older


def test_the_newest_of_several_older_texts_is_told(later):
    ticker = make_company("100")
    for price, text in (("100", "First."), ("120", "Second."), ("140", "Third.")):
        set_price(ticker, price)
        refresh(ticker)
        written(ticker, text)
        later(hours=1)
    set_price(ticker, "200")

    assert card(ticker).older.sentences == ["Third."]


def test_the_text_of_another_ticker_or_persona_is_never_shown(later):
    one, other = make_company("100"), make_company("100")
    refresh(one, [Persona.BASIC])
    written(one, "Of one.")

    assert (card(other).model, card(other).older) == (EXTRACTIVE, None)
    assert (card(one, Persona.BUFFETT).model, card(one, Persona.BUFFETT).older) == (EXTRACTIVE, None)


def test_computed_sentences_are_of_the_figures_of_now_once_half_an_hour_is_over(later):
    ticker = make_company("100")
    refresh(ticker)
    first = card(ticker)
    later(minutes=31)
    set_price(ticker, "100.5")

    found = card(ticker)
    assert found.inputs_hash == first.inputs_hash
    assert (found.inputs[0].raw, found.created_at) == ("100.50", clock.now())


def test_a_persona_never_takes_what_another_was_given_of_the_same_figures(later):
    nothing = dict.fromkeys(
        ("fcf_ttm", "roe", "net_margin", "current_ratio", "revenue_growth_1y", "revenue_growth_5y", "cash")
    )
    ticker = make_company("100", **nothing)
    refresh(ticker, [Persona.LYNCH])

    basic, lynch = look(ticker, [Persona.BASIC, Persona.LYNCH]).cards
    assert basic.inputs == lynch.inputs
    assert (basic.score, basic.persona) == (None, Persona.BASIC)


# --- wanting


def test_refreshing_stores_what_is_seen_and_orders_the_words_for_it():
    ticker = make_company()
    seen = look(ticker, ALL)
    found = refresh(ticker, ALL, tier="expert")

    rows = {row.persona: row for row in Analysis.objects.all()}
    for one in seen.cards:
        row = rows[one.persona]
        assert (row.score, row.sentences, row.inputs_hash) == (one.score, one.sentences, one.inputs_hash)
    assert [(one.analysis_id, one.lane, one.tier, one.state) for one in found] == [
        (rows[persona].pk, Lane.INTERACTIVE, "expert", OrderState.QUEUED) for persona in ALL
    ]
    assert [one.order_state for one in look(ticker, ALL).cards] == [OrderState.QUEUED] * 4


def test_without_a_model_the_analysis_is_stored_and_nothing_is_ordered(monkeypatch):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "")
    ticker = make_company()

    assert refresh(ticker) == []
    assert Analysis.objects.get().model == EXTRACTIVE


def test_a_persona_without_a_score_is_not_stored():
    ticker = make_company(fcf_ttm=Decimal(-1))

    assert refresh(ticker, [Persona.DCF]) == []
    assert Analysis.objects.count() == 0


@pytest.mark.parametrize(
    ("age", "asked"), [(timedelta(hours=23), 0), (timedelta(hours=25), 1)], ids=["of today", "older"]
)
def test_old_figures_are_asked_for_and_not_waited_for(
    age, asked, monkeypatch, django_capture_on_commit_callbacks
):
    called = []
    monkeypatch.setattr(fundamentals, "ask_for", called.append)
    ticker = make_company(loaded_at=clock.now() - age)
    with django_capture_on_commit_callbacks(execute=True):
        assert len(refresh(ticker)) == 1

    assert called == [[ticker.symbol]] * asked


def test_figures_that_are_missing_are_asked_for(monkeypatch, django_capture_on_commit_callbacks):
    called = []
    monkeypatch.setattr(fundamentals, "ask_for", called.append)
    ticker = make_ticker()
    with django_capture_on_commit_callbacks(execute=True):
        assert refresh(ticker) == []

    assert called == [[ticker.symbol]]


@pytest.mark.django_db(transaction=True)
def test_ten_who_refresh_at_once_make_one_row_and_one_order():
    ticker = make_company("100.85")
    start = threading.Barrier(10)
    prices = ["100.85", "100.95"]  # on both sides of a border

    def want(number: int) -> None:
        start.wait(30)
        try:
            set_price(ticker, prices[number % 2])
            refresh(ticker)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=want, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (Analysis.objects.count(), Order.objects.count()) == (1, 1)


# --- what a model is asked


def test_an_item_has_the_sentences_and_each_figure_as_it_is_to_be_written():
    ticker = make_company(symbol="ACME")
    refresh(ticker, [Persona.LYNCH])
    row = Analysis.objects.get()
    item = analyses.item_of(row)

    assert (item.id, item.symbols) == (f"analysis-{row.pk}", ("ACME",))
    assert item.title == "ACME Inc. (ACME): In the style of Peter Lynch"
    assert item.text.startswith("ACME has 34 of 100 points in the style of Peter Lynch. By its growth")
    assert item.text.endswith("Debt beyond its cash is 5.0 % of what all its shares cost.")
    assert item.facts["score"] == "34 of 100"
    assert item.facts["PEG"] == "2.22 (0 of 25 points: none at 2, all up to 0.5)"
    assert item.facts["Input: Earnings growth, five years"] == "9.0 % as of 2026-09-30"
    assert item.facts["Input: Debt"] == "20,000 USD as of 2026-09-30"


def test_whatever_we_say_ourselves_is_grounded_in_what_a_model_is_given():
    ticker = make_company()
    refresh(ticker, ALL)
    for row in Analysis.objects.all():
        said = (*row.sentences, *(one["text"] for one in row.criteria))
        facts = tuple(f"{name}: {text}." for name, text in analyses.item_of(row).facts.items())
        checked = grounding.check(AnalysisDraft(said + facts), analyses.item_of(row))

        assert (checked.dropped, checked.faults) == (0, ())
        assert checked.draft.sentences == said + facts


# --- overnight


@pytest.fixture
def wanted(monkeypatch):
    """Say which tickers are wanted, by how many."""

    def say(holders) -> None:
        found = {one.symbol: Wanted(one.pk, one.symbol, number, 60) for one, number in holders.items()}
        monkeypatch.setattr(demand, "wanted", lambda: found)

    return say


def ordered():
    return list(Order.objects.order_by("id").values_list("analysis__ticker", "analysis__persona", "lane"))


def test_overnight_the_most_wanted_come_first(wanted):
    few, many, some = (make_company() for _ in range(3))
    wanted({few: 1, many: 9, some: 5})

    assert analyses.want_overnight(clock.now(), 2) == 2
    assert ordered() == [(one.pk, Persona.BASIC, Lane.OVERNIGHT) for one in (many, some)]


def test_overnight_only_what_has_changed_is_ordered(wanted, later):
    same, moved, told, never = (make_company() for _ in range(4))
    for one in (same, moved, told):
        refresh(one)
        written(one)
    later(days=1)
    set_price(same, "101.9")
    set_price(moved, "103")
    set_figures(told, roe="0.2")
    wanted({same: 4, moved: 3, told: 2, never: 1})
    before = Order.objects.count()

    assert analyses.want_overnight(clock.now()) == 3
    assert [one[0] for one in ordered()[before:]] == [moved.pk, told.pk, never.pk]
    assert analyses.want_overnight(clock.now() + timedelta(seconds=1)) == 0


def test_overnight_nothing_is_bought_for_figures_that_are_made_up(wanted):
    wanted({make_company(simulated=True): 1, make_ticker(): 1})

    assert analyses.want_overnight(clock.now()) == 0
    assert Analysis.objects.count() == 0


def test_overnight_nothing_happens_without_a_model(wanted, monkeypatch):
    wanted({make_company(): 1})
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "")

    assert analyses.want_overnight(clock.now()) == 0
    assert Analysis.objects.count() == 0


@pytest.mark.parametrize("number", [1, 3])
def test_overnight_looking_for_changes_takes_three_queries(number, django_assert_num_queries):
    tickers = [make_company() for _ in range(number)]
    for one in tickers:
        refresh(one)
        written(one)

    with django_assert_num_queries(3):
        assert list(analyses._changed(tickers, [Persona.BASIC])) == []
