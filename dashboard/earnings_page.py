"""Earnings calls of a ticker: which quarters there are, what was said in short, and every word of it by speaker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from dashboard import formats
from dashboard.sentiment import Sentiment
from dashboard.text_labels import label_of
from summaries import texts, transcripts
from summaries.models import EarningsSummary, Transcript

# Of these the reader may choose; older ones have their place in the API.
MOST_QUARTERS = 12
QUARTER = re.compile(r"(\d{4})-([1-4])", re.ASCII)
PARAGRAPHS = re.compile(r"\n+")


@dataclass(frozen=True, slots=True)
class Quarter:
    year: int
    quarter: int
    is_current: bool

    @property
    def key(self) -> str:
        return f"{self.year}-{self.quarter}"

    @property
    def label(self) -> str:
        return f"Q{self.quarter} {self.year}"


@dataclass(frozen=True, slots=True)
class SpeechPart:
    """What one person said at one time."""

    speaker: str
    role: str
    paragraphs: list[str]


@dataclass(frozen=True, slots=True)
class EarningsPart:
    sentences: list[str]
    key_metrics: list[tuple[str, str]]
    guidance: list[str]
    sentiment: Sentiment
    label: str

    @classmethod
    def of(cls, row: EarningsSummary, zone: tzinfo) -> EarningsPart:
        own_words = "Sentences of the transcript itself"
        return cls(
            sentences=list(row.sentences),
            key_metrics=[(one["name"], one["value"]) for one in row.key_metrics],
            guidance=list(row.guidance),
            sentiment=Sentiment(row.sentiment),
            label=label_of("Summary", row.model, row.created_at, zone, without_model=own_words),
        )


@dataclass(frozen=True, slots=True)
class EarningsView:
    quarters: list[Quarter]
    transcript: Transcript | None
    summary: EarningsPart | None
    speeches: list[SpeechPart]

    @classmethod
    def of(cls, symbol: str, wish: str, zone: tzinfo) -> EarningsView:
        """`wish` is a quarter such as 2026-3; the newest where there is none such."""
        found = list(transcripts.of(symbol).defer("speeches")[:MOST_QUARTERS])
        chosen = _chosen(found, wish)
        row = texts.best_earnings([chosen.pk]).get(chosen.pk) if chosen else None
        return cls(
            quarters=[Quarter(one.year, one.quarter, is_current=one is chosen) for one in found],
            transcript=chosen,
            summary=EarningsPart.of(row, zone) if row else None,
            speeches=speeches_of(chosen) if chosen else [],
        )

    @property
    def held_on(self) -> str:
        return formats.day(self.transcript.held_on) if self.transcript and self.transcript.held_on else ""

    @property
    def words(self) -> int:
        return sum(len(paragraph.split()) for speech in self.speeches for paragraph in speech.paragraphs)


def _chosen(found: Sequence[Transcript], wish: str) -> Transcript | None:
    asked = QUARTER.fullmatch(wish)
    if asked:
        year, quarter = int(asked[1]), int(asked[2])
        for one in found:
            if (one.year, one.quarter) == (year, quarter):
                return one
    return found[0] if found else None


def speeches_of(transcript: Transcript) -> list[SpeechPart]:
    return [
        SpeechPart(
            speaker=one.get("speaker", ""),
            role=one.get("role", ""),
            paragraphs=[part for part in PARAGRAPHS.split(one.get("text", "")) if part.strip()],
        )
        for one in transcript.speeches
    ]
