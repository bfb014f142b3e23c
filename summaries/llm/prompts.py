"""What a model is told: fixed texts per task, then the items as data.

The fixed part comes first and is the same in every call of a task, so that vendors bill it as cached. Items are one
JSON document between two lines with a marker that is made from the document itself: no text can hold the marker of a
document that it is a part of, so none can pretend that the data ends before it does.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from summaries.kinds import Persona, Task
from summaries.llm.base import Item, Question
from summaries.llm.schemas import schema

FOLDER = Path(__file__).resolve().parent.parent / "prompts"
# News says first what matters; what comes later in a very long article would be paid for and not be summarised.
ARTICLE_CHARS = 20_000


def text(task: Task, persona: str = "") -> str:
    """The system prompt."""
    parts = ["rules", task.value]
    if task is Task.ANALYSIS:
        parts.append(f"analysis_{Persona(persona or Persona.BASIC)}")
    return "\n".join(words(part) for part in parts)


@cache
def version(task: Task) -> str:
    """A name for exactly these words and this shape: whoever changes either gets another one."""
    texts = [text(task, persona) for persona in Persona] if task is Task.ANALYSIS else [text(task)]
    told = json.dumps([*texts, schema(task)], sort_keys=True)
    return f"{task}-{sha256(told.encode()).hexdigest()[:8]}"


def document(question: Question) -> str:
    """The items as the model gets them."""
    told = {"items": [_told(item, question.task) for item in question.items]}
    # Half a surrogate pair cannot be sent.
    body = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace").decode()
    marker = f"DATA-{sha256(body.encode()).hexdigest()[:16]}"
    return f"{marker}\n{body}\n{marker}"


def spelled_schema(task: Task) -> str:
    """For models that take no schema: the same as words, at the end of the system prompt."""
    return "\nThe object must follow this JSON schema:\n" + json.dumps(schema(task))


def _told(item: Item, task: Task) -> dict[str, Any]:
    told: dict[str, Any] = {"id": item.id, "title": item.title, "symbols": list(item.symbols)}
    if item.facts:
        told["facts"] = dict(item.facts)
    told["text"] = item.text[:ARTICLE_CHARS] if task is Task.SUMMARY else item.text
    return told


@cache
def words(name: str) -> str:
    """Of one file."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
