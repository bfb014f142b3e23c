"""Dates, quarters, halves of a year and times of day, in the forms in which people write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
NUMBERS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "one": 1, "two": 2, "three": 3, "four": 4, "1st": 1, "2nd": 2,
    "3rd": 3, "4th": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """As much of a date as is said."""

    year: int | None = None
    month: int | None = None
    day: int | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """A quarter or a half of a year, calendar or fiscal."""

    kind: str
    number: int
    year: int | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    hour: int
    minute: int = 0
    half: str = ""
    """"a" or "p" where it is said."""


Moments = tuple[tuple[Moment | Period | Clock, ...], ...]
"""Each is one claim, with the readings that are possible of it."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One place of a text that speaks of a time."""

    start: int
    end: int
    moments: Moments


Reader = tuple[re.Pattern[str], Callable[[re.Match[str]], Moments]]


_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_DAY = r"\d{1,2}(?!\d)(?:st|nd|rd|th)?"
_NO_AMOUNT = r"(?!\s?(?:%|percent|per\s+cent|million|billion|thousand)|[.:]\d|,(?!(?:19|20)\d\d(?!\d))\d)"
_NEXT = rf"(?:\s*(?:-|–|—|to|and|or|until|through)\s*(?P<next>\d{{1,2}})(?!\d)(?:st|nd|rd|th)?{_NO_AMOUNT})?"
_FISCAL = r"(?:(?:fiscal|financial|calendar)\s+)?(?:year\s+)?"
_LATER = (
    rf"(?:,?\s+(?:of\s+|in\s+)?(?:the\s+)?(?:{_FISCAL}|FY\s?){_YEAR}"
    r"|\s*,?\s*(?:of\s+)?(?:FY\s?|fiscal\s+|')'?(?P<short>\d\d)(?!\d))?"
)

MONTH_DAY = re.compile(
    rf"(?<!\w){_MONTH}\s+(?P<day>{_DAY}){_NO_AMOUNT}{_NEXT}(?:(?:,\s?|\s){_YEAR})?", re.IGNORECASE
)
DAY_MONTH = re.compile(
    rf"(?<![\w.,$€£])(?P<day>{_DAY}){_NEXT}(?:\s+of)?[\s-]+{_MONTH}(?:[\s,-]+{_YEAR})?(?!\w)", re.IGNORECASE
)
MONTH_YEAR = re.compile(rf"(?<!\w){_MONTH},?\s+(?:of\s+)?{_YEAR}{_NO_AMOUNT}", re.IGNORECASE)
ISO = re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)[-/](?P<month>\d\d)[-/](?P<day>\d\d)(?!\d)")
SLASHED = re.compile(r"(?<![\d/])(?P<one>\d{1,2})[/.](?P<two>\d{1,2})[/.](?P<year>(?:19|20)?\d\d)(?![\d/])")
# "March" and "May" are other words too.
_BEFORE_MAY = re.findall(
    "[a-z]+",
    "in of since by last next this until early late from to a the during before after between and or",
)
MONTH_ALONE = re.compile(
    r"(?<!\w)(?:January|February|April|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Apr|Aug|Sept?|Oct|Nov|Dec)\.|(?:(?<=[a-z,]\s)|(?<=-))March"
    rf"|(?:(?<=-)|{'|'.join(f'(?<=(?i:{word}) )' for word in _BEFORE_MAY)})May)(?!\w)"
)

