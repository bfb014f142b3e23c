"""How good or bad a text sounds to an investor: a list of words, no more than a hint. Pure.

General lists do not know that a downgrade is bad and that beating estimates is good. Words are compared without their
endings; a negation before one turns it round; what is said in several words ("profit warning") counts as one and its
words do not count again.
"""

from __future__ import annotations

import re
from decimal import Decimal

# "x" and "xs" "xed" "xing" are one word; a listed word is cut in the same way.
ENDINGS = ("ingly", "edly", "ings", "ing", "ied", "ies", "ed", "es", "ly", "s", "e", "y")
SHORTEST = 3
LONGEST_WORD = 30
DOUBLED = frozenset("bdgmnprt")
NEGATIONS = (
    "not no never neither nor without cannot can't won't didn't doesn't don't isn't wasn't aren't weren't hasn't "
    "haven't hadn't wouldn't couldn't fails failed unable hardly"
)
# So many words after a negation are turned round.
REACH = 3
# Where this much stands against nothing, the text is as good (or bad) as half of the scale.
HALF = 2

GOOD = """
beat exceed surpass outperform upgrade raise boost gain rise rose risen climb jump surge soar rally rebound recover
grow growth grew strong strength robust solid improve improvement profit profitable expand expansion
win won award approve approval succeed success successful accelerate momentum outpace upbeat optimistic bullish
confident confidence increase higher advance progress innovative breakthrough resilient reward dividend buyback
opportunity benefit favorable favourable pleased delight excellent milestone stabilize tailwind
"""
BAD = """
miss shortfall downgrade cut fall fell fallen drop decline plunge slump tumble slide sink sank crash loss
weak weakness slow slowdown warning lawsuit sue litigation fraud probe investigate investigation
penalty recall layoff fire bankruptcy bankrupt default impairment writedown write-down delay halt suspend
fear risk concern worry uncertain uncertainty volatile bearish pessimistic disappoint disappointment poor worse worst
decrease lower shrink headwind pressure strike shortage breach hack scandal resign delist allege violate
violation ban reject dispute struggle trouble crisis recession downturn deficit disrupt disruption shutdown
closure eliminate accuse complain abandon adverse unfavorable unfavourable
"""
# Several words, in the order in which they stand; the first that fits is taken.
PHRASES = {
    "profit warning": -3,
    "going concern": -3,
    "chapter 11": -3,
    "price target cut": -2,
    "cuts price target": -2,
    "price target raised": 2,
    "raises price target": 2,
    "cuts guidance": -3,
    "lowers guidance": -3,
    "raises guidance": 3,
    "beats estimates": 3,
    "beats expectations": 3,
    "misses estimates": -3,
    "misses expectations": -3,
    "better than expected": 2,
    "worse than expected": -2,
    "above expectations": 2,
    "below expectations": -2,
    "falls short": -2,
    "all time high": 2,
    "all time low": -2,
    "cost cuts": 0,
    "tax cuts": 1,
    "fine print": 0,
    "risk management": 0,
    "debt reduction": 1,
    "lower costs": 1,
    "higher costs": -1,
    "net loss": -2,
    "job cuts": -2,
    "interest rate": 0,
    "declined to": 0,
    "record high": 2,
    "record low": -2,
}
WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")


def stem(word: str) -> str:
    """Without its endings, and without the letter that was doubled before one: misses, missed and miss are "mis"."""
    if len(word) > LONGEST_WORD:
        return word
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST:
            return stem(word[: -len(ending)])
    is_doubled = len(word) > SHORTEST and word[-1] == word[-2] and word[-1] in DOUBLED
    return word[:-1] if is_doubled else word


WEIGHTS = {stem(word): weight for weight, words in ((1, GOOD), (-1, BAD)) for word in words.split()}
PHRASE_WEIGHTS = {tuple(stem(word) for word in phrase.split()): weight for phrase, weight in PHRASES.items()}
TURNING = {stem(word) for word in NEGATIONS.split()}
LONGEST = max(len(phrase) for phrase in PHRASE_WEIGHTS)


def score(text: str) -> Decimal:
    """From -1 to 1 in hundredths; 0 where nothing of the list occurs."""
    weights = weights_of(text)
    good = sum(weight for weight in weights if weight > 0)
    bad = -sum(weight for weight in weights if weight < 0)
    return (Decimal(good - bad) / (good + bad + HALF)).quantize(Decimal("0.01"))


def weights_of(text: str) -> list[int]:
    """Of each word or phrase of the list that occurs, in order, negations heeded."""
    words = WORD.findall(text.lower().replace("’", "'"))
    stems = [stem(part) for word in words for part in word.split("-")]
    found, at, turned_until = [], 0, -1
    while at < len(stems):
        weight, length = _weight_at(stems, at)
        if stems[at] in TURNING:
            turned_until = at + REACH
        elif weight:
            found.append(-weight if at <= turned_until else weight)
        at += length
    return found


def _weight_at(stems: list[str], at: int) -> tuple[int, int]:
    for length in range(LONGEST, 1, -1):
        weight = PHRASE_WEIGHTS.get(tuple(stems[at : at + length]))
        if weight is not None:
            return weight, length
    return WEIGHTS.get(stems[at], 0), 1
