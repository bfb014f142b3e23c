"""What can be wrong with a model and with what it writes, each by a name. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

Entry = dict[str, Any]


class Fault(StrEnum):
    """What the next requests meet. The values are the names on the command line."""

    # instead of an answer; nothing is billed
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate-limited"
    RATE_LIMITED_BARE = "rate-limited-bare"
    NO_CREDIT = "no-credit"
    SERVER_ERROR = "server-error"
    BAD_GATEWAY = "bad-gateway"
    HTML = "html"
    ERROR_200 = "error-200"
    HANG_UP = "hang-up"
    # an answer that does not arrive as it should; it is billed
    SLOW = "slow"
    TRICKLE = "trickle"
    CUT = "cut"
    BROKEN_JSON = "broken-json"
    # an answer of another kind; it is billed
    REFUSAL = "refusal"
    CONTENT_FILTER = "content-filter"
    EMPTY_CHOICES = "empty-choices"
    NO_CONTENT = "no-content"
    LENGTH = "length"
    NO_USAGE = "no-usage"
    ODD_USAGE = "odd-usage"
    # what is written is wrong; it is billed
    INVALID_JSON = "invalid-json"
    PROSE = "prose"
    FENCED = "fenced"
    TWO_OBJECTS = "two-objects"
    SHORT = "short"
    LONG = "long"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    CONTRADICTED = "contradicted"
    INVENTED_IDS = "invented-ids"
    STRING_NUMBERS = "string-numbers"
    NULLS = "nulls"
    WRONG_TYPES = "wrong-types"
    SWAPPED = "swapped"
    UNGROUNDED = "ungrounded"
    FABRICATED = "fabricated"
    LINKS = "links"
    PROMPT_REPEATED = "prompt-repeated"


FALSE_CLAIM = "Revenue rose 987.6 % to $123.4 trillion, the company said on February 30, 2099."
# A line of the prompt that is as long as that says something.
WHOLE_RULE = 80
LINKS = (
    "See https://evil.example/?q=secret for more.",
    '<img src="http://evil.example/pixel.gif"><script>alert(1)</script> Sales rose.',
    "![chart](http://evil.example/chart.png) Profit fell.",
    "[Read on](javascript:alert(1)) about it.",
)


def _short(entries: list[Entry]) -> list[Entry]:
    return entries[:-1]


def _long(entries: list[Entry]) -> list[Entry]:
    more = [{**copy.deepcopy(entries[0]), "id": f"more-{number}"} for number in range(3)]
    return entries + more


def _reordered(entries: list[Entry]) -> list[Entry]:
    return entries[::-1]


def _duplicated(entries: list[Entry]) -> list[Entry]:
    return [*entries, copy.deepcopy(entries[0])]


def _contradicted(entries: list[Entry]) -> list[Entry]:
    return [
        *entries,
        {**copy.deepcopy(entries[-1]), "id": entries[0]["id"], "sentences": ["It was otherwise."]},
    ]


def _invented_ids(entries: list[Entry]) -> list[Entry]:
    return [{**entries[0], "id": f"{entries[0]['id']}-x"}, *entries[1:]]


def _string_numbers(entries: list[Entry]) -> list[Entry]:
    return [{**one, "sentiment": str(one["sentiment"])} if "sentiment" in one else one for one in entries]


def _nulls(entries: list[Entry]) -> list[Entry]:
    return [{**dict.fromkeys(entries[0]), "id": entries[0]["id"]}, *entries[1:]]


def _wrong_types(entries: list[Entry]) -> list[Entry]:
    return [{**entries[0], "sentences": {"1": "One."}, "sentiment": [0]}, *entries[1:]]


def _swapped(entries: list[Entry]) -> list[Entry]:
    """Each text under the next one's id."""
    ids = [one["id"] for one in entries]
    return [{**one, "id": wrong} for one, wrong in zip(entries, ids[1:] + ids[:1], strict=True)]


def _with_first(entries: list[Entry], *sentences: str) -> list[Entry]:
    return [{**one, "sentences": [*sentences, *one["sentences"]][:3]} for one in entries]


def _ungrounded(entries: list[Entry]) -> list[Entry]:
    return _with_first(entries, FALSE_CLAIM)


def _fabricated(entries: list[Entry]) -> list[Entry]:
    lists = {"key_points", "guidance", "key_metrics"}
    return [
        {name: [] if name in lists else value for name, value in one.items()}
        | {"sentences": [FALSE_CLAIM] * 2}
        for one in entries
    ]


def _links(entries: list[Entry]) -> list[Entry]:
    return [
        {**one, "sentences": [LINKS[at % len(LINKS)], *one["sentences"]][:3]}
        for at, one in enumerate(entries)
    ]


# What stands in the list of entries.
OF_ENTRIES: Mapping[Fault | None, Callable[[list[Entry]], list[Entry]]] = {
    Fault.SHORT: _short,
    Fault.LONG: _long,
    Fault.REORDERED: _reordered,
    Fault.DUPLICATED: _duplicated,
    Fault.CONTRADICTED: _contradicted,
    Fault.INVENTED_IDS: _invented_ids,
    Fault.STRING_NUMBERS: _string_numbers,
    Fault.NULLS: _nulls,
    Fault.WRONG_TYPES: _wrong_types,
    Fault.SWAPPED: _swapped,
    Fault.UNGROUNDED: _ungrounded,
    Fault.FABRICATED: _fabricated,
    Fault.LINKS: _links,
}
# What is done with the text of the good answer.
OF_TEXT: Mapping[Fault | None, Callable[[str], str]] = {
    Fault.INVALID_JSON: lambda text: text.replace('"', "'").replace("}]}", ",}"),
    Fault.PROSE: lambda text: f"Of course! Here is what you asked for:\n\n{text}\n\nShall I go on?",
    Fault.FENCED: lambda text: f"```json\n{text}\n```",
    Fault.TWO_OBJECTS: lambda text: f'{{"items": []}}\n{text}',
    Fault.LENGTH: lambda text: text[: len(text) // 2],
}


def written(entries: list[Entry], fault: Fault | None, prompt: str) -> str:
    """The text of an answer with these entries, or what becomes of it."""
    if fault is Fault.PROMPT_REPEATED:
        rules = [line.lstrip("- ") for line in prompt.splitlines() if len(line) > WHOLE_RULE]
        entries = _with_first(entries, *rules[:2])
    elif fault in OF_ENTRIES and entries:
        entries = OF_ENTRIES[fault](copy.deepcopy(entries))
    text = json.dumps({"items": entries}, ensure_ascii=False)
    return OF_TEXT[fault](text) if fault in OF_TEXT else text
