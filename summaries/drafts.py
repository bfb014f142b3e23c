"""What a model wrote of one item, read into plain values; not yet checked against its source. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure that a company told, as it is to be written."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class SummaryDraft:
    sentences: tuple[str, ...]
    key_points: tuple[str, ...]
    sentiment: Decimal
    """From -1 to 1, in hundredths."""
    related: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EarningsDraft:
    sentences: tuple[str, ...]
    key_metrics: tuple[Metric, ...]
    guidance: tuple[str, ...]
    sentiment: Decimal


@dataclass(frozen=True, slots=True)
class AnalysisDraft:
    sentences: tuple[str, ...]


Draft = SummaryDraft | EarningsDraft | AnalysisDraft
