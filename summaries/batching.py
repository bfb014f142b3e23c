"""Reading what a model answered for several items: by id and never by position. Pure, never raises.

Tolerant of what stands around the JSON (prose, fences, one envelope per item, an end that is cut off); strict about
what is in it: a wrong type is a missing item, an id that was not asked for is nobody's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from summaries.drafts import AnalysisDraft, Draft, EarningsDraft, Metric, SummaryDraft
from summaries.kinds import Task
from summaries.llm.base import Question

MOST_TEXT = 1_000_000
# Characters that may be read again while JSON is searched in prose, and what each try costs at least.
EFFORT = 4 * MOST_TEXT
LEAST_EFFORT = 16

MOST_SENTENCES = 3
MOST_ANALYSIS_SENTENCES = 5
MOST_POINTS = 5
MOST_METRICS = 12
MOST_GUIDANCE = 5
MOST_RELATED = 10
LONGEST_SENTENCE = 400
LONGEST_NAME = 80

START = re.compile(r"[{\[]")
ENVELOPE = re.compile(r'\{\s*"items"')
TICKER = re.compile(r"[A-Z0-9][A-Z0-9.:/=^-]{0,19}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read. `faults` are words of ours, never the model's."""

    found: Mapping[str, Draft]
    missing: tuple[str, ...]
    """The ids that were asked for and have no draft, in the order of the question."""
    faults: tuple[str, ...] = ()


class _Useless(Exception):
    """An item that is not of the shape that was asked for."""


def read(text: str, question: Question) -> Reading:
    """The drafts of a model's answer by id."""
    faults: dict[str, None] = {}
    found: dict[str, Draft | None] = {}
    for item in _items(text[:MOST_TEXT], faults):
        _take(item, question, found, faults)
    drafts = {id_: draft for id_ in question.ids if (draft := found.get(id_)) is not None}
    return Reading(drafts, tuple(id_ for id_ in question.ids if id_ not in drafts), tuple(faults))


def _take(item: object, question: Question, found: dict[str, Draft | None], faults: dict[str, None]) -> None:
    """One item into `found`; None marks an id of which nothing can be believed any more."""
    if not isinstance(item, dict) or not isinstance(id_ := item.get("id"), str):
        faults["an item without an id"] = None
        return
    if id_ not in question.ids:
        faults["an id that was not asked for"] = None
        return
    try:
        draft: Draft | None = READERS[question.task](item, faults)
    except _Useless as useless:
        faults[str(useless)] = None
        draft = None
    if id_ in found and found[id_] != draft:
        faults["an id twice with different texts"] = None
        draft = None
    found[id_] = draft


# --- finding the JSON -------------------------------------------------------------------------------------------


def _items(text: str, faults: dict[str, None]) -> Iterator[object]:
    """All that any envelope in the text lists."""
    is_found = False
    for value in _values(text, faults):
        items = _listed(value)
        is_found = is_found or items is not None
        yield from items or ()
    if not is_found:
        faults["no JSON of the shape that was asked for"] = None


def _listed(value: object) -> list[object] | None:
    """The items of an envelope, of a bare list of items, or one item by itself."""
    if isinstance(value, dict):
        if isinstance(items := value.get("items"), list):
            return items
        return [value] if "id" in value else None
    if isinstance(value, list) and value and all(isinstance(one, dict) and "id" in one for one in value):
        return value
    return None


def _values(text: str, faults: dict[str, None]) -> Iterator[object]:
    """Every JSON value that starts with a brace or bracket and is inside no other, while the effort lasts.

    Of an envelope that is cut off these are the items that are whole. No string of JSON can be taken for an item:
    the quotes in it are escaped.
    """
    at, effort = 0, EFFORT
    while effort > 0 and (start := START.search(text, at)):
        value, at, cost = _decode(text, start.start())
        if not cost:
            yield value
        elif ENVELOPE.match(text, start.start()):
            faults["an answer that is broken or cut off"] = None
        effort -= cost + LEAST_EFFORT if cost else 0


