"""Transcripts of earnings calls: one for each ticker, year and quarter, bought once and kept for ever.

Whatever was kept first stays, since its summary was made of it; only a fictional one gives way to a real one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet
from kombu.exceptions import OperationalError as QueueAway

from core import clock, metrics
from marketdata import demand
from marketdata.asking import ask_in_bulk
from marketdata.company import EarningsCall, Speech
from marketdata.errors import NotFound, PlanLocked, ProviderError
from marketdata.models import Ticker
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.registry import Purpose
from summaries import cleaning, lines, orders, parts, storing
from summaries.lines import Bad, CallLine
from summaries.models import Transcript

logger = logging.getLogger(__name__)

# Who has told what comes from a file.
FILE = "file"
# Of a ticker that is new here; older calls come from files.
NEWEST = 4
# Below a day, so that a daily rhythm does not slip; after a failure sooner.
ASKED_FOR_S = 20 * 3_600
FAILED_FOR_S = 600
# Longer than a vendor may take to answer; whoever died with a claim is succeeded after that.
CLAIMED_FOR_S = 300
# Once an hour: more than is wanted in a day, or the last of the alphabet would never be reached.
QUEUED_AT_ONCE = 500
EARLIEST_YEAR = 1980
FACTS = ("title", "held_on", "speeches", "provider", "content_hash", "is_fictional", "loaded_at")
# The longest calls have half of it. More would be checked for minutes, and fill a page that nobody reads.
MOST_CHARS = 500_000
TITLE_LENGTH, SPEAKER_LENGTH, ROLE_LENGTH = 300, 200, 200


class NotKept(ValueError):
    """The call cannot be kept; the message says why and is safe to show."""


@dataclass(frozen=True, slots=True)
class Kept:
    transcript: Transcript
    is_new: bool


def keep(call: EarningsCall, provider: str, *, fictional: bool = False) -> Transcript:
    """The transcript of this call, kept now or before; raises NotKept. With its summary, and a model's is wanted."""
    return keep_once(call, provider, fictional=fictional).transcript


def keep_once(call: EarningsCall, provider: str, *, fictional: bool = False) -> Kept:
    """`keep`, telling whether it is new."""
    told = _examined(call, provider, fictional=fictional)
    key = {"ticker_id": told.ticker_id, "year": told.year, "quarter": told.quarter}
    with transaction.atomic():
        if not fictional:
            Transcript.objects.filter(**key, is_fictional=True).delete()
        facts = {name: getattr(told, name) for name in FACTS}
        row, is_new = Transcript.objects.select_related("ticker").get_or_create(**key, defaults=facts)
        if is_new:
            storing.keep_extractive_earnings(row)
        orders.want_earnings(row)
    return Kept(row, is_new)


def _examined(call: EarningsCall, provider: str, *, fictional: bool) -> Transcript:
    # The database refuses what cannot be printed, and no symbol has it.
    ticker = Ticker.objects.filter(symbol=call.symbol).first() if call.symbol.isprintable() else None
    if ticker is None:
        raise NotKept(f"{cleaning.visible(call.symbol[:20])} is no ticker that is known.")
    if not 1 <= call.quarter <= 4 or not EARLIEST_YEAR <= call.year <= clock.now().year + 2:
        raise NotKept(f"{call.symbol} has no quarter {call.quarter} of {call.year}.")
    speeches = list(_speeches(call.speeches))
    if not speeches:
        raise NotKept(f"{call.symbol}, Q{call.quarter} {call.year}: nobody says anything.")
    return Transcript(
        ticker=ticker,
        year=call.year,
        quarter=call.quarter,
        title=cleaning.headline(call.title)[:TITLE_LENGTH] or f"{call.symbol} Q{call.quarter} {call.year}",
        held_on=call.held_on,
        speeches=speeches,
        provider=provider,
        content_hash=_hash(call, speeches),
        is_fictional=fictional,
        loaded_at=clock.now(),
    )


def _speeches(told: Iterable[Speech]) -> Iterator[dict[str, str]]:
    left = MOST_CHARS
    for one in map(_plain, told):
        words = cleaning.shorten(one["text"], left)
        if words:
            yield {**one, "text": words}
        if words != one["text"]:
            return
        left -= len(words)


def _plain(speech: Speech) -> dict[str, str]:
    return {
        "speaker": cleaning.headline(speech.speaker)[:SPEAKER_LENGTH],
        "role": cleaning.headline(speech.role)[:ROLE_LENGTH],
        "text": cleaning.plain(speech.text),
    }


def _hash(call: EarningsCall, speeches: list[dict[str, str]]) -> str:
    """Of all that was said, also in a call that is longer than an article may be; and of whose call it was."""
    words = hashlib.sha256(f"{call.symbol} {call.year} {call.quarter}".encode())
    for one in speeches:
        words.update(cleaning.content_hash(one["speaker"], one["text"]).encode())
    return words.hexdigest()


