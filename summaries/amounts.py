"""Numbers as people write them, so that "$1,200 million" and "1.2bn dollars" are the same one. Pure.

Money, percents, counts, spans of time, multiples, parts and ranks. A number is read with the unit next to it; in
"10 to 12 percent" both numbers have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

TIMES = "x"
PART = "part"
PERCENT = "%"
CURRENCIES = frozenset({"USD", "EUR", "GBP", "JPY", "CNY", "INR", "CHF", "KRW", "CAD", "AUD", "HKD", "NZD", "SGD"}) | {
    "TWD", "SEK", "BRL", "MXN", "RUB",
}  # fmt: skip
HARD = CURRENCIES | {PERCENT, "pp", "bp", TIMES, PART}
"""Units that a number cannot do without. All others may be told elsewhere in a sentence."""


@dataclass(frozen=True, slots=True)
class Amount:
    value: Fraction
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Rank:
    """Third, 12th."""

    number: int


@dataclass(slots=True)
class Found:
    """One number in a text."""

    start: int
    end: int
    readings: list[Amount | Rank]
    is_plain_integer: bool = False
    """Digits alone, as a year is written."""
    scale: Fraction = Fraction(1)
    has_unit_after: bool = False


def _words(text: str) -> list[str]:
    return text.split()


SMALL = {word: value for value, word in enumerate(_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
))}  # fmt: skip
TENS = {
    word: 10 * value
    for value, word in enumerate(_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}
ORDINALS = {word: value for value, word in enumerate(_words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
    " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
), 1)}  # fmt: skip
SCALES = {
    **dict.fromkeys(_words("hundred"), 100),
    **dict.fromkeys(_words("dozen"), 12),
    **dict.fromkeys(_words("thousand k тыс"), 10**3),
    **dict.fromkeys(_words("万 萬"), 10**4),
    **dict.fromkeys(_words("lakh"), 10**5),
    **dict.fromkeys(_words("million millions m mn mln mm mio millionen млн"), 10**6),
    **dict.fromkeys(_words("crore"), 10**7),
    **dict.fromkeys(_words("亿 億"), 10**8),
    **dict.fromkeys(_words("billion billions bn bln b mrd milliarden milliards млрд"), 10**9),
    **dict.fromkeys(_words("trillion trillions tn trn t 兆"), 10**12),
}
SIGNS = {
    "US$": "USD", "C$": "CAD", "CA$": "CAD", "CDN$": "CAD", "A$": "AUD", "AU$": "AUD", "HK$": "HKD", "NZ$": "NZD",
    "S$": "SGD", "NT$": "TWD", "R$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW",
    "₽": "RUB", "RMB": "CNY", "RS": "INR", "RS.": "INR", **{code: code for code in CURRENCIES},
}  # fmt: skip
# After a number. Cents are hundredths of a dollar.
UNITS = {
    r"percentage[\s-]points?|pp\b|pts?\b": "pp",
    r"%|percent|per\s+cent|per-cent|pct\b\.?|prozent": PERCENT,
    r"basis[\s-]points?|bps?\b": "bp",
    r"x\b|times\b|-?fold\b": TIMES,
    r"canadian\s+dollars?|CAD\b": "CAD",
    r"australian\s+dollars?|AUD\b": "AUD",
    r"hong\s+kong\s+dollars?|HKD\b": "HKD",
    r"new\s+zealand\s+dollars?|NZD\b": "NZD",
    r"singapore\s+dollars?|SGD\b": "SGD",
    r"taiwan(?:ese)?\s+dollars?|TWD\b": "TWD",
    r"(?:U\.?S\.?\s+)?dollars?\b|USD\b|US\$|\$": "USD",
    r"cents?\b|¢": "cent",
    r"euros?\b|EUR\b|€": "EUR",
    r"(?:british\s+)?pounds?\b|GBP\b|£|sterling": "GBP",
    r"(?:japanese\s+)?yen\b|JPY\b": "JPY",
    r"yuan\b|renminbi\b|RMB\b|CNY\b": "CNY",
    r"rupees?\b|INR\b": "INR",
    r"(?:swiss\s+)?francs?\b|CHF\b": "CHF",
    r"(?:south\s+korean\s+)?won\b(?=\s*[,.;)]|\s+\()|KRW\b": "KRW",
    r"kron(?:or|a|er)\b|SEK\b": "SEK",
    r"reais\b|BRL\b": "BRL",
    r"pesos?\b|MXN\b": "MXN",
    r"rubles?\b|roubles?\b|RUB\b": "RUB",
    r"years?\b|yrs?\b": "year",
    r"months?\b": "month",
    r"weeks?\b": "week",
    r"days?\b": "day",
    r"hours?\b|hrs?\b": "hour",
    r"minutes?\b|mins?\b": "minute",
    r"seconds?\b": "second",
    r"quarters?\b": "quarter",
    r"decades?\b": "decade",
    r"kilomet(?:er|re)s?\b|km\b": "km",
    r"miles?\b": "mile",
    r"(?:kilogram|kilo)s?\b|kg\b": "kg",
    r"tonn?es?\b|tons?\b": "ton",
    r"barrels?\b": "barrel",
    r"gallons?\b": "gallon",
    r"gigabytes?\b|GB\b": "GB",
    r"megabytes?\b|MB\b": "MB",
    r"terabytes?\b|TB\b": "TB",
    r"gigawatts?\b|GW\b": "GW",
    r"megawatts?\b|MW\b": "MW",
    r"acres?\b": "acre",
    r"inch(?:es)?\b": "inch",
    r"feet\b|foot\b": "foot",
}
UNIT_NAMES = list(UNITS.values())

_TENS = f"(?:{'|'.join(TENS)})(?:[\\s-](?:{'|'.join(list(SMALL)[1:10])}))?"
_SMALL = f"(?:{_TENS}|{'|'.join(sorted(SMALL, key=len, reverse=True))})"
_SPELT = rf"(?:(?:{_SMALL}|a)\s+hundred(?:\s+(?:and\s+)?{_SMALL})?|{_SMALL})\b"
_DIGITS = (
    r"(?:\d{1,3}(?:,\d{3})+(?![\d])|\d{1,3}(?:[ ']\d{3})+(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?!\d)|\d{1,18})"
    r"(?:\.\d{1,12}|,\d{1,2}(?![\d,]))?"
)
_LONG_SCALES = "|".join(
    sorted((name for name in SCALES if len(name) > 2 or not name.isascii()), key=len, reverse=True)
)
_CODES = "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True) if sign[0].isalpha())
AMOUNT = re.compile(
    r"(?P<paren>\(\s?)?"
    r"(?P<minus>(?<![\w.,)])[-−–]|(?<!\w)(?:minus|negative)\s)?"
    rf"(?:(?P<sign>(?<!\w)(?:{_CODES})|[$€£¥₹₩₽])\s?(?P<minus2>[-−])?)?"
    rf"(?:(?P<digits>(?<![\d])(?:{_DIGITS}|\.\d{{1,12}}))|(?<!\w)(?P<spelt>{_SPELT})|(?<!\w)(?P<one>half\s+an?|half|an?)(?=[\s-]+(?:{_LONG_SCALES})\b))"
    r"\+?(?P<and_half>\s+and\s+a\s+half)?"
    rf"(?:(?P<short>k|mn|mm|m|bn|b|tn|(?-i:T))(?![^\W_])|(?P<scale>(?:[\s-]*(?:{_LONG_SCALES})(?![^\W_])|\s(?:bn|mn|tn)\b){{1,2}}))?"
    rf"(?:[\s-]?(?:{'|'.join(f'({unit})' for unit in UNITS)}))?",
    re.IGNORECASE,
)
FIRST_UNIT = AMOUNT.groups - len(UNITS) + 1
# "No. 2" is the second.
NUMBERED = re.compile(r"(?:(?<!\w)no\.?|number|#)\s?$", re.IGNORECASE)
# What joins two numbers that share a unit.
JOINED = re.compile(
    r"\s*(?:-|–|—|to|and|or|,|through|versus|vs\.?|from|/)\s*(?:and|or|to)?\s*(?:about|over|nearly)?\s*"
)

PARTS = {
    "half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10,
}  # fmt: skip
FRACTION = re.compile(
    rf"(?<!\w)(?<!and\s)(?P<top>an?|{'|'.join(list(SMALL)[1:10])})[\s-](?P<bottom>{'|'.join(PARTS)})s?\b"
    r"(?![\s-]+(?:quarter|half|million|billion|dozen))|(?<![\w/])(?P<n>\d{1,2})[⁄/](?P<d>\d{1,2})(?![\d/])",
    re.IGNORECASE,
)
HALF = re.compile(r"(?<!\w)half(?!\w)|(?<!\w)halv(?:ed|es|ing)\b", re.IGNORECASE)
MULTIPLES = {
    r"twice|two-?fold|doubl(?:e|ed|es|ing)(?!-digit)": 2,
    r"three-?fold|tripl(?:e|ed|es|ing)|trebl(?:e|ed|es|ing)|thrice": 3,
    r"four-?fold|quadrupl(?:e|ed|es|ing)": 4,
}
MULTIPLE = re.compile(rf"(?<!\w)(?:{'|'.join(f'({words})' for words in MULTIPLES)})\b", re.IGNORECASE)
# "First" and "second" alone mostly count nothing.
RANK = re.compile(
    rf"(?<![\w.,])(?P<digits>\d{{1,4}})(?:st|nd|rd|th)\b|(?<!\w)(?P<word>{'|'.join(list(ORDINALS)[2:])}|second(?=-))(?!\w)",
    re.IGNORECASE,
)


def ranks(text: str) -> Iterator[Found]:
    for found in RANK.finditer(text):
        word = found.group("word")
        number = ORDINALS[word.lower()] if word else int(found.group("digits"))
        yield Found(*found.span(), [Rank(number)])


def parts(text: str) -> Iterator[Found]:
    """A third, two thirds, 1/2; "a third" may be a rank, "three quarters" a span of time."""
    for found in FRACTION.finditer(text):
        if found.group("d"):
            readings = _slashed(int(found.group("n")), int(found.group("d")))
        else:
            readings = _spelt_part(found.group("top").lower(), found.group("bottom").lower())
        if readings:
            yield Found(*found.span(), readings)


def _slashed(top: int, bottom: int) -> list[Amount | Rank]:
    return [Amount(Fraction(top, bottom), PART)] if 0 < top < bottom else []


def _spelt_part(top: str, bottom: str) -> list[Amount | Rank]:
    count = SMALL.get(top, 1)
    readings: list[Amount | Rank] = [Amount(Fraction(count, PARTS[bottom]), PART)]
    if bottom == "quarter":
        readings.append(Amount(Fraction(count), "quarter"))
    elif top in {"a", "an", "one"} and bottom != "half":
        readings.append(Rank(PARTS[bottom]))
    return readings


def multiples(text: str) -> Iterator[Found]:
    for found in MULTIPLE.finditer(text):
        yield Found(
            *found.span(), [Amount(Fraction(list(MULTIPLES.values())[(found.lastindex or 1) - 1]), TIMES)]
        )


def halves(text: str) -> Iterator[Found]:
    for found in HALF.finditer(text):
        yield Found(*found.span(), [Amount(Fraction(1, 2), PART)])


def amounts(text: str) -> list[Found]:
    """All numbers, each with what it may mean, after what else has digits has been taken out."""
    found = [one for match in AMOUNT.finditer(text) if (one := _amount(match))]
    for one, other in reversed([*pairwise(found)]):
        if JOINED.fullmatch(text, one.end, other.start):
            _share(one, other)
    return found


def _amount(match: re.Match[str]) -> Found | None:
    unit = _unit(match)
    scale = _scale(match)
    spelt = (match.group("spelt") or "").lower()
    if spelt in {"one", "zero"} and not unit and scale == 1:
        return None  # "one of them" counts nothing
    value = _value(match) * scale
    if match.group("and_half"):
        value += Fraction(1, 2) * scale
    if unit == "cent":
        value, unit = value / 100, "USD"
    digits = match.group("digits") or ""
    readings = _signed(match, Amount(value, unit))
    if (
        not unit
        and value.denominator == 1
        and NUMBERED.search(match.string, max(0, match.start() - 8), match.start())
    ):
        readings.append(Rank(int(value)))
    return Found(
        match.start(),
        match.end(),
        readings,
        is_plain_integer=digits.isdigit() and not unit and scale == 1,
        scale=scale,
        has_unit_after=(match.lastindex or 0) >= FIRST_UNIT,
    )


def _signed(match: re.Match[str], amount: Amount) -> list[Amount | Rank]:
    """Accountants put what is lost into brackets, others put there what they say in passing."""
    below = replace(amount, value=-amount.value)
    if match.group("minus") or match.group("minus2"):
        return [below]
    closes = match.string[match.end() : match.end() + 1] == ")"
    return [amount, below] if match.group("paren") and closes else [amount]


def _unit(match: re.Match[str]) -> str:
    after = UNIT_NAMES[last - FIRST_UNIT] if (last := match.lastindex or 0) >= FIRST_UNIT else ""
    before = SIGNS[sign.upper()] if (sign := match.group("sign")) else ""
    if before and after in HARD - {before}:
        return f"{before} {after}"  # nobody knows what "$5 percent" is
    return before or after


def _scale(match: re.Match[str]) -> Fraction:
    if short := match.group("short"):
        return Fraction(SCALES[short.lower()])
    scale = Fraction(1)
    for name in re.findall(r"[^\W_]+", (match.group("scale") or "").lower()):
        scale *= SCALES[name]
    return scale


def _value(match: re.Match[str]) -> Fraction:
    if digits := match.group("digits"):
        return Fraction(_decimal(digits))
    if spelt := match.group("spelt"):
        return Fraction(_spelt(spelt.lower()))
    return Fraction(1, 2) if "half" in match.group("one").lower() else Fraction(1)


def _decimal(digits: str) -> str:
    """With a point, and without what groups the digits."""
    digits = digits.replace(" ", "").replace("'", "")
    if digits.count(".") > 1:
        digits = digits.replace(".", "")
    head, comma, tail = digits.rpartition(",")
    if comma and len(tail) < 3 and "." not in digits:
        return f"{head.replace(',', '')}.{tail}"
    return digits.replace(",", "")


def _spelt(words: str) -> int:
    value = 0
    for word in re.findall(r"[a-z]+", words):
        value = value * 100 if word == "hundred" else value + {**SMALL, **TENS, "a": 1}.get(word, 0)
    return value


def _share(one: Found, other: Found) -> None:
    """What stands at one number of a range counts for both."""
    first, second = one.readings[0], other.readings[-1]
    if not (isinstance(first, Amount) and isinstance(second, Amount)) or one.has_unit_after:
        return
    scale = other.scale if one.scale == 1 else Fraction(1)
    unit = first.unit or second.unit
    if scale != 1 or unit != first.unit:
        one.readings.append(Amount(first.value * scale, unit))
        one.is_plain_integer = one.is_plain_integer and not second.unit
    if not second.unit and first.unit:
        other.readings.append(replace(second, unit=first.unit))
