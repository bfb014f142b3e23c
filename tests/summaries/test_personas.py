"""What each persona makes of figures: the points, the words, and that better figures never cost points."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from marketdata.company import FIGURES, Fundamentals
from summaries import measures, personas
from summaries.kinds import Persona
from summaries.measures import Case
from summaries.personas import Category, judge
from tests.summaries.factories import ACME

D = Decimal
# Each point can be worked out by hand at this price.
PRICE = D(100)


def points(persona: Persona, figures: Fundamentals = ACME, price: Decimal | None = PRICE) -> dict[str, int]:
    return {one.name: one.points for one in judge(persona, Case(figures, price)).criteria}


def texts(persona: Persona, figures: Fundamentals = ACME, price: Decimal | None = PRICE) -> dict[str, str]:
    return {one.name: one.text for one in judge(persona, Case(figures, price)).criteria}


def test_the_points_of_basic_are_what_they_are_by_hand():
    assert points(Persona.BASIC) == {
        "P/E": 14,  # 20: (40 - 20) / (40 - 12) = 0.714 of 20
        "Free cash flow yield": 5,  # 4,000 / 100,000 = 4 %: (4 - 1) / (7 - 1) = half of 10
        "Return on equity": 6,  # 12.5 / 20 = 0.625 of 10
        "Net margin": 5,  # 10 / 20
        "Revenue growth": 4,  # 6 / 15 of 10
        "Earnings growth": 6,  # 9 / 15 of 10
        "Debt to equity": 10,  # 0.5 is good enough
        "Current ratio": 5,  # (1.4 - 0.8) / (2 - 0.8)
        "Dividend": 5,  # 2 %, of 4 %; 2 of 5 earned is well covered
    }
    # 14 + 5 + 6 + 5 + 4 + 6 + 10 + 5 + 5 = 60 of 100.
    assert judge(Persona.BASIC, Case(ACME, PRICE)).score == 60


def test_the_points_of_buffett_are_what_they_are_by_hand():
    assert points(Persona.BUFFETT) == {
        "Return on equity": 10,  # (12.5 - 5) / (20 - 5) = half of 20
        "Debt to equity": 8,  # (1.5 - 0.5) / (1.5 - 0.3) = 0.833 of 10
        "Years to repay debt": 6,  # 20,000 / 4,000 = 5: (8 - 5) / (8 - 3) = 0.6 of 10
        "Gross margin": 5,  # (30 - 20) / (40 - 20)
        "Operating margin": 3,  # (14 - 5) / (20 - 5) = 0.6 of 5
        "Net margin": 3,  # (10 - 5) / (20 - 5) = 0.333 of 10
        "Free cash flow yield": 4,  # 4 / 5 of 5
        "Earnings yield": 4,  # (5 - 3) / (8 - 3) = 0.4 of 10
        "Margin of safety": 0,  # 68.46 by 100 is below 0.8
    }
    # 43 of 100.
    assert judge(Persona.BUFFETT, Case(ACME, PRICE)).score == 43


def test_the_points_of_lynch_are_what_they_are_by_hand():
    assert points(Persona.LYNCH) == {
        "PEG": 0,  # P/E 20 / 9 = 2.22, above 2
        "Growth and dividend by P/E": 1,  # (9 + 2) / 20 = 0.55: 0.05 / 1.5 = 0.033 of 15
        "Earnings growth": 12,  # 9 / 15 of 20
        "P/E": 8,  # (40 - 20) / (40 - 15) = 0.8 of 10
        "Debt to equity": 13,  # (1 - 0.5) / 0.75 = 0.667 of 20
        "Net cash": 0,
    }
    # 34 of 100.
    assert judge(Persona.LYNCH, Case(ACME, PRICE)).score == 34


def test_the_points_of_dcf_follow_its_value():
    # Growth is the lower of 6 and 9 %, the return 4.2 + 4.8 = 9 %; 4,000 of cash flow and 5,000 of net debt.
    estimate = measures.estimate_of(ACME)
    assert (estimate.growth, estimate.discount) == (D("0.06"), D("0.090"))
    value = estimate.worth.per_share
    found = points(Persona.DCF, price=value)
    assert found["Value by price"] == 30  # (1 - 0.6) / (1.4 - 0.6) = half of 60
    assert found["Other assumptions"] == round(25 * sum(one >= value for one in estimate.grid.cells) / 9)
    assert found["Worst case"] == round(15 * (min(estimate.grid.cells) / value - D("0.5")) * 2)


def test_a_sentence_tells_each_figure():
    assert texts(Persona.BASIC) == {
        "P/E": "The price is 20.0 times the earnings of the last four quarters.",
        "Free cash flow yield": "Its free cash flow is 4.0 % of what all its shares cost.",
        "Return on equity": "Its return on equity is 12.5 %.",
        "Net margin": "Its net margin is 10.0 %.",
        "Revenue growth": "Its revenue grew 6.0 % a year over five years.",
        "Earnings growth": "Its earnings per share grew 9.0 % a year over five years.",
        "Debt to equity": "Its debt is 0.50 times its equity.",
        "Current ratio": "What it can turn into cash within a year is 1.40 times what is due by then.",
        "Dividend": "It pays 2.0 % of its price in a year, which is 40.0 % of what it earns.",
    }


@pytest.mark.parametrize(
    ("persona", "name", "changes", "text"),
    [
        (Persona.BASIC, "P/E", {"eps_ttm": D(-2)}, "It earned nothing in the last four quarters, so there is no P/E."),
        (Persona.BASIC, "Dividend", {"dividend_per_share": D(0)}, "It pays no dividend."),
        (Persona.BASIC, "Dividend", {"eps_ttm": D(-2)},
         "It pays 2.0 % of its price in a year, and earned nothing to pay it from."),
        (Persona.BASIC, "Free cash flow yield", {"fcf_ttm": D(-1)}, measures.BURNS),
        (Persona.BASIC, "Revenue growth", {"revenue_growth_5y": D("-0.032")},
         "Its revenue shrank 3.2 % a year over five years."),
        (Persona.BASIC, "Earnings growth", {"eps_growth_5y": None, "eps_growth_3y": None},
         "Its earnings per share grew 40.0 % over one year."),
        (Persona.BASIC, "Debt to equity", {"debt_to_equity": D(0)}, "It has no debt."),
        (Persona.BASIC, "Return on equity", {"book_value_per_share": D(-3)}, measures.NO_EQUITY),
        (Persona.BUFFETT, "Earnings yield", {"eps_ttm": D(-2)}, "It loses 2.0 % of its price in a year."),
        (Persona.BUFFETT, "Margin of safety", {"fcf_ttm": D(-2)}, measures.BURNS),
        (Persona.LYNCH, "Earnings growth", {"eps_growth_5y": D("0.5")},
         "Its earnings per share grew 50.0 % a year over five years, faster than usually lasts."),
        (Persona.LYNCH, "Net cash", {}, "Debt beyond its cash is 5.0 % of what all its shares cost."),
    ],
)  # fmt: skip
def test_what_makes_no_sense_or_is_bad_is_said_so(persona, name, changes, text):
    assert texts(persona, replace(ACME, **changes))[name] == text


@pytest.mark.parametrize(
    ("persona", "name", "changes"),
    [
        (Persona.BASIC, "P/E", {"eps_ttm": D(-2)}),
        (Persona.BASIC, "Dividend", {"eps_ttm": D(-2)}),
        (Persona.BASIC, "Return on equity", {"book_value_per_share": D(-3), "roe": D(2)}),
        (Persona.BASIC, "Debt to equity", {"debt_to_equity": D(-3)}),
        (Persona.BUFFETT, "Years to repay debt", {"fcf_ttm": D(-1)}),
        (Persona.BUFFETT, "Margin of safety", {"fcf_ttm": D(-1)}),
        (Persona.LYNCH, "PEG", {"eps_growth_5y": D("-0.1")}),
        (Persona.LYNCH, "Growth and dividend by P/E", {"eps_ttm": D(0)}),
    ],
)
def test_what_is_known_to_make_no_sense_has_no_points_instead_of_being_left_out(persona, name, changes):
    assert points(persona, replace(ACME, **changes))[name] == 0


@pytest.mark.parametrize(
    ("growth", "by_hand"), [("0.15", 20), ("0.25", 20), ("0.375", 15), ("0.5", 10), ("3", 10)]
)
def test_growth_beyond_what_lasts_counts_less_for_lynch(growth, by_hand):
    assert points(Persona.LYNCH, replace(ACME, eps_growth_5y=D(growth)))["Earnings growth"] == by_hand


def test_growth_beyond_what_lasts_is_not_counted_in_the_peg():
    # P/E 20 by 25 and not by 50 percent.
    assert texts(Persona.LYNCH, replace(ACME, eps_growth_5y=D("0.5")))["PEG"] == (
        "The P/E is 0.80 times the 25.0 percent of growth that count."
    )


@pytest.mark.parametrize(
    ("growth", "kind"),
    [
        ("-0.01", Category.SHRINKING), ("0", Category.SLOW), ("0.079", Category.SLOW), ("0.08", Category.STALWART),
        ("0.199", Category.STALWART), ("0.20", Category.FAST),
    ],
)  # fmt: skip
def test_growth_tells_the_category_of_lynch(growth, kind):
    assert personas.category(D(growth)) is kind


def test_what_is_not_known_is_left_out_of_the_score():
    verdict = judge(Persona.BASIC, Case(replace(ACME, current_ratio=None, dividend_per_share=None), PRICE))

    # 60 points less 5 and 5, of 80 that can be decided: 50 / 80 = 62.5.
    assert (verdict.score, verdict.known, verdict.missing) == (63, 80, ("Current ratio", "Dividend"))


def test_too_little_known_is_no_score():
    verdict = judge(Persona.BASIC, Case(replace(ACME, roe=None), None))

    # Without a price P/E, cash flow yield and dividend are missing too: 20, 10, 10 and 10 points.
    assert (verdict.score, verdict.known) == (None, 50)
    assert personas.sentences(verdict, "ACME") == [
        "Too little is known for a score; what is missing: P/E, Free cash flow yield, Return on equity, Dividend."
    ]


def test_nothing_known_is_no_score():
    verdict = judge(Persona.BASIC, Case(Fundamentals("ACME", ACME.as_of), None))
    assert (verdict.score, verdict.known, verdict.criteria) == (None, 0, ())


def test_cash_that_flows_out_has_no_discounted_value():
    verdict = judge(Persona.DCF, Case(replace(ACME, fcf_ttm=D(-1)), PRICE))

    assert verdict.score is None
    assert personas.sentences(verdict, "ACME") == [
        "No free cash was left over the last four quarters, so no value can be worked out from it."
    ]


def test_debt_that_was_not_told_follows_from_its_ratio_to_the_equity():
    # 0.5 x 40 x 1,000 = 20,000, which ACME tells as well.
    assert measures.debt_of(replace(ACME, total_debt=None)) == D(20_000)


def test_without_any_word_of_debt_there_is_no_discounted_value():
    figures = replace(ACME, total_debt=None, debt_to_equity=None)
    assert judge(Persona.DCF, Case(figures, PRICE)).score is None


def test_the_sentences_tell_the_score_and_what_speaks_for_and_against_it():
    verdict = judge(Persona.LYNCH, Case(replace(ACME, cash=None), PRICE))
    assert personas.sentences(verdict, "ACME") == [
        "ACME has 38 of 100 points in the style of Peter Lynch.",
        "By its growth it is a stalwart.",
        "Best: The price is 20.0 times the earnings of the last four quarters.",
        "Weakest: The P/E is 2.22 times the 9.0 percent by which earnings grow.",
        "Not known and left out: Net cash.",
    ]


def test_a_score_of_nothing_has_no_best_side():
    verdict = judge(Persona.DCF, Case(ACME, D(100_000)))

    assert verdict.score == 0
    assert [one.split(":")[0] for one in personas.sentences(verdict, "ACME")[2:]] == ["Weakest"]


def test_a_full_score_has_no_weak_side():
    verdict = judge(Persona.DCF, Case(ACME, D(1)))

    assert verdict.score == 100
    assert [one.split(":")[0] for one in personas.sentences(verdict, "ACME")[2:]] == ["Best"]


def test_a_value_is_told_with_its_currency_beside_the_price():
    value = measures.estimate_of(ACME).worth.per_share
    assert texts(Persona.DCF, price=value * 2)["Value by price"] == (
        f"Its discounted cash flows are worth {value:.2f} USD a share, 50.0 % below the price of {value * 2:.2f}."
    )


def test_a_rule_tells_its_thresholds():
    rules = {one.name: one.rule for one in judge(Persona.BUFFETT, Case(ACME, PRICE)).criteria}
    assert rules["Return on equity"] == "none at 5 %, all from 20 %"
    assert rules["Debt to equity"] == "none at 1.5, all up to 0.3"


def test_the_dcf_tells_what_was_assumed():
    verdict = judge(Persona.DCF, Case(ACME, PRICE))
    beyond = measures.percent(measures.estimate_of(ACME).worth.beyond)
    assert verdict.remark == (
        "Assumed are growth of 6.0 % that fades to 2.5 % over 10 years and a required return of 9.0 %; "
        f"{beyond} of the value lies beyond these years."
    )


@pytest.mark.parametrize("persona", Persona)
def test_the_points_of_a_persona_are_a_hundred(persona):
    assert sum(rule.of for rule in personas.RULES[persona]) == 100


@pytest.mark.parametrize("persona", Persona)
def test_no_text_tells_anybody_what_to_do(persona):
    said = " ".join(
        [*texts(persona).values(), *personas.sentences(judge(persona, Case(ACME, PRICE)), "ACME")]
    )
    assert not {"buy", "sell", "hold", "recommend", "should"} & set(said.lower().replace(".", "").split())


@pytest.mark.parametrize("persona", Persona)
def test_the_figures_that_a_persona_looks_at_are_listed(persona):
    """Each figure is taken away by itself and changed by itself: only a listed one may matter."""
    gone = [
        ACME,
        replace(ACME, total_debt=None),
        replace(ACME, debt_to_equity=None),
        replace(ACME, eps_growth_5y=None),
        replace(ACME, eps_growth_5y=None, eps_growth_3y=None, revenue_growth_5y=None),
    ]
    matter = {
        name
        for figures in gone
        for name in FIGURES
        for value in (None, D("0.07"), D(-7))
        if judge(persona, Case(figures, PRICE))
        != judge(persona, Case(replace(figures, **{name: value}), PRICE))
    }
    assert matter == personas.USES[persona]


# --- Better figures


def values(low: str, high: str, places: int = 3):
    return st.none() | st.decimals(D(low), D(high), places=places)


figures_of_companies = st.builds(
    Fundamentals,
    symbol=st.just("ACME"),
    as_of=st.just(ACME.as_of),
    shares=values("1", "10000"),
    eps_ttm=values("-20", "40"),
    book_value_per_share=values("-20", "100"),
    fcf_ttm=values("-50000", "90000"),
    cash=values("0", "90000"),
    total_debt=values("0", "90000"),
    dividend_per_share=values("0", "10"),
    gross_margin=values("-0.5", "1"),
    operating_margin=values("-0.5", "1"),
    net_margin=values("-0.5", "1"),
    roe=values("-1", "2"),
    debt_to_equity=values("-1", "4"),
    current_ratio=values("0", "4"),
    revenue_growth_1y=values("-0.5", "0.25"),
    revenue_growth_5y=values("-0.5", "0.25"),
    eps_growth_1y=values("-0.5", "0.25"),
    eps_growth_3y=values("-0.5", "0.25"),
    eps_growth_5y=values("-0.5", "0.25"),
    beta=values("-1", "4"),
)
prices = st.decimals(D("0.5"), D(300), places=2)
UP = (
    "eps_ttm", "fcf_ttm", "cash", "gross_margin", "operating_margin", "net_margin", "roe", "current_ratio",
    "revenue_growth_1y", "revenue_growth_5y", "eps_growth_1y", "eps_growth_3y", "eps_growth_5y",
)  # fmt: skip
DOWN = ("total_debt", "beta")


@settings(max_examples=400)
@given(
    st.sampled_from(Persona),
    figures_of_companies,
    prices,
    st.sampled_from(UP + DOWN),
    st.decimals(D(0), D(20_000), places=3),
)
def test_a_better_figure_never_lowers_a_score(persona, figures, price, name, step):
    was = getattr(figures, name)
    assume(was is not None)
    better = was - step if name in DOWN else was + step
    if "growth" in name:  # beyond 25 % more is not better for Lynch
        better = min(better, measures.SUSTAINABLE)
    if name == "total_debt":
        better = max(better, D(0))
    _never_lower(
        judge(persona, Case(figures, price)), judge(persona, Case(replace(figures, **{name: better}), price))
    )


@settings(max_examples=200)
@given(st.sampled_from(Persona), figures_of_companies, prices, st.decimals(D("0.1"), D("0.99"), places=2))
def test_a_lower_price_never_lowers_a_score(persona, figures, price, part):
    _never_lower(judge(persona, Case(figures, price)), judge(persona, Case(figures, price * part)))


@settings(max_examples=200)
@given(st.sampled_from(Persona), figures_of_companies, prices, values("0", "4"), st.decimals(0, 1, places=3))
def test_less_debt_for_the_equity_never_lowers_a_score(persona, figures, price, ratio, part):
    before = replace(figures, debt_to_equity=ratio)
    after = replace(figures, debt_to_equity=None if ratio is None else ratio * part)
    _never_lower(judge(persona, Case(before, price)), judge(persona, Case(after, price)))


def _never_lower(before, after):
    if before.score is not None and after.score is not None:
        assert after.score >= before.score


@settings(max_examples=200)
@given(st.sampled_from(Persona), figures_of_companies, st.none() | prices)
def test_whatever_is_told_the_score_is_from_0_to_100_and_the_texts_are_short(persona, figures, price):
    verdict = judge(persona, Case(figures, price))
    said = personas.sentences(verdict, "ACME")

    assert verdict.score is None or 0 <= verdict.score <= 100
    assert all(0 <= one.points <= one.of for one in verdict.criteria)
    assert 1 <= len(said) <= 5
    assert max(map(len, said)) <= 400


@pytest.mark.parametrize("persona", Persona)
@pytest.mark.parametrize("value", [D("1e18"), D("-1e18"), D("1e-9"), D(0)])
def test_absurd_figures_break_nothing(persona, value):
    absurd = replace(ACME, **dict.fromkeys(FIGURES, value))
    for price in (D("0.0001"), D("1e9")):
        for figures in (absurd, replace(absurd, shares=D("1e-9")), replace(absurd, eps_ttm=D("1e-9"))):
            assert judge(persona, Case(figures, price)).known >= 0


# --- All together


@pytest.mark.parametrize(
    ("scores", "mean", "agreement", "spread", "words"),
    [
        ((70, 80, 61, 40), 63, 75, 40, "3 of 4 see it above 60."),
        ((70, 80, 61, 90), 75, 100, 29, "All 4 see it above 60."),
        ((10, 20), 15, 100, 10, "All 2 see it below 40."),
        ((70, 80, 10, 20), 45, 50, 70, "They disagree: 2 above 60, 2 below 40."),
        ((60, 40, 50), 50, 100, 20, "All 3 see it between 40 and 60."),
        ((61, 50, 39), 50, 33, 22, "They disagree: 1 above 60, 1 below 40, 1 between 40 and 60."),
    ],
)
def test_the_aggregate_is_the_mean_and_tells_the_agreement(scores, mean, agreement, spread, words):
    found = personas.aggregate(dict(zip(Persona, scores, strict=False)))
    assert (found.score, found.agreement, found.spread, found.words) == (mean, agreement, spread, words)
    assert found.count == len(scores)


@pytest.mark.parametrize("scores", [{}, {Persona.BASIC: 70}])
def test_one_score_is_no_aggregate(scores):
    assert personas.aggregate(scores) is None


def test_a_changed_rule_changes_the_fingerprint(monkeypatch):
    before = {one: personas.fingerprint(one) for one in Persona}
    first, *rest = personas.RULES[Persona.BASIC]
    monkeypatch.setitem(personas.RULES, Persona.BASIC, (replace(first, all_at=D(13)), *rest))
    after = {one: personas.fingerprint(one) for one in Persona}

    assert [one for one in Persona if before[one] != after[one]] == [Persona.BASIC]


@pytest.mark.parametrize(
    ("value", "text"),
    [(D("-0.0004"), "0.0 %"), (D("0.24149"), "24.1 %"), (D("0.2415"), "24.2 %"), (D(12), "1,200.0 %")],
)
def test_percents_are_rounded_half_up(value, text):
    assert measures.percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (D(999), "999"),
        (D(1_250_000_000), "1.25 billion"),
        (D("-3.1e6"), "-3.10 million"),
        (D("2e12"), "2.00 trillion"),
    ],
)
def test_amounts_are_told_in_words(value, text):
    assert measures.amount(value) == text


def test_every_figure_of_the_example_is_known():
    assert [one.name for one in fields(ACME) if getattr(ACME, one.name) is None] == []
