"""What a source knows: whether a claim of a text written about it occurs in it, in whatever form. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction

from summaries.amounts import CURRENCIES, HARD, PART, PERCENT, SCALES, TIMES, Amount, Rank
from summaries.claims import CAPITALS, MASK, Claim, Name, Reading, Scale, Symbol, claims, normal, symbol
from summaries.periods import MONTHS, Clock, Moment, Period

# A number this large is the same one though its currency is not said again.
LARGE = 100_000

# "-5 %" and "fell 5 %" are the same; "-5 %" and "rose 5 %" are not.
FALL = re.compile(
    r"(?<!\w)(?:fall|fell|drop|decline|decreas|down|lose|losing|loss|lost|los[st]es|cut|shrank|shrink|shrunk|shed|slid|slip"
    r"|slump|tumbl|plung|sank|sink|negative|minus|deficit|lower|reduc|weak|retreat|dip|contract|below|less|fewer|worse"
    r"|outflow|write-?down|impair)",
    re.IGNORECASE,
)
NEAR = 100

WORD = re.compile(r"[^\W_]+")
SMALL_WORDS = frozenset({"of", "the", "and", "for", "&", "de", "in", "on"})


class Source:
    """The claims of a text, its tickers, and the figures that we computed for it."""

    def __init__(
        self, text: str, symbols: tuple[str, ...] = (), facts: Mapping[str, str] | None = None
    ) -> None:
        facts = facts or {}
        told = [f"{name}: {value}" for name, value in facts.items()]
        # What stands on two lines is no one number.
        self.text = MASK.join(line for part in (*text.split("\n"), *told) if (line := normal(part)))
        self.amounts: dict[Fraction, set[str]] = defaultdict(set)
        self.moments: dict[tuple[int | None, int | None], set[int | None]] = defaultdict(set)
        self.periods: dict[tuple[str, int], set[int | None]] = defaultdict(set)
        self.years: set[int] = set()
        self.clocks: set[Clock] = set()
        self.ranks: set[int] = set()
        self.names = {word for word in WORD.findall(self.text.lower()) if not word.isalpha()}
        self.symbols = {symbol(found) for found in CAPITALS.findall(self.text)} | _spellings(symbols)
        self.words = frozenset(WORD.findall(self.text.lower()))
        self.initials = _initials(self.text)
        self._falls = [found.start() for found in FALL.finditer(self.text)]
        for number, month in enumerate(MONTHS, 1):
            if month.capitalize() in self.text:
                self.moments[(number, None)].add(None)
        for claim in claims(self.text):
            self._learn(claim)
        self.figures = _figures(facts)

    def _learn(self, claim: Claim) -> None:
        at = bisect_left(self._falls, claim.start - NEAR)
        is_near_fall = at < len(self._falls) and self._falls[at] < claim.end + NEAR
        for reading in claim.readings:
            match reading:
                case Amount(value, unit):
                    self.amounts[value].add(unit)
                    if value > 0 and is_near_fall:
                        self.amounts[-value].add(unit)
                case Rank(number):
                    self.ranks.add(number)
                case Name(text):
                    self.names.add(text)
                case Symbol(text):
                    self.symbols.add(text)
                case Scale(name):
                    self.names.add(name)
                case _:
                    self._learn_time(reading)

    def _learn_time(self, reading: Reading) -> None:
        match reading:
            case Moment(year, month, day):
                self.years |= {year} if year else set()
                self.moments[(month, day)].add(year)
                self.moments[(month, None)].add(year)
            case Period(kind, number, year):
                self.years |= {year} if year else set()
                self.periods[(kind, number)].add(year)
            case Clock():
                self.clocks.add(reading)

    def knows(self, claim: Claim, *, falls: bool = False, shouts: bool = False) -> bool:
        """Whether one of its readings occurs. `falls`: the sentence tells of a loss; `shouts`: it is in capitals."""
        return any(self._knows(reading, falls=falls, shouts=shouts) for reading in claim.readings)

    def _knows(self, reading: Reading, *, falls: bool, shouts: bool) -> bool:
        match reading:
            case Amount(value):
                return self._has(reading) or (falls and value > 0 and self._has(Amount(-value, reading.unit)))
            case Rank(number):
                return number in self.ranks
            case Name(text):
                return text in self.names
            case Scale(name):
                return name in self.names or any(abs(value) >= SCALES[name] for value in self.amounts)
            case Symbol(text):
                return (
                    text in self.symbols or text in self.initials or (shouts and text.lower() in self.words)
                )
            case _:
                return self._knows_time(reading)

    def _knows_time(self, reading: Reading) -> bool:
        match reading:
            case Moment(year, None, None):
                return year in self.years
            case Moment(year, month, day):
                return self._dated(self.moments.get((month, day)), year)
            case Period(kind, number, year):
                return self._dated(self.periods.get((kind, number)), year)
            case Clock(hour, minute, half):
                return any((hour, minute) == (c.hour, c.minute) and half in {c.half, ""} for c in self.clocks)
        return False

    def _dated(self, years: set[int | None] | None, year: int | None) -> bool:
        """A year may be told elsewhere in the source than at the date."""
        if years is None:
            return False
        return year is None or year in years or (None in years and year in self.years)

    def _has(self, amount: Amount) -> bool:
        return self._has_unit(amount) or any(map(self._has_unit, _same(amount))) or self._has_figure(amount)

    def _has_unit(self, amount: Amount) -> bool:
        units = self.amounts.get(amount.value, set())
        if amount.unit in units:
            return True
        if amount.unit in HARD or " " in amount.unit:
            return False
        if amount.unit:
            # Told without a unit, and not with another one.
            return units - HARD == {""}
        return bool(units - HARD) or (abs(amount.value) >= LARGE and bool(units & CURRENCIES))

    def _has_figure(self, amount: Amount) -> bool:
        """A rate that we computed is the same as a fraction and as a percentage."""
        if amount.unit == PERCENT:
            return Amount(amount.value / 100) in self.figures
        return amount.unit == "" and Amount(amount.value * 100, PERCENT) in self.figures


def _same(amount: Amount) -> list[Amount]:
    """A half is 50 percent; what doubles rises by 100 percent."""
    value = amount.value
    if amount.unit == PART:
        return [Amount(value * 100, PERCENT), Amount(value)]
    if amount.unit == PERCENT:
        return [Amount(value / 100, PART), Amount(value / 100 + 1, TIMES)]
    if amount.unit == TIMES:
        return [Amount((value - 1) * 100, PERCENT)]
    return [Amount(value, PART)] if 0 < value < 1 else []


def _figures(facts: Mapping[str, str]) -> frozenset[Amount]:
    found = (
        reading for value in facts.values() for claim in claims(normal(value)) for reading in claim.readings
    )
    return frozenset(reading for reading in found if isinstance(reading, Amount))


def _spellings(symbols: tuple[str, ...]) -> set[str]:
    """A ticker with and without what follows its point or dash."""
    whole = {symbol(one) for one in symbols}
    return whole | {one.partition("-")[0] for one in whole}


def _initials(text: str) -> str:
    """The first letters of names, for "ECB" where the source writes it out; others leave a gap."""
    letters = []
    for word in re.findall(r"[^\W\d_]+|[.!?]|&", text):
        if word[0].isupper():
            letters.append(word[0])
        elif word not in SMALL_WORDS:
            letters.append(" ")
    return "".join(letters)
