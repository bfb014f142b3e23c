"""From what a client wrote to rows: canonical spelling, then the ticker or 404."""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.exceptions import NotFound

from marketdata.models import Ticker
from marketdata.symbols import canonical


def ticker_or_404(text: str) -> Ticker:
    """Any spelling of a known symbol, with its quote's row; raises InvalidSymbol or NotFound."""
    symbol = canonical(text)
    try:
        return Ticker.objects.select_related("quote").get(symbol=symbol)
    except Ticker.DoesNotExist:
        raise NotFound(f"There is no ticker {symbol}.") from None


def tickers_or_404(symbols: Sequence[str]) -> list[Ticker]:
    """The active tickers of these canonical symbols, in this order; raises NotFound naming those there are not."""
    found = Ticker.objects.filter(is_active=True).in_bulk(symbols, field_name="symbol")
    if missing := [symbol for symbol in symbols if symbol not in found]:
        raise NotFound(f"There is no ticker {', '.join(missing)}.")
    return [found[symbol] for symbol in symbols]
