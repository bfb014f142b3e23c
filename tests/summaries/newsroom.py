"""Articles written for the tests, with figures and dates in the forms that newspapers use; and ways to falsify one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from summaries.llm.base import Item

COMPANIES = [
    ("Brightwater Mills", "BWM", "flour", "bakeries"), ("Cobalt Harbour", "CBH", "containers", "shipping lines"),
    ("Dunmore Optics", "DNO", "lenses", "hospitals"), ("Eastgate Rail", "EGR", "locomotives", "freight operators"),
    ("Fernhill Foods", "FHF", "soups", "supermarkets"), ("Glasswing Air", "GWA", "seats", "travellers"),
    ("Hollow Creek Energy", "HCE", "turbines", "utilities"), ("Ironbark Paper", "IBP", "cartons", "publishers"),
    ("Juniper Vale", "JNV", "mattresses", "hotels"), ("Kestrel Semiconductor", "KSL", "wafers", "phone makers"),
    ("Larkspur Games", "LKS", "consoles", "players"), ("Marlow Chemicals", "MLC", "solvents", "painters"),
    ("Northfold Bank", "NFB", "mortgages", "homeowners"), ("Orchard Robotics", "OCR", "grippers", "warehouses"),
    ("Pinecrest Pharma", "PCP", "vaccines", "clinics"), ("Quarry Stone", "QST", "tiles", "builders"),
    ("Redfern Motors", "RFM", "vans", "couriers"), ("Saltmarsh Telecom", "SMT", "routers", "subscribers"),
    ("Tallow Street", "TLS", "candles", "gift shops"), ("Umber Textiles", "UMT", "fabrics", "tailors"),
]  # fmt: skip
MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "sixty": 60, "ninety": 90,
}  # fmt: skip
ORDINALS = ["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
QUARTERS = ["first", "second", "third", "fourth"]
UNITS = ["percent", "million", "billion", "trillion", "thousand", "dollars", "euros", "yen"]
TICKERS = ["AAPL", "MSFT", "ORCL", "XOM", "KO", "NVDA"]

SENTENCES = [
    "{name} sold ${a}.{b} billion of {thing} in the {quarter} quarter of {year}, up {p} percent from a year earlier.",
    "Net income rose {p}.{b}% to ${c},{d:03} million, or ${e}.{b}{e} a share.",
    "The loss at its unit for {buyers} widened to €{c} million from €{d} million.",
    "On {month} {day}, {year}, its board agreed to buy back up to {word} million shares.",
    "{name} ({ticker}) expects sales of {thing} to grow by {p} to {q} percent, not {e}% as it said in {month}.",
    "About {c}0 {buyers} have waited for {word} months, it said on {weekday}.",
    "The {ordinal}-largest maker of {thing} employs {c},{d:03} people in {word} countries.",
    "It will close {word} of {d} plants by {day2} {month2} {year}, a third of its capacity.",
    "Shares fell {e}.{a} points to £{d}.{b}0 at 4:{d2} p.m. on {weekday}.",
    "Its debt is US$ {d} million, or {c} cents for each dollar of sales; the margin was {p}.{e}%.",
    "The K{d}X line of {thing} costs between ${d} and ${c}0, depending on the order of {buyers}.",
    'A spokeswoman for {name} said: "{buyers_up} want {thing}, and we made {d} thousand of them in Q{n}."',
    "Orders doubled in the past {word} years, and half of them came from {buyers}.",
    "Two dozen {buyers} had asked for more {thing}, one of them in {month2}.",
]


@dataclass(frozen=True)
class Story:
    title: str
    sentences: tuple[str, ...]
    symbol: str

    @property
    def text(self):
        return " ".join(self.sentences)

    @property
    def item(self):
        return Item(self.symbol, self.text, self.title, (self.symbol,))


def stories(seed: int = 1) -> list[Story]:
    """One of each company, every time the same for a seed."""
    chance = random.Random(seed)
    return [_story(company, chance) for company in COMPANIES]


def _story(company, chance: random.Random) -> Story:
    name, ticker, thing, buyers = company
    sentences = chance.sample(SENTENCES, 9)
    filled = tuple(sentence.format(**_values(company, chance)) for sentence in sentences)
    return Story(f"{name} says what {buyers} pay for {thing}", filled, ticker)


def _values(company, chance: random.Random):
    name, ticker, thing, buyers = company
    p = chance.randint(11, 40)
    return {
        "name": name, "ticker": ticker, "thing": thing, "buyers": buyers, "buyers_up": buyers.capitalize(),
        "a": chance.randint(1, 9), "b": chance.randint(1, 9), "e": chance.randint(2, 9), "n": chance.randint(1, 4),
        "c": chance.randint(41, 99), "d": chance.randint(101, 999), "d2": chance.randint(10, 59),
        "p": p, "q": p + chance.randint(2, 9), "year": chance.randint(2019, 2027), "day": chance.randint(10, 28),
        "day2": chance.randint(10, 28), "month": chance.choice(MONTHS), "month2": chance.choice(MONTHS),
        "weekday": chance.choice(DAYS), "word": chance.choice(list(WORDS)), "ordinal": chance.choice(ORDINALS),
        "quarter": chance.choice(QUARTERS),
    }  # fmt: skip


@dataclass(frozen=True)
class Falsehood:
    """A sentence in which one thing was changed, and what it was changed into."""

    kind: str
    sentence: str
    now: str


def falsehoods(sentence: str, chance: random.Random) -> Iterator[Falsehood]:
    """Every digit, unit, currency, date, quarter, number word and ticker changed into another, one at a time."""
    for kind, pattern, others in CHANGES:
        for found in pattern.finditer(sentence):
            new = chance.choice([other for other in others if other != found.group()])
            changed = sentence[: found.start()] + new + sentence[found.end() :]
            yield Falsehood(kind, changed, _word_at(changed, found.start(), found.start() + len(new)))


CHANGES = [
    ("digit", re.compile(r"\d"), "123456789"),
    ("digit more", re.compile(r"(?<=\d)(?=[\d.,%\s])"), "123456789"),
    ("point", re.compile(r"(?<=\d)\.(?=\d)"), [""]),
    ("currency", re.compile(r"[$€£]"), "$€£"),
    ("unit", re.compile(rf"(?<=\d )(?:{'|'.join(UNITS)})"), UNITS),
    ("unit", re.compile("(?<=[0-9])%"), [" million", " dollars", " euros"]),
    ("month", re.compile("|".join(MONTHS)), MONTHS),
    ("weekday", re.compile("|".join(DAYS)), DAYS),
    ("quarter", re.compile(rf"\b(?:{'|'.join(QUARTERS)})(?=[ -]quarter)"), QUARTERS),
    ("quarter", re.compile(r"(?<=\bQ)[1-4]"), "1234"),
    ("ordinal", re.compile(rf"\b(?:{'|'.join(ORDINALS)})(?=-)"), ORDINALS),
    ("word", re.compile(rf"\b(?:{'|'.join(WORDS)})\b"), list(WORDS)),
    ("ticker", re.compile(r"(?<![\w&])[A-Z]{3,4}(?![\w&])"), TICKERS),
]


def _word_at(text: str, start: int, end: int) -> str:
    while start and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return text[start:end]


TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[A-Za-z]+")


SPELT = {**WORDS, "one": 1, "fifty": 50, "half": 50}


def tokens(text: str) -> set[str]:
    """Numbers and words in one spelling, so that "two" and "2" are one."""
    found = {_bare(token.replace(",", "").lower()) for token in TOKEN.findall(text)}
    return found | ({"24"} if "dozen" in found else set())


def _bare(token: str) -> str:
    token = str(SPELT.get(token, token)).lstrip("0")
    return token.rstrip("0").rstrip(".") if "." in token else token


def occurs(falsehood: Falsehood, sentence: str, source: str) -> bool:
    """Whether what it was changed into stands elsewhere in the source: then nothing tells that it is false.

    Units and currencies occur everywhere; they are looked for with their number.
    """
    if falsehood.kind in {"unit", "currency"}:
        number, _, unit = falsehood.now.strip(".,").partition(" ")
        spelt = [word for word, value in SPELT.items() if str(value) == number]
        return any(f"{one} {unit}".strip() in source for one in [number, *spelt])
    if falsehood.kind == "quarter" or falsehood.now.startswith("Q"):
        now = falsehood.now.lower().strip('".,')
        asked = next((n for n, word in enumerate(QUARTERS, 1) if now.removeprefix("q") in (str(n), word)), 0)
        return asked > 0 and bool(re.search(rf"Q{asked}|{QUARTERS[asked - 1]}.quarter", source))
    new = tokens(falsehood.now) - tokens(sentence)
    return bool(tokens(falsehood.now)) and new <= tokens(source)
