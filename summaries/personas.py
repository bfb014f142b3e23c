"""In whose style a ticker is looked at: criteria with points, of which the score is the sum. Pure.

What is not known is left out, and the score is of what is known; below `LEAST_KNOWN` there is none. A better figure
never lowers a score. The thresholds and their sources stand in docs/design/analyses.md. A score is a figure about a
ticker, never advice: nobody of that name has said anything of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from summaries import measures, valuation
from summaries.kinds import Persona
from summaries.measures import Case, Measure, Measured

LABELS: dict[Persona, str] = {
    Persona.BASIC: "General",
    Persona.BUFFETT: "In the style of Warren Buffett",
    Persona.LYNCH: "In the style of Peter Lynch",
    Persona.DCF: "Discounted cash flow",
}
_PHRASES: dict[Persona, str] = {
    Persona.BASIC: "by its general figures",
    Persona.BUFFETT: "in the style of Warren Buffett",
    Persona.LYNCH: "in the style of Peter Lynch",
    Persona.DCF: "by its discounted cash flows",
}
# Percent of the points that must be decidable for a score.
LEAST_KNOWN = 60
HIGH, LOW = 60, 40
# To be raised when a formula changes; what a rule itself says is in `fingerprint` already.
FORMULAS = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """One criterion: no points at `none_at`, all at `all_at`, in proportion between, whichever is the larger."""

    name: str
    of: int
    none_at: Decimal
    all_at: Decimal
    measure: Measure
    words: str
    """How the two thresholds are told."""


def _rule(name: str, of: int, span: tuple[str, str], measure: Measure, words: str = "") -> Rule:
    none_at, all_at = map(Decimal, span)
    if not words:
        words = f"none at {none_at * 100:.0f} %, all from {all_at * 100:.0f} %"
    return Rule(name, of, none_at, all_at, measure, words)


RULES: dict[Persona, tuple[Rule, ...]] = {
    Persona.BASIC: (
        _rule("P/E", 20, ("40", "12"), measures.pe, "none at 40, all up to 12"),
        _rule("Free cash flow yield", 10, ("0.01", "0.07"), measures.fcf_yield),
        _rule("Return on equity", 10, ("0", "0.20"), measures.roe),
        _rule("Net margin", 10, ("0", "0.20"), measures.net_margin),
        _rule("Revenue growth", 10, ("0", "0.15"), measures.revenue_growth),
        _rule("Earnings growth", 10, ("0", "0.15"), measures.earnings_growth),
        _rule("Debt to equity", 10, ("2", "0.5"), measures.debt_to_equity, "none at 2, all up to 0.5"),
        _rule("Current ratio", 10, ("0.8", "2"), measures.current_ratio, "none at 0.8, all from 2"),
        _rule("Dividend", 10, ("0", "0.04"), measures.dividend, "all from a covered yield of 4 %"),
    ),
    Persona.BUFFETT: (
        _rule("Return on equity", 20, ("0.05", "0.20"), measures.roe),
        _rule("Debt to equity", 10, ("1.5", "0.3"), measures.debt_to_equity, "none at 1.5, all up to 0.3"),
        _rule("Years to repay debt", 10, ("8", "3"), measures.repayment, "none at 8 years, all up to 3"),
        _rule("Gross margin", 10, ("0.20", "0.40"), measures.gross_margin),
        _rule("Operating margin", 5, ("0.05", "0.20"), measures.operating_margin),
        _rule("Net margin", 10, ("0.05", "0.20"), measures.net_margin),
        _rule("Free cash flow yield", 5, ("0", "0.05"), measures.fcf_yield),
        _rule("Earnings yield", 10, ("0.03", "0.08"), measures.earnings_yield),
        _rule(
            "Margin of safety",
            20,
            ("0.8", "1.4"),
            measures.safety,
            "none at 0.8 times the price, all from 1.4",
        ),
    ),
    Persona.LYNCH: (
        _rule("PEG", 25, ("2", "0.5"), measures.peg, "none at 2, all up to 0.5"),
        _rule(
            "Growth and dividend by P/E",
            15,
            ("0.5", "2"),
            measures.growth_and_yield,
            "none at 0.5, all from 2",
        ),
        _rule(
            "Earnings growth",
            20,
            ("0", "0.15"),
            measures.sustainable_growth,
            "all from 15 to 25 %, less beyond",
        ),
        _rule("P/E", 10, ("40", "15"), measures.pe, "none at 40, all up to 15"),
        _rule("Debt to equity", 20, ("1", "0.25"), measures.debt_to_equity, "none at 1, all up to 0.25"),
        _rule("Net cash", 10, ("0", "0.2"), measures.net_cash, "none without, all from 20 % of the price"),
    ),
    Persona.DCF: (
        _rule(
            "Value by price", 60, ("0.6", "1.4"), measures.upside, "none at 0.6 times the price, all from 1.4"
        ),
        _rule("Other assumptions", 25, ("0", "1"), measures.robustness, "all in 9 of 9 cases"),
        _rule(
            "Worst case", 15, ("0.5", "1"), measures.worst_case, "none at half the price, all from the price"
        ),
    ),
}

_VALUE = ("fcf_ttm", "shares", "total_debt", "cash", "debt_to_equity", "book_value_per_share", "beta")
_GROWTH = ("revenue_growth_5y", "revenue_growth_1y", "eps_growth_5y", "eps_growth_3y", "eps_growth_1y")
USES: dict[Persona, frozenset[str]] = {
    Persona.BASIC: frozenset(
        {
            *_GROWTH,
            *("eps_ttm", "fcf_ttm", "shares", "roe", "book_value_per_share", "net_margin"),
            *("debt_to_equity", "total_debt", "current_ratio", "dividend_per_share"),
        }
    ),
    Persona.BUFFETT: frozenset(
        {*_VALUE, *_GROWTH, "eps_ttm", "roe", "gross_margin", "operating_margin", "net_margin"}
    ),
    Persona.LYNCH: frozenset(
        {
            *("eps_ttm", "eps_growth_5y", "eps_growth_3y", "eps_growth_1y", "dividend_per_share"),
            *("debt_to_equity", "book_value_per_share", "total_debt", "shares", "cash"),
        }
    ),
    Persona.DCF: frozenset({*_VALUE, *_GROWTH}),
}
"""The figures of `marketdata.company.Fundamentals` that each looks at, besides the price."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What came of one rule."""

    name: str
    points: int
    of: int
    text: str
    """One sentence with the figure."""
    figure: str = ""
    """The figure as it is to be written."""
    rule: str = ""
    """When there are how many points."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a persona makes of a case. `score` is None where too little is known."""

    persona: Persona
    score: int | None
    criteria: tuple[Criterion, ...]
    known: int
    """Percent of the points that could be decided."""
    missing: tuple[str, ...]
    """The criteria that were left out."""
    remark: str = ""