def of(symbol: str) -> QuerySet[Transcript]:
    """The calls of a ticker, the newest first."""
    rows = Transcript.objects.filter(ticker__symbol=symbol).select_related("ticker")
    return rows.order_by("-year", "-quarter")


def text_of(transcript: Transcript) -> str:
    """All that was said: speakers stand apart by an empty line."""
    return parts.spoken(transcript.speeches)


# --- files


@dataclass(slots=True)
class Loaded:
    """What became of a file; `bad` are its lines of which nothing was kept."""

    lines: int = 0
    new: int = 0
    known: int = 0
    bad: list[Bad] = field(default_factory=list)


def load_file(path: Path, *, on_progress: Callable[[int], None] | None = None) -> Loaded:
    """Keep the calls of a file of JSON lines; raises OSError. See `lines.calls`.

    `on_progress` is told how many bytes have been read.
    """
    loaded = Loaded()
    with path.open("rb") as file:
        for one in lines.calls(file):
            loaded.lines += 1
            _load_line(loaded, one)
            if on_progress and file.seekable():
                on_progress(file.tell())
    return loaded


def _load_line(loaded: Loaded, line: CallLine | Bad) -> None:
    if isinstance(line, Bad):
        loaded.bad.append(line)
        return
    try:
        kept = keep_once(line.call, FILE, fictional=line.is_fictional)
    except NotKept as error:
        loaded.bad.append(Bad(line.number, str(error)))
        return
    loaded.new += kept.is_new
    loaded.known += not kept.is_new


# --- asking vendors


def fetch_wanted() -> int:
    """Queue the wanted tickers whose calls were not asked for today; how many."""
    from summaries.tasks import load_calls_of  # noqa: PLC0415 -- tasks import this module

    due = _due(demand.wanted())[:QUEUED_AT_ONCE]
    try:
        for symbol in due:
            load_calls_of.delay(symbol)
    except QueueAway:
        metrics.redis_failures.labels(used_by="queue").inc()
        return 0
    return len(due)


def _due(wanted: Iterable[str]) -> list[str]:
    able = [one for one in wanted if registry.candidates(one, purpose=Purpose.TRANSCRIPTS)]
    asked = cache.get_many([_asked_key(symbol) for symbol in able])
    return sorted(symbol for symbol in able if _asked_key(symbol) not in asked)


def fetch(symbol: str) -> int:
    """Buy the newest calls of a ticker that are not here yet; how many. Nothing is asked twice a day."""
    ticker = Ticker.objects.filter(symbol=symbol).first()
    if ticker is None or not cache.add(_asked_key(symbol), 1, ASKED_FOR_S):
        return 0
    bought = 0
    try:
        listed = _ask_for_list(symbol)
        held = set(of(symbol).filter(is_fictional=False).values_list("year", "quarter"))
        for year, quarter in listed:
            bought += (year, quarter) not in held and _buy(symbol, year, quarter)
    except ProviderError as error:
        if not isinstance(error, (NotFound, PlanLocked)):
            cache.set(_asked_key(symbol), 1, FAILED_FOR_S)
        logger.info("no earnings calls of %s: %s", symbol, error)
    return bought


def _buy(symbol: str, year: int, quarter: int) -> bool:
    """Whether it is here now and was not before. Another process may be buying just this one."""
    claim = f"calls:claim:{symbol}:{year}:{quarter}"
    if not cache.add(claim, 1, CLAIMED_FOR_S):
        return False
    try:
        if _is_held(symbol, year, quarter):
            return False
        provider, is_simulated, call = _ask_for_call(symbol, year, quarter)
        return keep_once(call, provider, fictional=is_simulated).is_new
    except NotFound:  # listed, but not written down yet: tomorrow
        return False
    except NotKept as error:
        logger.warning("%s", error)
        return False
    finally:
        cache.delete(claim)


def _is_held(symbol: str, year: int, quarter: int) -> bool:
    return of(symbol).filter(year=year, quarter=quarter, is_fictional=False).exists()


def _ask_for_list(symbol: str) -> list[tuple[int, int]]:
    async def ask(provider: Provider) -> list[tuple[int, int]]:
        return (await provider.fetch_calls(symbol, NEWEST))[:NEWEST]

    return ask_in_bulk(Purpose.TRANSCRIPTS, symbol, ask)


def _ask_for_call(symbol: str, year: int, quarter: int) -> tuple[str, bool, EarningsCall]:
    async def ask(provider: Provider) -> tuple[str, bool, EarningsCall]:
        call = await provider.fetch_call(symbol, year, quarter)
        return provider.name, provider.capabilities.simulated, call

    return ask_in_bulk(Purpose.TRANSCRIPTS, symbol, ask)


def _asked_key(symbol: str) -> str:
    return f"calls:asked:{symbol}"
