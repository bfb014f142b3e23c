"""What a language model is to us: it is asked a question of a few items and answers with text, or fails for a reason.

A model knows nothing of orders, budgets, tiers or tables. What it answers is believed by nobody before `batching` has
read it and `grounding` has checked it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from summaries.kinds import Outcome, Task


@dataclass(frozen=True, slots=True)
class Item:
    """One article, transcript (or part of one) or analysis that is asked about."""

    id: str
    """Ours; the answer repeats it. Never a position."""
    text: str
    title: str = ""
    symbols: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """Figures computed by us, by name, as they are to be written; of an analysis."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one call asks for. Never holds a user, a holding or a secret."""

    task: Task
    items: tuple[Item, ...]
    prompt_version: str
    persona: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.items)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as they are billed. `cached` are among `input`."""

    input: int = 0
    cached: int = 0
    output: int = 0


class Finish(StrEnum):
    """Why a model stopped writing."""

    STOP = "stop"
    LENGTH = "length"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote: meant to be JSON of the shape that was asked for, and nothing is certain of it."""

    text: str
    usage: Usage
    finish: Finish = Finish.STOP
    request_id: str = ""


class ModelError(Exception):
    """No answer. The message never holds a key, an address or the vendor's own words.

    `usage` is what was billed all the same; `retry_at` when the vendor wants to be asked again.
    """

    def __init__(
        self,
        message: str,
        outcome: Outcome,
        *,
        usage: Usage | None = None,
        retry_at: datetime | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.usage = usage or Usage()
        self.retry_at = retry_at
        self.request_id = request_id


class LanguageModel(Protocol):
    """Implementations may be called from several threads at once."""

    name: str
    vendor: str
    """As in the price book."""

    def most(self, question: Question) -> Usage:
        """What the call can use at most: no tokenizer makes more tokens than there are bytes."""
        ...

    def ask(self, question: Question, *, timeout_s: float) -> Answer:
        """Ask once; raises ModelError. Takes no longer than `timeout_s`, retries of the client's included."""
        ...


class CollectState(StrEnum):
    """How an overnight batch stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Collected:
    """What has come of an overnight batch; `answers` by the names that were given to the questions."""

    state: CollectState
    answers: Mapping[str, Answer | ModelError] = field(default_factory=dict)
    error: str = ""


class BatchModel(LanguageModel, Protocol):
    """A model that also answers until tomorrow, for less."""

    def submit(self, questions: Mapping[str, Question], *, timeout_s: float, key: str = "") -> str:
        """Hand in questions by name; the vendor's id of the batch. Raises ModelError.

        `key` is a name of ours that no other batch has.
        """
        ...

    def find(self, key: str, *, timeout_s: float) -> str:
        """The vendor's id of the batch that was handed in with this key; empty: it has none. Raises ModelError."""
        ...

    def collect(self, batch_id: str, *, timeout_s: float) -> Collected:
        """What has become of it; raises ModelError where that cannot be learnt now."""
        ...