def judge(persona: Persona, case: Case) -> Verdict:
    rules = RULES[persona]
    found = [(rule, rule.measure(case)) for rule in rules]
    criteria = tuple(_criterion(rule, measured) for rule, measured in found if measured is not None)
    missing = tuple(rule.name for rule, measured in found if measured is None)
    most = sum(one.of for one in criteria)
    known = _rounded(Decimal(most) * 100 / sum(rule.of for rule in rules))
    score = None
    if known >= LEAST_KNOWN:
        score = _rounded(Decimal(sum(one.points for one in criteria)) * 100 / most)
    return Verdict(persona, score, criteria, known, missing, _remark(persona, case))


def _criterion(rule: Rule, measured: Measured) -> Criterion:
    return Criterion(
        rule.name, _points(rule, measured.value), rule.of, measured.text, measured.figure, rule.words
    )


def _points(rule: Rule, value: Decimal | None) -> int:
    if value is None:
        return 0
    share = (value - rule.none_at) / (rule.all_at - rule.none_at)
    return _rounded(rule.of * min(max(share, Decimal(0)), Decimal(1)))


def _rounded(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_HALF_UP))


class Category(StrEnum):
    """Lynch's kinds of companies, as far as growth alone tells them."""

    SHRINKING = "a company whose earnings shrink"
    SLOW = "a slow grower"
    STALWART = "a stalwart"
    FAST = "a fast grower"


