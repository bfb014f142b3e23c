"""What stands under each text that no person wrote: who wrote it, when, and what it is not."""

from __future__ import annotations

from datetime import datetime, tzinfo

from dashboard import formats
from summaries.kinds import EXTRACTIVE

NOT_ADVICE = "not investment advice"
FICTIONAL = "Fictional"
FICTIONAL_WHY = "Invented for trying this out; nobody of that name has said or done it."


def label_of(what: str, model: str, at: datetime, zone: tzinfo, *, without_model: str) -> str:
    """`what` by a model on a day, or `without_model` where none was asked."""
    if model == EXTRACTIVE:
        return f"{without_model} · {NOT_ADVICE}"
    return f"{what} by {model} · {formats.day(at.astimezone(zone).date())} · {NOT_ADVICE}"
