"""How long it takes to look at a ticker in the style of every persona, without any model."""

from __future__ import annotations

import time
from decimal import Decimal
from statistics import quantiles

from benchmarks.harness.report import Result, at_most, say
from core import clock
from marketdata import fundamentals
from marketdata.models import Quote, Ticker
from summaries import analyses
from summaries.kinds import Persona

TICKERS = 20
LOOKS = 200


def measure(result: Result) -> None:
    say("scores without a model")
    tickers = [_ticker(number) for number in range(TICKERS)]
    took, scored = [], 0
    for number in range(LOOKS):
        began = time.perf_counter()
        look = analyses.look(tickers[number % TICKERS], list(Persona), clock.now())
        took.append(1000 * (time.perf_counter() - began))
        scored += all(card.score is not None for card in look.cards) and len(look.cards) == len(Persona)
    cuts = quantiles(took, n=100)
    result.figures |= {"quick_score_ms_p50": round(cuts[49], 2), "quick_score_ms_p95": round(cuts[94], 2)}
    result.must(scored > LOOKS // 2, f"only {scored} of {LOOKS} looks had four scores")
    result.bars.append(at_most("p95 of a quick score in ms", cuts[94], 50))


def _ticker(number: int) -> Ticker:
    ticker = Ticker.objects.create(symbol=f"QS{number:02d}", name=f"Score {number}")
    now = clock.now()
    Quote.objects.create(
        ticker=ticker, price=Decimal(100), as_of=now, received_at=now, expires_at=now, provider="simulator"
    )
    fundamentals.load(ticker.symbol)
    return ticker