_WORD = r"first|second|third|fourth|1st|2nd|3rd|4th"
QUARTER = re.compile(
    rf"(?<!\w)(?:(?P<before>(?:19|20)\d\d)(?:'s)?\s+)?(?:Q\s?(?P<q>[1-4])|(?P<q2>[1-4])Q|quarter\s+(?P<q3>[1-4]|one|two|three|four)"
    rf"|(?P<word>{_WORD})(?:\s*(?:,|and|or|to)\s*(?:the\s+)?(?P<next>{_WORD}))?[\s-]+(?:fiscal|calendar|financial)?\s*quarters?)"
    rf"(?:(?P<glued>\d\d)(?!\d)|{_LATER})(?!\w)",
    re.IGNORECASE,
)
HALF_YEAR = re.compile(
    rf"(?<!\w)(?:(?P<before>(?:19|20)\d\d)\s+)?(?:H(?P<q>[12])|(?P<q2>[12])H|(?P<word>first|second|1st|2nd)[\s-]+half)"
    rf"(?:(?P<glued>\d\d)(?!\d)|{_LATER})(?!\w)",
    re.IGNORECASE,
)
FISCAL_YEAR = re.compile(
    rf"(?<!\w)(?:FY\s?'?|(?:fiscal|financial)(?:\s+year)?\s+){_YEAR}|(?<!\w)FY\s?'?(?P<short>\d\d)(?!\d)",
    re.IGNORECASE,
)
TIME = re.compile(
    r"(?<![\d:.,])(?P<hour>[01]?\d|2[0-4])(?::(?P<minute>[0-5]\d)(?!\d)(?::[0-5]\d)?(?:\s?(?P<half>[ap])\.?m\b\.?)?"
    r"|\s?(?P<half2>[ap])(?:m\b|\.m\.))",
    re.IGNORECASE,
)


def spells(text: str, reader: Reader) -> Iterator[Spell]:
    """Those of one form; what was read by one reader is not to be read by the next."""
    pattern, read = reader
    for found in pattern.finditer(text):
        if moments := read(found):
            yield Spell(*found.span(), moments)


def months_alone(text: str) -> Iterator[Spell]:
    for found in MONTH_ALONE.finditer(text):
        yield Spell(*found.span(), ((Moment(month=_month(found.group())),),))


def _month(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name[:3].lower()))


def _year(found: re.Match[str]) -> int | None:
    """The year that a period or date belongs to; two digits are of this century."""
    groups = found.groupdict()
    if year := groups.get("year") or groups.get("before"):
        return int(year)
    short = groups.get("short") or groups.get("glued")
    return 2000 + int(short) if short else None


def _day(found: re.Match[str]) -> Moments:
    name = found.group("month")
    if name.lower() in {"may", "march", "mar"} and name[0].islower():
        return ()  # "the 5 may still come"
    days = [int(re.sub(r"\D", "", found.group("day")))]
    if last := found.group("next"):
        days.append(int(last))
    return tuple((Moment(_year(found), _month(name), day),) for day in days)


def _month_of_year(found: re.Match[str]) -> Moments:
    return ((Moment(_year(found), _month(found.group("month"))),),)


def _iso(found: re.Match[str]) -> Moments:
    return ((Moment(int(found.group("year")), int(found.group("month")), int(found.group("day"))),),)


def _slashed(found: re.Match[str]) -> Moments:
    """The month comes first in the United States, and second elsewhere."""
    one, two, year = (int(found.group(name)) for name in ("one", "two", "year"))
    year += 2000 if year < 100 else 0
    readings = [
        Moment(year, month, day) for month, day in ((one, two), (two, one)) if month <= 12 and day <= 31
    ]
    return (tuple(dict.fromkeys(readings)),) if readings else ()


def _quarter(found: re.Match[str]) -> Moments:
    first = found.group("q") or found.group("q2") or found.group("q3") or found.group("word")
    numbers = [number for number in (first, found.group("next")) if number]
    return tuple((Period("Q", _number(number), _year(found)),) for number in numbers)


def _half_year(found: re.Match[str]) -> Moments:
    number = found.group("q") or found.group("q2") or found.group("word")
    return ((Period("H", _number(number), _year(found)),),)


def _number(name: str) -> int:
    return int(name) if name.isdigit() else NUMBERS[name.lower()]


def _fiscal_year(found: re.Match[str]) -> Moments:
    return ((Moment(_year(found)),),)


def _clock(found: re.Match[str]) -> Moments:
    half = (found.group("half") or found.group("half2") or "").lower()
    return ((Clock(int(found.group("hour")), int(found.group("minute") or 0), half),),)


READERS: tuple[Reader, ...] = (
    (ISO, _iso),
    (SLASHED, _slashed),
    (TIME, _clock),
    (QUARTER, _quarter),
    (HALF_YEAR, _half_year),
    (MONTH_DAY, _day),
    (DAY_MONTH, _day),
    (MONTH_YEAR, _month_of_year),
    (FISCAL_YEAR, _fiscal_year),
)
