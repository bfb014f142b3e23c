"""What a text claims that can be looked up: numbers, dates, quarters, times, tickers and names with digits. Pure.

The same reading is used for a source and for what a model wrote of it, so that a sentence of the source always finds
itself. Each kind is taken out of the text before the next is looked for: the 5 of "March 5" is no number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from summaries import amounts, periods
from summaries.amounts import Amount, Rank
from summaries.periods import Clock, Moment, Period

MASK = "\x00"
# What can be told before a number of a list, and is none.
LIST_MARK = re.compile(r"^\s*(?:[-*•–]\s+|\(?\d{1,2}\)\s+|\d{1,2}\.\s+(?=\D))")

WEEKDAY = re.compile(r"(?<!\w)(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day(?!\w)")
# Versions, addresses: digits with more than one point, more of them than a number has, or grouped as none is.
VERSION = re.compile(r"(?<![\w.])\d+(?:\.\d+){2,}(?![\w])|(?<!\w)\d{19,}(?!\w)|(?<![\w.,])\d+,\d{4,}(?!\d)")
# Letters and digits in one word (A5, MP3, 5G, 1990s), unless it is a number with its unit.
MIXED = re.compile(
    r"(?<![\w])(?=[^\W\d_]*\d)(?=\d*[^\W\d_])"
    r"(?!\d+(?:k|mn|mm|m|bn|b|tn|t|x|st|nd|rd|th|pp|bps?|yrs?|hrs?|kg|km|[gmt][bw]|[万萬亿億兆]|тыс|млн|млрд)(?![^\W_]))"
    r"(?!(?:usd|eur|gbp|jpy|cny|inr|chf|krw|cad|aud|hkd|rmb|rs)\d)"
    r"[^\W_]+(?![^\W_])",
    re.IGNORECASE,
)

EXCHANGES = (
    r"NASDAQ(?:GS|GM|CM)?|NYSE(?:\s?Arca|\s?American)?|AMEX|OTC(?:QB|QX|MKTS)?"
    r"|LSE|TSXV?|ASX|HKEX|SEHK|TYO|FRA|ETR|EPA"
)
TICKER = re.compile(
    rf"(?<![\w$])\$(?P<cash>[A-Za-z]{{1,6}}(?:[.-][A-Za-z]{{1,2}})?)(?![\w$])"
    rf"|(?:{EXCHANGES})\s?:\s?(?P<listed>[A-Za-z0-9]{{1,8}}(?:[.-][A-Za-z]{{1,2}})?)(?!\w)"
    r"|(?<![\w.])(?P<abroad>\d{3,6}\.[A-Z]{1,2})(?!\w)"
    r"|\((?P<single>[A-Z])\)"
)
CAPITALS = re.compile(
    r"(?<![\w&])(?<!\w[.'])(?:[A-Z]{2,6}(?:[.-][A-Z]{1,2}|&[A-Z]{1,3})?|[A-Z]&[A-Z]{1,3})(?![\w&]|[-.][A-Z])"
)
# "Millions" tell no number, but not that it was thousands.
VAGUE = re.compile(
    r"(?<!\w)(?:multi-?)?(hundred|thousand|million|billion|trillion|dozen)(?:s|aires?)?(?!\w)",
    re.IGNORECASE,
)
# Capitals that a text may use though its source writes them in full. None is looked up.
COMMON = frozenset(
    re.findall(
        r"[A-Z]+",
        """CEO CFO COO CTO CIO US USA UK EU UN UAE AI IT PC TV PR HR IP VR AR ID OS IPO GDP CPI PMI EPS ETF
        ESG SEC FTC DOJ FDA FAA FCC IRS EPA FED ECB IMF WTO OPEC NATO NYSE AMEX LSE TSX ASX NASDAQ DJIA EBIT
        EBITDA FCF GAAP IFRS PE ROE ROA ROI ROIC DCF PEG CAGR YOY QOQ TTM FY AM PM ET EST EDT PST PDT UTC
        GMT USD EUR GBP JPY CNY INR CHF KRW CAD AUD HKD RMB LLC LTD PLC INC AG SA NV SE OK NB PS AND OR NOT
        THE OF TO IN ON BY FOR AT IS NO""",
    )
) | {"R&D", "M&A", "P&L", "Q&A", "S&P"}


@dataclass(frozen=True, slots=True)
class Name:
    """A word that is looked up as it is: a weekday, a version, a name with digits."""

    text: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """A ticker, or capitals that may be one."""

    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Thousands, millions: how many is not said."""

    name: str


