"""The words of summaries and analyses. Pure."""

from __future__ import annotations

from enum import IntEnum, StrEnum

# The name of the "model" that needs no network; whatever it writes is labelled so.
EXTRACTIVE = "extractive"


class Task(StrEnum):
    """What a language model is asked for."""

    SUMMARY = "summary"
    EARNINGS = "earnings"
    ANALYSIS = "analysis"


class Lane(StrEnum):
    """How soon an answer is wanted: somebody waits, within minutes, until tomorrow at half the price."""

    INTERACTIVE = "interactive"
    MINUTES = "minutes"
    OVERNIGHT = "overnight"


class Persona(StrEnum):
    """In whose style a ticker is looked at; nobody of that name has said anything of it."""

    BASIC = "basic"
    BUFFETT = "buffett"
    LYNCH = "lynch"
    DCF = "dcf"


class Step(IntEnum):
    """How far a budget is used up, and what that means."""

    NORMAL = 0
    WARN = 1
    CHEAPER = 2
    """The cheaper model is asked instead."""
    CACHED_ONLY = 3
    """What has a text already is not bought anew."""
    EXTRACTIVE = 4
    """Nothing is bought."""


class OrderState(StrEnum):
    """Of what somebody wants a model to be asked for."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    """Tried too often; staff may have it tried again."""


class Outcome(StrEnum):
    """How a call of a model ended."""

    OPEN = "open"
    OK = "ok"
    PARTLY = "partly"
    """Some of what was asked for is missing or was of no use."""
    USELESS = "useless"
    """Billed, and nothing of it could be used."""
    REFUSED = "refused"
    CUT = "cut"
    """The answer was longer than it may be, or ended in the middle."""
    RATE_LIMITED = "rate_limited"
    DOWN = "down"
    """No answer, or an error of theirs; not billed as far as anybody can know."""
    UNAUTHORIZED = "unauthorized"
    BAD_REQUEST = "bad_request"
    LOST = "lost"
    """Whoever asked has died; it counts against the budget as if all of it had been used."""
