"""The sentences of a text that say most of it, as they stand there. Pure.

News tells first what matters, so the first sentences are the summary; the points are those of the rest that hold most
figures and most words that move a price. Nothing is reworded: a sentence is taken whole, or cut at a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from summaries import sentiment
from summaries.sentences import split

# What a reader takes in at one glance; a longer sentence is cut at a word.
LONGEST = 390
SHORTEST = 20
LEAD = 3
POINTS = 5
# A third sentence only where the two before it are short, and enough is left for points.
LEAD_CHARS = 450
ENOUGH = 6
# Of a longer text only the beginning is looked at.
MOST_CHARS = 200_000
# Whoever reads these cannot tell them from a sentence that somebody smuggled in.
UNFIT = re.compile(
    r"https?:|www\.|[<>{}|\\^`]|\]\(|\[\[|''|!\[|&\w+;|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
FIGURE = re.compile(r"[$€£¥] ?\d|\d ?(?:%|percent|per cent)|\d (?:million|billion|trillion)\b|\d{4}")
# Bare, a ticker of one or two letters is a word as often as not.
BARE_LETTERS = 3


def fit(text: str) -> list[str]:
    """The sentences that may be shown, each once."""
    found = dict.fromkeys(sentence for sentence in split(text[:MOST_CHARS]) if is_fit(sentence))
    return [cut(sentence) for sentence in found]


def is_fit(sentence: str) -> bool:
    return len(sentence) >= SHORTEST and not UNFIT.search(sentence)


def cut(sentence: str, longest: int = LONGEST) -> str:
    if len(sentence) <= longest:
        return sentence
    head = sentence[: longest - 2]
    return f"{head.rpartition(' ')[0] or head} …"


def lead(sentences: Sequence[str]) -> list[str]:
    """The first two or three."""
    third = len(sentences) >= ENOUGH and sum(map(len, sentences[:LEAD])) <= LEAD_CHARS
    return list(sentences[: LEAD if third else LEAD - 1])


def best(sentences: Iterable[str], most: int = POINTS) -> list[str]:
    """Those with most to say, in the order in which they stand; of equals the earlier ones."""
    numbered = list(enumerate(sentences))
    chosen = sorted(numbered, key=lambda one: (-weight(one[1]), one[0]))[:most]
    return [sentence for _, sentence in sorted(chosen)]


def weight(sentence: str) -> int:
    return 2 * len(FIGURE.findall(sentence)) + len(sentiment.weights_of(sentence))


def named(symbols: Iterable[str], text: str) -> list[str]:
    """Those of the tickers that the text has: AAPL, $A, (NYSE: A)."""
    return [symbol for symbol in dict.fromkeys(symbols) if is_named(symbol, text)]


def is_named(symbol: str, text: str) -> bool:
    # BRK-B, BRK.B and BRK/B are one.
    spelled = re.sub(r"[^A-Z0-9]", "[-./]", symbol)
    marked = r"\$|\b(?:NASDAQ|NYSE|AMEX|NYSEARCA|LSE|TSX|OTC\w*)(?: \w+)? ?: ?"
    optional = "?" if len(symbol) >= BARE_LETTERS else ""
    return (
        re.search(rf"(?<![\w.])(?:{marked}){optional}(?<![A-Za-z0-9]){spelled}(?!\w|-[A-Z0-9])", text)
        is not None
    )
