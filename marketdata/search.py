"""Finding tickers while somebody types: the symbol first, then symbols that begin so, then words of the name."""

from __future__ import annotations

import re
import unicodedata

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Length

from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.symbols import canonical

# Longer texts are cut: no symbol and no useful name begins later.
MAX_TEXT = 80
MAX_WORDS = 8
_SYMBOL_BEGINNING = re.compile(r"[A-Z0-9.\-^=]{1,20}")
_WORD = re.compile(r"[^\W_]+")


def search_tickers(text: str, limit: int = 10) -> list[Ticker]:
    """At most `limit` active tickers, best first; any text is allowed, and one that finds nothing is no error."""
    text = unicodedata.normalize("NFKC", text[:MAX_TEXT])
    exact, beginnings, words = _exact(text), _beginnings(text), _words(text)
    if limit <= 0 or not (exact or beginnings or words):
        return []
    found = _matching(exact, beginnings, words)
    rank = Case(
        When(symbol=exact, then=0),
        When(_begins_with(beginnings), then=1),
        When(name__istartswith=words[0] if words else text, then=2),
        default=Value(3),
        output_field=IntegerField(),
    )
    return list(found.order_by(rank, Length("symbol"), "symbol")[:limit])


def _matching(exact: str, beginnings: list[str], words: list[str]) -> QuerySet[Ticker]:
    wanted = Q(symbol=exact) | _begins_with(beginnings)
    tickers = Ticker.objects.filter(is_active=True)
    if words:
        # The same expression as the index `ticker_name_words`.
        tickers = tickers.alias(words=SearchVector("name", config="simple"))
        query = " & ".join(f"'{word}':*" for word in words)
        wanted |= Q(words=SearchQuery(query, search_type="raw", config="simple"))
    return tickers.filter(wanted)


def _begins_with(beginnings: list[str]) -> Q:
    wanted = Q(symbol="")  # of nobody
    for beginning in beginnings:
        wanted |= Q(symbol__startswith=beginning)
    return wanted


def _exact(text: str) -> str:
    try:
        return canonical(text)
    except InvalidSymbol:
        return ""


def _beginnings(text: str) -> list[str]:
    """How a symbol may begin of which this much is typed: `brk-` leads to BRK.B, `btc-` to BTC-USD."""
    typed = text.strip(" ").upper()
    ways = dict.fromkeys([typed, re.sub("[-/ ]", ".", typed), re.sub("[./ ]", "-", typed)])
    return [way for way in ways if _SYMBOL_BEGINNING.fullmatch(way)]


def _words(text: str) -> list[str]:
    """Letters and digits only, so that nothing in them means anything to the query language."""
    return _WORD.findall(text)[:MAX_WORDS]
