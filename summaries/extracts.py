"""The sentences of a text that say most of it, as they stand there. Pure.

News tells first what matters, so the first sentences are the summary; the points are those of the rest that hold most
figures and most words that move a price. Nothing is reworded: a sentence is taken whole, or cut at a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from summaries import sentiment, unsafe
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
# What is left of markup in articles that were markup.
LEFT_OVER = re.compile(r"[<>{}|\\^`]|\]\(|\[\[|''|&\w+;")
FIGURE = re.compile(r"[$€£¥] ?\d|\d ?(?:%|percent|per cent)|\d (?:million|billion|trillion)\b|\d{4}")
# Bare, a ticker of one or two letters is a word as often as not.
BARE_LETTERS = 3


def fit(text: str) -> list[str]:
    """The sentences that may be shown, each once."""
    found = dict.fromkeys(cut(sentence) for sentence in split(text[:MOST_CHARS]))
    return [sentence for sentence in found if is_fit(sentence)]


def is_fit(sentence: str) -> bool:
    return len(sentence) >= SHORTEST and not LEFT_OVER.search(sentence) and not unsafe.fault(sentence)


def cut(sentence: str, longest: int = LONGEST) -> str:
    if len(sentence) <= longest:
        return sentence
    head = sentence[: longest - 2]
    return f"{head.rpartition(' ')[0] or head} …"


def lead(sentences: Sequence[str]) -> list[str]:
    """The first two or three."""
    third = len(sentences) >= ENOUGH and sum(map(len, sentences[:LEAD])) <= LEAD_CHARS
    return list(sentences[: LEAD if third else LEAD - 1])


def weight(sentence: str) -> int:
    return 2 * len(FIGURE.findall(sentence)) + len(sentiment.weights_of(sentence))


def best(sentences: Iterable[str], most: int = POINTS, weight_of: Callable[[str], int] = weight) -> list[str]:
    """Those with most to say, in the order in which they stand; of equals the earlier ones."""
    numbered = list(enumerate(sentences))
    chosen = sorted(numbered, key=lambda one: (-weight_of(one[1]), one[0]))[:most]
    return [sentence for _, sentence in sorted(chosen)]


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
