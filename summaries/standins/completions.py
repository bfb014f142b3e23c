"""What the stand-in for OpenAI writes, and what it bills: no server in here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from summaries.kinds import Task
from summaries.llm import prompts
from summaries.llm.base import Item, Question, Usage
from summaries.llm.extractive import ExtractiveModel
from summaries.standins.faults import Fault, written

BYTES_PER_TOKEN = 4
DATA = re.compile(r"^(DATA-\w+)\n(.*)\n\1$", re.DOTALL)
FILTERED = {Fault.REFUSAL, Fault.CONTENT_FILTER}


def tokens(text: str) -> int:
    """What counts as one token here: four bytes, or what is left of them at the end."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def input_tokens(body: Mapping[str, Any]) -> int:
    """Of a request: its messages and its schema."""
    told = "".join(message["content"] for message in body["messages"])
    shape = body.get("response_format")
    return tokens(told) + (tokens(json.dumps(shape)) if shape else 0)


def usage_of(body: Mapping[str, Any], text: str, *, cached_share: float = 0.0) -> Usage:
    """What a request and this answer to it are billed as."""
    given = input_tokens(body)
    return Usage(input=given, cached=int(given * cached_share), output=tokens(text))


def told(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def question_of(body: Mapping[str, Any]) -> Question | None:
    """What we asked, read back from the request; None where somebody else asks something else."""
    by_role = {message.get("role"): message.get("content", "") for message in body.get("messages", [])}
    system, data = by_role.get("system", ""), DATA.match(by_role.get("user", ""))
    task = next((task for task in Task if prompts.words(task) in system), None)
    if task is None or data is None:
        return None
    items = [
        Item(one["id"], one["text"], one["title"], tuple(one["symbols"]), one.get("facts", {}))
        for one in json.loads(data[2])["items"]
    ]
    return Question(task, tuple(items), prompts.version(task))


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an answer, what it met and what it was billed as."""

    body: Mapping[str, Any]
    ids: tuple[str, ...]
    fault: Fault | None
    status: int
    billed: Usage


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer as it is sent, and what it is billed as."""

    body: dict[str, Any]
    usage: Usage
    ids: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        choices = self.body.get("choices") or [{"message": {}}]
        return choices[0]["message"].get("content") or ""


def complete(
    body: Mapping[str, Any],
    fault: Fault | None = None,
    *,
    cached_share: float = 0.0,
    name: str = "chatcmpl-1",
) -> Completion:
    """A good answer made of the items' own sentences, with the fault in it."""
    question = question_of(body)
    text, finish = _text(body, question, fault)
    if fault is Fault.CONTENT_FILTER:
        text, finish = "", "content_filter"
    usage = usage_of(body, text or "I cannot help with that.", cached_share=cached_share)
    message = {"role": "assistant", "content": text, "refusal": None}
    if fault is Fault.REFUSAL:
        message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    if fault is Fault.NO_CONTENT:
        message["content"] = None
    answer: dict[str, Any] = {
        "id": name,
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": told(usage),
    }
    return Completion(_spoiled(answer, fault), usage, question.ids if question else ())


def _text(body: Mapping[str, Any], question: Question | None, fault: Fault | None) -> tuple[str, str]:
    if fault in FILTERED:
        return "", "stop"
    system = body["messages"][0].get("content", "")
    entries = []
    if question is not None:
        entries = json.loads(ExtractiveModel().ask(question, timeout_s=1).text)["items"]
    text = written(entries, fault, system) if question is not None else "This is only a stand-in."
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit and tokens(text) > limit:
        return text.encode()[: limit * BYTES_PER_TOKEN].decode(errors="ignore"), "length"
    return text, "length" if fault is Fault.LENGTH else "stop"


def _spoiled(answer: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
    if fault is Fault.EMPTY_CHOICES:
        answer["choices"] = []
    elif fault is Fault.NO_USAGE:
        del answer["usage"]
    elif fault is Fault.ODD_USAGE:
        answer["usage"] = {"prompt_tokens": -1, "completion_tokens": "many"}
    return answer
