"""What a model wrote is kept only as far as its source says so. Pure.

A sentence with a number, date, quarter or ticker that the source does not have is dropped, and so is one that may not
be shown. A whole text is dropped that belongs to another item of its batch or repeats what the model was told to do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from summaries import unsafe
from summaries.claims import MASK, claims, normal, symbol, without_mark
from summaries.drafts import AnalysisDraft, Draft, EarningsDraft, SummaryDraft
from summaries.likeness import likeness, repeats, stems
from summaries.llm.base import Item
from summaries.sources import FALL, Source

# Of a text that has at least so many words of its own, the source must have at least this share. What is written in
# another language than its source has none, so that only sources in the letters of the text are asked.
LEAST_LIKENESS = 0.15
ENOUGH_STEMS = 8
ENOUGH_SOURCE = 40

EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
STARTS = ("", MASK, ".", "!", "?", ":", ";")
ENDS = ("", MASK, " ")
SENTENCE_END = re.compile(r"[.!?…\"'”)]$")


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of a draft. `claims` and `grounded` count all that it said, also in what was dropped."""

    draft: Draft | None
    claims: int = 0
    grounded: int = 0
    dropped: int = 0
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class _Count:
    claims: int = 0
    grounded: int = 0
    dropped: int = 0
    faults: dict[str, None] = field(default_factory=dict)

    def result(self, draft: Draft | None) -> Checked:
        return Checked(draft, self.claims, self.grounded, self.dropped, tuple(self.faults))


def check(draft: Draft, item: Item, *, others: Sequence[Item] = (), prompt: str = "") -> Checked:
    """The draft without what its item does not say; without any draft when nothing useful is left of it."""
    count = _Count()
    told = _texts(draft)
    source = _source(_text(item), item.symbols, tuple(item.facts.items()))
    if why := _foreign(told, source.text, [_text(other) for other in others], prompt):
        count.faults[why] = None
        for text in told:
            _keep(text, source, count)
        return replace(count.result(None), dropped=len(told))
    kept = _filtered(draft, source, count)
    if not kept.sentences:
        count.faults["nothing is left"] = None
        return count.result(None)
    return count.result(kept)


def _text(item: Item) -> str:
    return f"{item.title}\n{item.text}"


@lru_cache(maxsize=16)
def _source(text: str, symbols: tuple[str, ...], facts: tuple[tuple[str, str], ...]) -> Source:
    """Read once for the several times that it is asked about."""
    return Source(text, symbols, dict(facts))


def _texts(draft: Draft) -> tuple[str, ...]:
    """All that a draft would show."""
    match draft:
        case SummaryDraft():
            return (*draft.sentences, *draft.key_points)
        case EarningsDraft():
            metrics = (f"{metric.name}: {metric.value}" for metric in draft.key_metrics)
            return (*draft.sentences, *metrics, *draft.guidance)
        case AnalysisDraft():
            return draft.sentences


def _foreign(texts: tuple[str, ...], source: str, others: Sequence[str], prompt: str) -> str:
    """Why a whole draft is not of this item. What is dropped anyway does not count for whose it is."""
    if repeats(" ".join(texts), prompt, source):
        return "repeats the prompt"
    told = " ".join(text for text in texts if not unsafe.fault(text))
    own, *rest = likeness(told, [source, *others])
    if rest and max(rest) > own:
        return "belongs to another item"
    is_long = len(stems(told)) >= ENOUGH_STEMS and len(stems(source)) >= ENOUGH_SOURCE
    if is_long and own < LEAST_LIKENESS and source.isascii() == told.isascii():
        return "has too little in common with its source"
    return ""


def _filtered(draft: Draft, source: Source, count: _Count) -> Draft:
    match draft:
        case SummaryDraft():
            return replace(
                draft,
                sentences=_kept(draft.sentences, source, count),
                key_points=_kept(draft.key_points, source, count),
                related=_related(draft.related, source, count),
            )
        case EarningsDraft():
            return replace(
                draft,
                sentences=_kept(draft.sentences, source, count),
                key_metrics=tuple(
                    metric
                    for metric in draft.key_metrics
                    if _keep(f"{metric.name}: {metric.value}", source, count)
                ),
                guidance=_kept(draft.guidance, source, count),
            )
        case AnalysisDraft():
            return replace(draft, sentences=_kept(draft.sentences, source, count))


def _kept(texts: tuple[str, ...], source: Source, count: _Count) -> tuple[str, ...]:
    plain = (EMPHASIS.sub(r"\2", without_mark(text)).strip() for text in texts)
    return tuple(text for text in plain if _keep(text, source, count))


def _keep(text: str, source: Source, count: _Count) -> bool:
    """Whether one sentence may be shown; counts what it claims either way."""
    grounded, total = grounds(text, source)
    count.claims += total
    count.grounded += grounded
    why = unsafe.fault(text) or (
        "" if text and grounded == total else "a claim that the source does not make"
    )
    if why:
        count.dropped += 1
        count.faults[why] = None
    return not why


def grounds(text: str, source: Source) -> tuple[int, int]:
    """How many claims of a sentence the source makes, and how many there are."""
    text = normal(text)
    found = claims(text)
    if not found or is_sentence_of(text, source.text):
        return len(found), len(found)
    falls = bool(FALL.search(text))
    shouts = text.isupper()
    return sum(source.knows(claim, falls=falls, shouts=shouts) for claim in found), len(found)


def is_sentence_of(text: str, source: str) -> bool:
    """Whether it stands there word by word, from the start of a sentence to the end of one."""
    at = source.find(text)
    while at >= 0:
        before, after = source[max(0, at - 4) : at].rstrip(" \"'(")[-1:], source[at + len(text) :][:1]
        if before in STARTS and after in ENDS and (SENTENCE_END.search(text) or after == MASK):
            return True
        at = source.find(text, at + 1)
    return False


def _related(symbols: tuple[str, ...], source: Source, count: _Count) -> tuple[str, ...]:
    kept = tuple(one for one in symbols if symbol(one) in source.symbols)
    count.claims += len(symbols)
    count.grounded += len(kept)
    if len(kept) < len(symbols):
        count.faults["a ticker that the source does not name"] = None
    return kept
