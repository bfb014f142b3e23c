"""Fictional articles and earnings calls for an empty installation, so that there is something to read.

All of it is made up for Onetape and says so, in its headline, in its source and in its own words.
"""

from __future__ import annotations

from pathlib import Path

from core import clock
from summaries import lines, news, transcripts

DATA = Path(__file__).resolve().parent / "data"
PROVIDER = "demo"


def load() -> tuple[int, int]:
    """Articles and earnings calls that are new. Those of tickers that are not there are left out."""
    return _load_articles(), _load_calls()


def _load_articles() -> int:
    with (DATA / "articles.jsonl").open("rb") as file:
        read = [one for one in lines.articles(file, clock.now()) if isinstance(one, lines.ArticleLine)]
    licence = read[0].licence
    return news.ingest([one.news for one in read], PROVIDER, fictional=True, licence=licence).new


def _load_calls() -> int:
    with (DATA / "transcripts.jsonl").open("rb") as file:
        read = [one.call for one in lines.calls(file) if isinstance(one, lines.CallLine)]
    new = 0
    for call in read:
        try:
            new += transcripts.keep_once(call, PROVIDER, fictional=True).is_new
        except transcripts.NotKept:  # its ticker is not there
            continue
    return new
