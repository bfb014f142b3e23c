"""Figures that a company reported and what it expects, found in a transcript by their wording. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from summaries import extracts
from summaries.drafts import Metric

METRICS = 8
# What a reported figure counts beside other numbers and words.
OF_FIGURE = 4
MONEY = (
    r"(?:US)?[$€£¥] ?\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion|trillion)|(?:bn|mn|m|b|k)\b)?"
    r"(?: per (?:diluted )?share)?"
    r"|\d[\d,]*(?:\.\d+)? (?:(?:thousand|million|billion|trillion) )?(?:dollars|euros|pounds|yen|francs|cents)\b"
    r"(?: per (?:diluted )?share)?"
)
PERCENT = r"\d+(?:\.\d+)? ?(?:%|percent\b|per cent\b)"
AMOUNT = (
    r"(?:total |net |quarterly |record )*(?:revenues?|sales)\b"
    r"|(?:(?:non-)?GAAP |adjusted |diluted |basic )*EPS\b"
    r"|(?:(?:non-)?GAAP |adjusted |diluted |basic )*(?:(?:net )?(?:earnings|income|loss) per (?:diluted )?share\b)"
    r"|(?:(?:non-)?GAAP |adjusted )*(?:net|operating) (?:income|profit|loss)\b"
    r"|(?:adjusted )?EBITDA\b|(?:free|operating) cash flow\b|capital expenditures?\b|backlog\b"
)
MARGIN = r"(?:(?:non-)?GAAP |adjusted )*(?:gross|operating|net|profit) margins?\b"
# Between a name and its figure: no other figure, and not half a paragraph.
GAP = r"[^$€£¥%\d?;]{0,60}?(?:(?:Q[1-4]|20\d\d|quarter|year)[^$€£¥%\d?;]{0,40}?)?"
PATTERNS = (
    re.compile(rf"\b(?P<name>{AMOUNT}){GAP}(?P<value>{MONEY})", re.IGNORECASE),
    re.compile(rf"\b(?P<name>{MARGIN}){GAP}(?P<value>{PERCENT})", re.IGNORECASE),
    re.compile(rf"(?P<value>{MONEY}) (?:in|of) (?P<name>{AMOUNT})", re.IGNORECASE),
    re.compile(
        rf"\b(?P<name>{AMOUNT}) (?:was |were )?(?P<change>grew|rose|increased|up|fell|declined|decreased|down)"
        rf"[^$€£¥%\d?;]{{0,30}}?(?P<value>{PERCENT})",
        re.IGNORECASE,
    ),
)
AHEAD = re.compile(
    r"\b(?:expect(?:s|ing)?|anticipat(?:e|es|ing)|forecast(?:s|ing)?|guidance|outlook|guid(?:e|ing) (?:to|for)"
    r"|looking ahead|full[- ]year|next (?:quarter|year)|we (?:plan|intend|aim|target)"
    r"|(?:will|should) (?:be|grow|fall|rise|reach|come))\b",
    re.IGNORECASE,
)
# What every call says, whatever the quarter was like.
COURTESY = re.compile(
    r"forward-looking|\boperator\b|question-and-answer|\bwelcome\b|\bthank|good (?:morning|afternoon|evening|day)\b"
    r"|conference call|\bwebsite\b|press release|\bslides?\b|differ materially"
    r"|turn (?:the call|it) over|\bGAAP measures\b|^you\b",
    re.IGNORECASE,
)
# "Jane Doe (Chief Financial Officer): ", or with a comma or a dash, before what she says.
SPEAKER = re.compile(
    r"^(?:(?:[A-Z][\w.'’-]* ){1,5}(?:\([^)\n]{1,80}\)|[A-Z][\w.'’-]*(?: \([^)\n]{1,80}\)| ?[,–—-]+ [^:\n]{1,80})?)"
    r"|Operator|Moderator|Analyst|Question|Answer) ?: (?=[A-Z\d\"“$€£])",
    re.MULTILINE,
)


def without_speakers(text: str) -> str:
    """The same without who says it."""
    return SPEAKER.sub("", text)


def statements(sentences: Iterable[str]) -> list[str]:
    """Sentences that tell something: no questions, no courtesies, no half of a sentence."""
    return [
        one
        for one in sentences
        if not one.rstrip("\"'”’)").endswith("?") and not one[:1].islower() and not COURTESY.search(one)
    ]


def headlines(sentences: Sequence[str], most: int) -> list[str]:
    """The sentences that tell most of a quarter, in their order.

    A figure of a name that was told before is that of a part of the company, and would mislead by itself.
    """
    told = metrics(sentences)

    def weight(sentence: str) -> int:
        found = metrics([sentence])
        new = sum(metric in told for metric in found)
        return OF_FIGURE * (new or -len(found)) + extracts.weight(sentence)

    return extracts.best(sentences, most, weight)


def is_ahead(sentence: str) -> bool:
    """Whether it speaks of the time to come."""
    return AHEAD.search(sentence) is not None


def metrics(sentences: Iterable[str]) -> list[Metric]:
    """Each figure by the name it was given: the first one told of that name, what follows is of a part of it."""
    found: dict[str, Metric] = {}
    for sentence in sentences:
        for name, metric in _metrics_of(sentence):
            found.setdefault(name, metric)
    return list(found.values())[:METRICS]


def _metrics_of(sentence: str) -> Iterator[tuple[str, Metric]]:
    for pattern in PATTERNS:
        for match in pattern.finditer(sentence):
            parts = match.groupdict()
            told = f"{parts['name']} {parts['change']}" if parts.get("change") else parts["name"]
            yield parts["name"].lower(), Metric(told[:1].upper() + told[1:], parts["value"].strip())