Reading = Amount | Rank | Moment | Period | Clock | Name | Symbol | Scale


@dataclass(frozen=True, slots=True)
class Claim:
    """One place of a text; the source must know one of the readings."""

    start: int
    end: int
    readings: tuple[Reading, ...]


def normal(text: str) -> str:
    """Digits, fractions, dashes and quotes in one form, on one line."""
    text = re.sub(r"(?<=\d)\s?([½¼¾])", lambda half: PARTS[half.group(1)][1:], text)
    text = re.sub(r"[½¼¾]", lambda half: PARTS[half.group()], text)
    folded = unicodedata.normalize("NFKC", text).translate(FORMS).replace(MASK, " ")
    return " ".join(folded.split())


PARTS = {"½": "0.5", "¼": "0.25", "¾": "0.75"}
FORMS = str.maketrans(
    {"−": "-", "‐": "-", "‑": "-", "‒": "–", "―": "—", "’": "'", "‘": "'", "“": '"', "”": '"'}
)


def without_mark(text: str) -> str:
    """Without the bullet or number of a list at its start."""
    return LIST_MARK.sub("", text)


def symbol(text: str) -> str:
    """BRK.B and BRK-B are one."""
    return text.upper().replace(".", "-")


def claims(text: str) -> list[Claim]:
    """All that a text (already normal) claims, in the order of the kinds."""
    found: list[Claim] = []
    for look in LOOKS:
        taken = list(_apart(look(text)))
        found += taken
        text = _masked(text, taken)
    return found


def _apart(found: Iterable[Claim]) -> Iterator[Claim]:
    """Without what overlaps something before it."""
    spans: list[tuple[int, int]] = []
    for one in found:
        if not spans or one.start >= spans[-1][1] or (one.start, one.end) == spans[-1]:
            spans.append((one.start, one.end))
            yield one


def _masked(text: str, taken: list[Claim]) -> str:
    kept, at = [], 0
    for one in taken:
        if one.start >= at:
            kept += [text[at : one.start], MASK * (one.end - one.start)]
            at = one.end
    return "".join([*kept, text[at:]])


def _versions(text: str) -> Iterator[Claim]:
    for found in VERSION.finditer(text):
        yield Claim(*found.span(), (Name(found.group()),))


def _weekdays(text: str) -> Iterator[Claim]:
    for found in WEEKDAY.finditer(text):
        yield Claim(*found.span(), (Name(found.group().lower()),))


def _mixed(text: str) -> Iterator[Claim]:
    for found in MIXED.finditer(text):
        yield Claim(*found.span(), (Name(found.group().lower()),))


def _tickers(text: str) -> Iterator[Claim]:
    for found in TICKER.finditer(text):
        yield Claim(*found.span(), (Symbol(symbol(found.group(found.lastgroup or 0))),))


def _capitals(text: str) -> Iterator[Claim]:
    for found in CAPITALS.finditer(text):
        if found.group() not in COMMON:
            yield Claim(*found.span(), (Symbol(symbol(found.group())),))


def _vague(text: str) -> Iterator[Claim]:
    for found in VAGUE.finditer(text):
        yield Claim(*found.span(), (Scale(found.group(1).lower()),))


def _of(found: Iterable[amounts.Found]) -> Iterator[Claim]:
    for one in found:
        readings: list[Reading] = [*one.readings]
        first = one.readings[0]
        if one.is_plain_integer and isinstance(first, Amount) and 1800 <= first.value < 2200:
            readings.append(Moment(year=int(first.value)))
        yield Claim(one.start, one.end, tuple(readings))


def _when(spells: Iterable[periods.Spell]) -> Iterator[Claim]:
    for spell in spells:
        for readings in spell.moments:
            yield Claim(spell.start, spell.end, readings)


LOOKS: tuple[Callable[[str], Iterator[Claim]], ...] = (
    _tickers,
    *(lambda text, reader=reader: _when(periods.spells(text, reader)) for reader in periods.READERS),
    _versions,
    _mixed,
    _weekdays,
    lambda text: _when(periods.months_alone(text)),
    lambda text: _of(amounts.parts(text)),
    lambda text: _of(amounts.ranks(text)),
    lambda text: _of(amounts.multiples(text)),
    lambda text: _of(amounts.amounts(text)),
    lambda text: _of(amounts.halves(text)),
    _vague,
    _capitals,
)
