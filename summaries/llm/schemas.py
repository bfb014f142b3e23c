"""The shape that an answer must have, as a JSON schema for each task. Pure.

One envelope for all: {"items": [{"id": ..., ...}]}, so that what is answered is known by its id and never by its
position. The schemas say names and types only. Lengths, ranges and numbers of items are left out: servers that
claim to follow the same protocol refuse some of those keywords, and whoever reads an answer checks them anyway. Nor
are the ids of a question listed: a schema that differs with each call is compiled anew with each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from summaries.kinds import Task

Schema = dict[str, Any]


def _object(**properties: Schema) -> Schema:
    """As strict mode wants it: all properties required, no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _texts(description: str) -> Schema:
    return {"type": "array", "description": description, "items": {"type": "string"}}


ID: Schema = {"type": "string", "description": "The id of the item, copied."}
SENTIMENT: Schema = {"type": "number", "description": "From -1 to 1, at most two decimals."}
METRIC = _object(
    name={"type": "string", "description": "What was measured, in a few words."},
    value={"type": "string", "description": "As the transcript has it, with its unit."},
)
ENTRIES: Mapping[Task, Schema] = {
    Task.SUMMARY: _object(
        id=ID,
        sentences=_texts("Two or three sentences."),
        key_points=_texts("Three to five short sentences."),
        sentiment=SENTIMENT,
        related=_texts("Tickers."),
    ),
    Task.EARNINGS: _object(
        id=ID,
        sentences=_texts("Two or three sentences."),
        key_metrics={"type": "array", "description": "At most eight.", "items": METRIC},
        guidance=_texts("Statements about the time to come."),
        sentiment=SENTIMENT,
    ),
    Task.ANALYSIS: _object(id=ID, sentences=_texts("Two to five sentences.")),
}


def schema(task: Task) -> Schema:
    return _object(
        items={"type": "array", "description": "One entry for each item asked for.", "items": ENTRIES[task]}
    )