def _decode(text: str, at: int) -> tuple[object, int, int]:
    """The value, where to go on, and how many characters were read in vain."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        # To name the line, the library has counted lines from the start.
        return None, at + 1, error.pos - at + error.pos // LEAST_EFFORT + 1
    except (ValueError, ArithmeticError, RecursionError):
        return None, at + 1, len(text) - at
    return value, end, 0


class _Twice(dict[str, object]):
    """An object that names a key twice: nobody knows which is meant, so it has none."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice()


def _refuse(name: str) -> object:
    raise ValueError(name)


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse, strict=False
)


# --- what an item holds -----------------------------------------------------------------------------------------


def _summary(item: Mapping[str, object], faults: dict[str, None]) -> SummaryDraft:
    return SummaryDraft(
        sentences=_some(_texts(item, "sentences", MOST_SENTENCES, faults)),
        key_points=_texts(item, "key_points", MOST_POINTS, faults),
        sentiment=_sentiment(item),
        related=_related(item, faults),
    )


def _earnings(item: Mapping[str, object], faults: dict[str, None]) -> EarningsDraft:
    return EarningsDraft(
        sentences=_some(_texts(item, "sentences", MOST_SENTENCES, faults)),
        key_metrics=_metrics(item, faults),
        guidance=_texts(item, "guidance", MOST_GUIDANCE, faults),
        sentiment=_sentiment(item),
    )


def _analysis(item: Mapping[str, object], faults: dict[str, None]) -> AnalysisDraft:
    return AnalysisDraft(_some(_texts(item, "sentences", MOST_ANALYSIS_SENTENCES, faults)))


READERS: Mapping[Task, Callable[[Mapping[str, object], dict[str, None]], Draft]] = {
    Task.SUMMARY: _summary,
    Task.EARNINGS: _earnings,
    Task.ANALYSIS: _analysis,
}


def _list(item: Mapping[str, object], name: str) -> list[object]:
    if not isinstance(value := item.get(name), list):
        raise _Useless(f"{name} is no list")
    return value


def _some(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        raise _Useless("no sentence")
    return texts


def _texts(item: Mapping[str, object], name: str, most: int, faults: dict[str, None]) -> tuple[str, ...]:
    """At most so many, without those that are empty, too long or said before."""
    kept = dict.fromkeys(_text(value, name) for value in _list(item, name))
    fitting = [text for text in kept if text and len(text) <= LONGEST_SENTENCE]
    if len(fitting) < len(kept):
        faults[f"{name}: one is empty or too long"] = None
    if len(fitting) > most:
        faults[f"{name}: too many"] = None
    return tuple(fitting[:most])


def _text(value: object, name: str) -> str:
    """On one line. Halves of characters cannot be stored."""
    if not isinstance(value, str):
        raise _Useless(f"{name} holds what is no text")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise _Useless(f"{name} holds half a character")
    return " ".join(value.split())


def _metrics(item: Mapping[str, object], faults: dict[str, None]) -> tuple[Metric, ...]:
    kept = dict.fromkeys(_metric(value) for value in _list(item, "key_metrics"))
    fitting = [
        one for one in kept if 0 < len(one.name) <= LONGEST_NAME and 0 < len(one.value) <= LONGEST_NAME
    ]
    if len(fitting) < len(kept):
        faults["key_metrics: one is empty or too long"] = None
    return tuple(fitting[:MOST_METRICS])


def _metric(value: object) -> Metric:
    if not isinstance(value, dict):
        raise _Useless("key_metrics holds what is no object")
    return Metric(_text(value.get("name"), "key_metrics"), _text(value.get("value"), "key_metrics"))


def _sentiment(item: Mapping[str, object]) -> Decimal:
    value = item.get("sentiment")
    if not isinstance(value, Decimal):
        raise _Useless("sentiment is no number")
    if not -1 <= value <= 1:
        raise _Useless("sentiment is not between -1 and 1")
    return round(value, 2) + 0  # no minus zero


def _related(item: Mapping[str, object], faults: dict[str, None]) -> tuple[str, ...]:
    named = dict.fromkeys(_text(value, "related").upper() for value in _list(item, "related"))
    fitting = [name for name in named if TICKER.fullmatch(name)]
    if len(fitting) < len(named):
        faults["related: one is no ticker"] = None
    return tuple(fitting[:MOST_RELATED])