def category(growth: Decimal) -> Category:
    for least, kind in (
        (Decimal("0.20"), Category.FAST),
        (Decimal("0.08"), Category.STALWART),
        (Decimal(0), Category.SLOW),
    ):
        if growth >= least:
            return kind
    return Category.SHRINKING


def _remark(persona: Persona, case: Case) -> str:
    """What a persona adds to its criteria."""
    if persona is Persona.LYNCH:
        known = measures.earnings_growth_of(case.figures)
        return f"By its growth it is {category(known[0]).value}." if known else ""
    if persona is Persona.DCF:
        return _assumed(case)
    return ""


def _assumed(case: Case) -> str:
    fcf = case.figures.fcf_ttm
    if fcf is not None and fcf <= 0:
        return f"{measures.BURNS[:-1]}, so no value can be worked out from it."
    estimate = measures.estimate_of(case.figures)
    if estimate is None:
        return ""
    percent = measures.percent
    return (
        f"Assumed are growth of {percent(estimate.growth)} that fades to {percent(valuation.TERMINAL_GROWTH)} "
        f"over {valuation.YEARS} years and a required return of {percent(estimate.discount)}; "
        f"{percent(estimate.worth.beyond)} of the value lies beyond these years."
    )


def sentences(verdict: Verdict, symbol: str) -> list[str]:
    """What the figures say, at most five sentences, without any model."""
    if verdict.score is None:
        return [why_not(verdict)]
    best = max(verdict.criteria, key=lambda one: (Decimal(one.points) / one.of, one.of))
    worst = min(verdict.criteria, key=lambda one: (Decimal(one.points) / one.of, -one.of))
    said = [f"{symbol} has {verdict.score} of 100 points {_PHRASES[verdict.persona]}.", verdict.remark]
    said += [f"Best: {best.text}"] if best.points else []
    is_weak = worst.points < worst.of and (worst != best or not best.points)
    said += [f"Weakest: {worst.text}"] if is_weak else []
    said += [f"Not known and left out: {', '.join(verdict.missing)}."] if verdict.missing else []
    return [one for one in said if one]


def why_not(verdict: Verdict) -> str:
    """Why there is no score."""
    if verdict.persona is Persona.DCF and verdict.remark:
        return verdict.remark
    return f"Too little is known for a score; what is missing: {', '.join(verdict.missing)}."


def fingerprint(persona: Persona) -> str:
    """Changes with whatever the persona's score depends on besides its inputs."""
    rules = [(rule.name, rule.of, str(rule.none_at), str(rule.all_at)) for rule in RULES[persona]]
    return hashlib.sha256(f"{FORMULAS} {LEAST_KNOWN} {rules}".encode()).hexdigest()[:12]


# --- All of them together


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The mean of several scores, and how far they agree."""

    score: int
    agreement: int
    """Percent of them on the side where most are: above 60, below 40 or between."""
    spread: int
    """From the lowest to the highest."""
    words: str
    count: int


def aggregate(scores: Mapping[Persona, int]) -> Aggregate | None:
    """None for fewer than two: there is nothing to agree about."""
    values = list(scores.values())
    if len(values) < 2:
        return None
    sides = Counter(map(_side, values)).most_common()
    return Aggregate(
        score=_rounded(Decimal(sum(values)) / len(values)),
        agreement=_rounded(Decimal(sides[0][1]) * 100 / len(values)),
        spread=max(values) - min(values),
        words=_words(sides, len(values)),
        count=len(values),
    )


def _side(score: int) -> str:
    if score > HIGH:
        return f"above {HIGH}"
    return f"below {LOW}" if score < LOW else f"between {LOW} and {HIGH}"


def _words(sides: Sequence[tuple[str, int]], count: int) -> str:
    most = sides[0][1]
    if most == count:
        return f"All {count} see it {sides[0][0]}."
    if len(sides) > 1 and sides[1][1] == most:
        return f"They disagree: {', '.join(f'{number} {side}' for side, number in sorted(sides))}."
    return f"{most} of {count} see it {sides[0][0]}."
