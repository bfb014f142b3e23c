"""The best text there is: the newest that a model wrote, else the one made of the source's own sentences."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from summaries.kinds import EXTRACTIVE, Persona
from summaries.models import Analysis, EarningsSummary, Generated, Summary

Row = TypeVar("Row", bound=Generated)
Key = TypeVar("Key", bound=Hashable)


def best_summaries(article_ids: Collection[int]) -> dict[int, Summary]:
    """Of each article that has one, in one query."""
    return pick(Summary.objects.filter(article_id__in=article_ids), lambda row: row.article_id)


def best_earnings(transcript_ids: Collection[int]) -> dict[int, EarningsSummary]:
    """Of each transcript that has one, in one query."""
    return pick(
        EarningsSummary.objects.filter(transcript_id__in=transcript_ids), lambda row: row.transcript_id
    )


def best_analyses(ticker_id: int, wanted: Mapping[Persona, str]) -> dict[Persona, Analysis]:
    """Of exactly these inputs, by persona and the hash of its inputs, in one query."""
    rows = Analysis.objects.filter(ticker_id=ticker_id, inputs_hash__in=wanted.values())
    found = pick(rows, lambda row: row.inputs_hash)
    return {persona: found[hash_] for persona, hash_ in wanted.items() if hash_ in found}


def pick(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, Row]:
    """One row for each value of `key`."""
    found: dict[Key, Row] = {}
    for row in rows:
        name = key(row)
        if name not in found or _rank(row) > _rank(found[name]):
            found[name] = row
    return found


def _rank(row: Generated) -> tuple[bool, datetime, int]:
    return row.model != EXTRACTIVE, row.created_at, row.pk
