"""Articles: cleaned, kept once whoever tells them, and asked of vendors for the tickers that somebody wants.

An article is one row by its content: told again, by the same vendor or by another, it only gains tickers. An article
that a vendor has edited (the same id, other words) takes the place of the older one as long as nothing has been
bought of that; afterwards it is a row of its own, since a text belongs to the words it was made of.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from kombu.exceptions import OperationalError as QueueAway

from core import clock, metrics
from marketdata import attention, demand
from marketdata.asking import ask_in_bulk
from marketdata.company import News
from marketdata.errors import NotFound, PlanLocked, ProviderError
from marketdata.models import Ticker
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.registry import Purpose
from summaries import lines, orders, storing
from summaries.intake import EARLIEST, LICENCE_LENGTH, Fit, Refusal, Terms, examine, known_tickers, merged
from summaries.kinds import EXTRACTIVE, OrderState
from summaries.lines import ArticleLine, Bad
from summaries.models import Article, Order

logger = logging.getLogger(__name__)

# Who has told what comes from a file.
FILE = "file"
# Articles of one transaction: it ends within a second, and a lost one loses little.
AT_ONCE = 100
# Of older news nobody wants a model's summary unasked.
LATELY = timedelta(days=7)

TOLD = ("headline", "text", "source", "url", "content_hash", "published_at", "loaded_at")
COLUMNS = (*TOLD, "licence", "provider", "external_id", "is_fictional")

LOOKED_EVERY = timedelta(minutes=10)
ELSE_EVERY = timedelta(hours=1)
# A little below the shorter rhythm, so that it does not slip.
CLAIMED_FOR = timedelta(minutes=9)
# Vendors tell articles late: asked for once more, they cost nothing.
TOLD_LATE = timedelta(hours=2)
# One run a minute: 5,000 wanted tickers are spread over the hour.
QUEUED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Refused:
    news: News
    why: Refusal


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of articles; `new` + `updated` + `known` + `refused` are all of them."""

    new: int = 0
    known: int = 0
    """There already, or told twice."""
    refused: int = 0
    updated: int = 0
    """Edited by their vendor, in the place of the older words."""
    refusals: tuple[Refused, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Symbols that nobody knows, and in how many articles."""
    ordered: int = 0
    """Summaries that a model was newly asked for."""

    def __add__(self, other: Ingested) -> Ingested:
        return Ingested(
            self.new + other.new, self.known + other.known, self.refused + other.refused,
            self.updated + other.updated, self.refusals + other.refusals,
            Counter(self.unknown) + Counter(other.unknown), self.ordered + other.ordered,
        )  # fmt: skip


def ingest(
    news: Sequence[News],
    provider: str,
    *,
    fictional: bool = False,
    licence: str = "",
    any_age: bool = False,
    summarize: bool = False,
) -> Ingested:
    """Keep these articles; may run at the same time in any number of processes.

    What is older than NEWS_DAYS is refused unless any age will do. `summarize`: a model's summary is wanted of all
    that are new; else of those of wanted tickers and the last seven days.
    """
    oldest = EARLIEST if any_age else clock.now() - timedelta(days=settings.NEWS_DAYS)
    terms = Terms(provider, fictional, licence[:LICENCE_LENGTH], oldest, summarize)
    total = Ingested()
    for first in range(0, len(news), AT_ONCE):
        total += _ingest_some(news[first : first + AT_ONCE], terms)
    _count(total)
    return total


def _count(found: Ingested) -> None:
    metrics.articles_loaded.inc(found.new)
    metrics.articles_known.inc(found.known + found.updated)
    for one in found.refusals:
        metrics.articles_refused.labels(reason=one.why.name.lower()).inc()


def _ingest_some(news: Sequence[News], terms: Terms) -> Ingested:
    known = known_tickers(news)
    unknown = Counter(symbol for one in news for symbol in set(one.symbols) - known.keys())
    examined = [(one, examine(one, known, terms)) for one in news]
    fits = [found for _, found in examined if isinstance(found, Fit)]
    refusals = tuple(Refused(one, found) for one, found in examined if isinstance(found, Refusal))
    new, updated, ordered = _keep(merged(fits, terms), terms)
    return Ingested(new, len(fits) - new - updated, len(refusals), updated, refusals, unknown, ordered)


# --- rows


def _keep(fits: Sequence[Fit], terms: Terms) -> tuple[int, int, int]:
    """How many are new, how many have taken the place of older words, and how many summaries were ordered."""
    ids = _ids_of(fits)
    lacking = [fit for fit in fits if fit.article.content_hash not in ids]
    edited = _edited(lacking, terms.provider)
    updated = {pk for fit in lacking if (pk := edited.get(fit.article.external_id)) and _renew(pk, fit)}
    with transaction.atomic():
        new = _insert([fit.article for fit in lacking])
        ids = _ids_of(fits)
        gained = _link((ids.get(fit.article.content_hash), fit.ticker_ids) for fit in fits)
        touched = Article.objects.filter(pk__in=new | updated | gained).order_by("pk")
        articles = list(touched.prefetch_related("tickers"))
        storing.keep_extractive_summaries([one for one in articles if one.pk in new])
        ordered = _want(articles, terms)
    return len(new), len(updated), ordered


def _ids_of(fits: Iterable[Fit]) -> dict[str, int]:
    hashes = [fit.article.content_hash for fit in fits]
    return dict(Article.objects.filter(content_hash__in=hashes).values_list("content_hash", "pk"))


def _insert(articles: Sequence[Article]) -> set[int]:
    """The ids of those that are new: two processes with the same article get one of it between them."""
    if not articles:
        return set()
    row = f"({', '.join(['%s'] * len(COLUMNS))})"
    statement = (
        f"INSERT INTO summaries_article ({', '.join(COLUMNS)}) VALUES {', '.join([row] * len(articles))} "  # noqa: S608 -- our own names
        "ON CONFLICT (content_hash) DO NOTHING RETURNING id"
    )
    return _returned(statement, [getattr(one, name) for one in articles for name in COLUMNS])


# A ticker that was deleted meanwhile is not there to be linked; one that is about to be waits for us.
LINK = """
INSERT INTO summaries_article_tickers (article_id, ticker_id)
SELECT pair.article, ticker.id FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS pair (article, ticker, number)
  JOIN marketdata_ticker AS ticker ON ticker.id = pair.ticker
 ORDER BY pair.number FOR KEY SHARE OF ticker
ON CONFLICT (article_id, ticker_id) DO NOTHING RETURNING article_id
"""


def _link(wanted: Iterable[tuple[int | None, set[int]]]) -> set[int]:
    """The ids of the articles that have gained a ticker."""
    links = sorted({(pk, ticker) for pk, tickers in wanted if pk is not None for ticker in tickers})
    if not links:
        return set()
    return _returned(LINK, [[article for article, _ in links], [ticker for _, ticker in links]])


def _returned(statement: str, params: Sequence[Any]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return {row[0] for row in cursor.fetchall()}


# --- edited by their vendor


class _Bought(Exception):
    """A text was bought of these words, or is just being bought."""


def _edited(fits: Iterable[Fit], provider: str) -> dict[str, int]:
    """The newest row of each id that the vendor has told before with other words."""
    told = {fit.article.external_id for fit in fits} - {""}
    rows = Article.objects.filter(provider=provider, external_id__in=told).order_by("pk")
    return dict(rows.values_list("external_id", "pk")) if told else {}


def _renew(pk: int, fit: Fit) -> bool:
    """Whether the newer words have taken the place of the older ones."""
    try:
        with transaction.atomic():
            # First, as everybody does: who holds the row must not wait for a link of somebody who needs it.
            _link([(pk, fit.ticker_ids)])
            row = Article.objects.select_for_update().get(pk=pk)
            _drop_unbought(row)
            for name in TOLD:
                setattr(row, name, getattr(fit.article, name))
            row.save()
            storing.keep_extractive_summaries([row])
    except (_Bought, Article.DoesNotExist):
        return False
    except IntegrityError:  # another process has kept the same words meanwhile
        return False
    return True


def _drop_unbought(row: Article) -> None:
    """What was made or ordered of the words for nothing yet is gone then; raises _Bought."""
    queued = Order.objects.filter(article=row, state=OrderState.QUEUED)
    # One that somebody holds is being bought just now.
    free = list(queued.select_for_update(skip_locked=True).values_list("pk", flat=True))
    if row.order_set.exclude(pk__in=free).exists() or row.summaries.exclude(model=EXTRACTIVE).exists():
        raise _Bought
    Order.objects.filter(pk__in=free).delete()
    row.summaries.all().delete()


def _want(articles: Collection[Article], terms: Terms) -> int:
    """Have a model's summary of those that somebody may read."""
    if not terms.wants_all:
        since = clock.now() - LATELY
        lately = [one for one in articles if one.published_at >= since]
        articles = _of_wanted_tickers(lately) if lately else []
    return orders.want_summaries(articles) if articles else 0


def _of_wanted_tickers(articles: Collection[Article]) -> list[Article]:
    ids = [one.ticker_id for one in demand.wanted().values()]
    links = Article.tickers.through.objects.filter(article__in=articles, ticker_id__in=ids)
    wanted = set(links.values_list("article_id", flat=True))
    return [one for one in articles if one.pk in wanted]


def latest(symbols: Collection[str] | None) -> QuerySet[Article]:
    """Articles on any of these tickers, or on any ticker at all; each once, the newest first, with their tickers."""
    rows = Article.objects.order_by("-published_at", "-pk").prefetch_related("tickers")
    if symbols is None:
        return rows
    links = Article.tickers.through.objects.filter(ticker__symbol__in=symbols)
    return rows.filter(pk__in=links.values("article_id"))


# --- files


@dataclass(slots=True)
class Loaded:
    """What became of a file; `bad` are its lines of which nothing was kept, in order."""

    lines: int = 0
    ingested: Ingested = field(default_factory=Ingested)
    bad: list[Bad] = field(default_factory=list)


def load_file(
    path: Path, *, summarize: bool = False, on_progress: Callable[[int], None] | None = None
) -> Loaded:
    """Keep the articles of a file of JSON lines, of whatever age; raises OSError. See `lines.articles`.

    `on_progress` is told how many bytes have been read.
    """
    loaded = Loaded()
    waiting: defaultdict[tuple[str, bool], list[ArticleLine]] = defaultdict(list)
    with path.open("rb") as file:
        for one in lines.articles(file, clock.now()):
            loaded.lines += 1
            if isinstance(one, Bad):
                loaded.bad.append(one)
                continue
            alike = waiting[one.licence, one.is_fictional]
            alike.append(one)
            if len(alike) == AT_ONCE:
                _load_some(loaded, alike, summarize=summarize)
                alike.clear()
                _tell(on_progress, file)
        for alike in filter(None, waiting.values()):
            _load_some(loaded, alike, summarize=summarize)
        _tell(on_progress, file)
    loaded.bad.sort(key=lambda bad: bad.number)
    return loaded


def _load_some(loaded: Loaded, some: Sequence[ArticleLine], *, summarize: bool) -> None:
    """Lines of the same licence."""
    found = ingest(
        [one.news for one in some],
        FILE,
        fictional=some[0].is_fictional,
        licence=some[0].licence,
        any_age=True,
        summarize=summarize,
    )
    numbers = {id(one.news): one.number for one in some}
    loaded.bad += [Bad(numbers[id(one.news)], f"The article {one.why.value}.") for one in found.refusals]
    loaded.ingested += found


def _tell(on_progress: Callable[[int], None] | None, file: BinaryIO) -> None:
    if on_progress and file.seekable():  # a pipe does not know how far it is
        on_progress(file.tell())


# --- asking vendors


def fetch_wanted() -> int:
    """Queue the tickers whose news is due, those that are looked at first; how many."""
    from summaries.tasks import load_news_of  # noqa: PLC0415 -- tasks import this module

    due = _due(demand.wanted())[:QUEUED_AT_ONCE]
    try:
        for symbol in due:
            load_news_of.delay(symbol)
    except QueueAway:
        metrics.redis_failures.labels(used_by="queue").inc()
        return 0
    return len(due)


def _due(wanted: Collection[str]) -> list[str]:
    """Every ten minutes while somebody looks, else every hour; nothing where no vendor has news of it."""
    now, looked_at = clock.now(), attention.looked_at()
    able = [one for one in wanted if registry.candidates(one, purpose=Purpose.NEWS)]
    asked: dict[str, datetime] = cache.get_many([_asked_key(symbol) for symbol in able])
    found: list[tuple[bool, datetime, str]] = []
    for symbol in able:
        at, looks = asked.get(_asked_key(symbol), EARLIEST), symbol in looked_at
        if now - at >= (LOOKED_EVERY if looks else ELSE_EVERY):
            found.append((not looks, at, symbol))
    return [symbol for _, _, symbol in sorted(found)]


def fetch(symbol: str) -> Ingested | None:
    """Ask for the news of one ticker and keep it; None: somebody just did, or nobody answers, then again later."""
    ticker = Ticker.objects.filter(symbol=symbol).first()
    if ticker is None or not _claim(symbol):
        return None
    now = clock.now()
    told_until: datetime | None = cache.get(_told_key(symbol))
    try:
        provider, is_simulated, told = _ask(symbol, told_until)
    except ProviderError as error:
        if isinstance(error, (NotFound, PlanLocked)):  # asking again soon is useless
            _remember(_asked_key(symbol), now)
        logger.info("no news of %s: %s", symbol, error)
        return None
    found = ingest(told, provider, fictional=is_simulated)
    _remember(_asked_key(symbol), now)
    _remember(_told_key(symbol), now)
    if told_until is None:  # it may be wanted since today, and its articles known for long
        orders.want_summaries(latest([symbol]).filter(published_at__gte=now - LATELY)[:AT_ONCE])
    return found


def _ask(symbol: str, told_until: datetime | None) -> tuple[str, bool, list[News]]:
    first = clock.now() - LATELY
    since = first if told_until is None else max(first, told_until - TOLD_LATE)

    async def ask(provider: Provider) -> tuple[str, bool, list[News]]:
        told = await provider.fetch_news(symbol, since)
        return provider.name, provider.capabilities.simulated, told

    return ask_in_bulk(Purpose.NEWS, symbol, ask)


def _claim(symbol: str) -> bool:
    """Whether nobody has asked for it lately; now somebody has, also if it comes to nothing."""
    return cache.add(f"news:claim:{symbol}", 1, CLAIMED_FOR.total_seconds())


def _remember(key: str, now: datetime) -> None:
    cache.set(key, now, LATELY.total_seconds())


def _asked_key(symbol: str) -> str:
    return f"news:asked:{symbol}"


def _told_key(symbol: str) -> str:
    return f"news:told:{symbol}"
