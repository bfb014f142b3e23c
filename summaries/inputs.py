"""The figures that an analysis is made of, and when they count as changed. Pure.

Two analyses have the same inputs when they have the same hash. It is made of the persona with its rules, the figures
that the persona looks at, the currency, and the price's step on a grid whose steps are 2 % wide. Of a figure its first
three digits count, of beta the hundredths, since vendors work some of them out of the price each day; neither dates nor
sources count, since the same values told anew are no news.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import TypedDict

from marketdata.company import FIGURES, Fundamentals
from marketdata.quotes import price_text
from summaries import personas
from summaries.kinds import Persona
from summaries.measures import amount, money, number, percent

PRICE, CURRENCY = "price", "currency"
STEP = Decimal("0.02")
_WIDTH = (1 + STEP).ln()
_BETA = Decimal("0.01")
_DIGITS = Context(prec=3, rounding=ROUND_HALF_EVEN)


class Stored(TypedDict):
    """One input as its row keeps it."""

    value: str
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class Input:
    """One figure as it is shown, and as programs read it."""

    name: str
    value: str
    as_of: date | datetime
    source: str
    key: str
    raw: str


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of a company at one moment, and who told it."""

    figures: Fundamentals
    figures_source: str
    price: Decimal
    price_as_of: datetime
    price_source: str


def _ratio(value: Decimal) -> str:
    return number(value, 2)


_NAMES: Mapping[str, tuple[str, Callable[[Decimal], str]]] = {
    PRICE: ("Price", price_text),
    "shares": ("Shares", amount),
    "eps_ttm": ("Earnings per share, four quarters", money),
    "book_value_per_share": ("Book value per share", money),
    "revenue_per_share_ttm": ("Revenue per share, four quarters", money),
    "fcf_ttm": ("Free cash flow, four quarters", amount),
    "cash": ("Cash", amount),
    "total_debt": ("Debt", amount),
    "dividend_per_share": ("Dividend per share, a year", money),
    "gross_margin": ("Gross margin", percent),
    "operating_margin": ("Operating margin", percent),
    "net_margin": ("Net margin", percent),
    "roe": ("Return on equity", percent),
    "roa": ("Return on assets", percent),
    "debt_to_equity": ("Debt to equity", _ratio),
    "current_ratio": ("Current ratio", _ratio),
    "revenue_growth_1y": ("Revenue growth, one year", percent),
    "revenue_growth_5y": ("Revenue growth, five years", percent),
    "eps_growth_1y": ("Earnings growth, one year", percent),
    "eps_growth_3y": ("Earnings growth, three years", percent),
    "eps_growth_5y": ("Earnings growth, five years", percent),
    "beta": ("Beta", _ratio),
}


def bucket(price: Decimal) -> int:
    """The step of a price on the grid: floor(ln(price) / ln(1.02))."""
    return int((price.ln() / _WIDTH).to_integral_value(ROUND_FLOOR))


def hash_of(persona: Persona, known: Known) -> str:
    """64 hexadecimal digits; see the head of this module."""
    told = [f"{name}={_hashed(name, value)}" for name, value in _told(persona, known.figures)]
    parts = [persona.value, personas.fingerprint(persona), known.figures.currency, *told]
    parts.append(f"{PRICE}~{bucket(known.price)}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _told(persona: Persona, figures: Fundamentals) -> list[tuple[str, Decimal]]:
    """The figures that this persona looks at and that are known, in one order."""
    uses = personas.USES[persona]
    pairs = ((name, getattr(figures, name)) for name in FIGURES if name in uses)
    return [(name, value) for name, value in pairs if value is not None]


def _hashed(name: str, value: Decimal) -> str:
    return _plain(value.quantize(_BETA) if name == "beta" else _DIGITS.plus(value))


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f") if value else "0"


def stored(persona: Persona, known: Known) -> dict[str, Stored]:
    """As the row of an analysis keeps them."""
    day, source = known.figures.as_of.isoformat(), known.figures_source
    inputs: dict[str, Stored] = {
        PRICE: {
            "value": price_text(known.price),
            "as_of": known.price_as_of.isoformat(),
            "source": known.price_source,
        },
        CURRENCY: {"value": known.figures.currency, "as_of": day, "source": source},
    }
    for name, value in _told(persona, known.figures):
        inputs[name] = {"value": _plain(value), "as_of": day, "source": source}
    return inputs


def are_alike(before: Mapping[str, Stored], now: Mapping[str, Stored]) -> bool:
    """Whether nothing has changed that matters: the same figures, and a price that moved by 2 % at most."""
    if _values(before) != _values(now) or PRICE not in before:
        return False
    was, is_ = Decimal(before[PRICE]["value"]), Decimal(now[PRICE]["value"])
    return abs(is_ - was) <= STEP * was


def _values(inputs: Mapping[str, Stored]) -> dict[str, str]:
    return {
        name: _hashed(name, Decimal(one["value"])) if name in FIGURES else one["value"]
        for name, one in inputs.items()
        if name != PRICE
    }


def shown(inputs: Mapping[str, Stored]) -> tuple[Input, ...]:
    """As they are to be written, in one order; what another version kept and this one does not know is left out."""
    currency = inputs[CURRENCY]["value"] if CURRENCY in inputs else ""
    return tuple(_shown(name, inputs[name], currency) for name in _NAMES if name in inputs)


_IN_MONEY = frozenset({PRICE, "fcf_ttm", "cash", "total_debt"})


def _shown(key: str, one: Stored, currency: str) -> Input:
    name, written = _NAMES[key]
    text = written(Decimal(one["value"]))
    if currency and (key in _IN_MONEY or written is money):
        text = f"{text} {currency}"
    when = datetime.fromisoformat(one["as_of"]) if key == PRICE else date.fromisoformat(one["as_of"])
    return Input(name, text, when, one["source"], key, one["value"])
