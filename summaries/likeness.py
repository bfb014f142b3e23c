"""To which of several sources a text belongs, by the words that they share; whether it repeats a prompt. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

# So many words in a row are no accident.
RUN = 8
CANARY = re.compile(r"(?<![^\W_])(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])[^\W_]{10,}")

WORD = re.compile(r"[^\W_]+")
COMMON = frozenset(
    re.findall(
        r"[a-z]+",
        """a about according added after again all also although am among an and another any are around as at be because
        been before being between both but by can company could did do does during each even every first for from had
        has have he her here him his how however i if in into is it its just last like made make many may more most
        much new no not now of off on one only or other our out over own said same say says she should since so some
        still such than that the their them then there these they this those through time to told two under until up
        us use very was way we well were what when where which while who will with would year years you your""",
    )
)
# Endings are cut off, so that "acquired" and "acquisition" share a stem more often than not.
STEM = 6


def words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


@lru_cache(maxsize=64)
def stems(text: str) -> frozenset[str]:
    """What the words of a text start with, without those that every text has."""
    return frozenset(
        word[:STEM] for word in words(text) if word not in COMMON and (len(word) > 2 or word.isdigit())
    )


def likeness(text: str, sources: Sequence[str]) -> list[float]:
    """Of each source the share (0 to 1) of the text that it has; what fewer of them have counts for more."""
    asked = stems(text)
    known = [stems(source) for source in sources]
    weights = {
        stem: math.log(1 + len(known) / sum(stem in one for one in known)) for stem in asked & _any(known)
    }
    # Words that no source has are as rare as can be.
    unknown = len(asked) - len(weights)
    total = math.fsum(weights.values()) + unknown * math.log(1 + len(known))
    return [math.fsum(weights[stem] for stem in asked & one) / total if total else 0.0 for one in known]


def _any(known: Sequence[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*known)


@lru_cache(maxsize=16)
def _runs(text: str) -> frozenset[tuple[str, ...]]:
    told = words(text)
    return frozenset(tuple(told[at : at + RUN]) for at in range(len(told) - RUN + 1))


def repeats(text: str, prompt: str, source: str = "") -> bool:
    """Whether it holds eight words in a row of the prompt, or a mark that was put into the prompt to be found."""
    said = words(text)
    runs = _runs(prompt)
    if any(tuple(said[at : at + RUN]) in runs for at in range(len(said) - RUN + 1)):
        return True
    squeezed = "".join(said)
    return any(mark.casefold() in squeezed and mark not in source for mark in CANARY.findall(prompt))
