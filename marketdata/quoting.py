"""Quotes through the chain: each symbol goes from provider to provider until one knows its price."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core import clock
from marketdata import splits
from marketdata.acceptance import broken_sides, impossible
from marketdata.errors import Malformed, NotFound, ProviderError
from marketdata.providers import attempts, chain
from marketdata.providers.attempts import Attempt
from marketdata.providers.base import Provider
from marketdata.providers.chain import Asking
from marketdata.providers.registry import Purpose
from marketdata.quotes import NoQuote, Quote, tick_of

Outcome = Quote | NoQuote

# More requests at once to one provider would only queue there, and one that is dead is noticed sooner.
PARALLEL = 8


@dataclass
class _Run:
    """One walk of some symbols along their candidates."""

    asking: Asking
    found: dict[str, Quote] = field(default_factory=dict)
    failed: dict[str, ProviderError] = field(default_factory=dict)
    tried: list[Attempt] = field(default_factory=list)

    def take(self, symbol: str, answer: Quote | ProviderError) -> None:
        if isinstance(answer, Quote):
            self.found[symbol] = answer
        else:
            before = self.failed.get(symbol, answer)
            self.failed[symbol] = chain.telling_most(before, answer)

    def outcome(self, symbol: str) -> Outcome:
        if symbol in self.found:
            return self.found[symbol]
        error = self.failed.get(symbol) or NotFound()
        return NoQuote(symbol, error.reason, error.retry_at)


async def fetch_quotes(
    candidates: Sequence[Provider], symbols: Sequence[str], asking: Asking
) -> list[Outcome]:
    """One outcome per symbol, in order; each of the candidates is asked for what those before it did not know."""
    run = _Run(asking)
    for provider in candidates:
        rest = [symbol for symbol in symbols if symbol not in run.found]
        if not rest:
            break
        await _ask_all(provider, rest, run)
    await asyncio.to_thread(attempts.remember, Purpose.QUOTES, asking, symbols, run.tried)
    return [run.outcome(symbol) for symbol in symbols]


async def _ask_all(provider: Provider, symbols: Sequence[str], run: _Run) -> None:
    """All of them from one provider, in requests of its size."""
    size = provider.capabilities.max_symbols_per_request
    room = asyncio.Semaphore(PARALLEL)

    async def ask(part: Sequence[str]) -> None:
        async with room:
            await _ask(provider, part, run)

    await asyncio.gather(*(ask(symbols[at : at + size]) for at in range(0, len(symbols), size)))


async def _ask(provider: Provider, symbols: Sequence[str], run: _Run) -> None:
    async def ask() -> dict[str, Quote | ProviderError]:
        answers = await provider.fetch_quotes(symbols)
        return {symbol: _believed(symbol, answers) for symbol in symbols}

    answer, account = await chain.attempt(
        provider,
        Purpose.QUOTES,
        run.asking,
        ask,
        symbols=symbols,
        budget_s=chain.QUOTE_BUDGET_S,
    )
    run.tried.append(account)
    for symbol in symbols:
        run.take(symbol, answer if isinstance(answer, ProviderError) else answer[symbol])


def _believed(symbol: str, answers: Mapping[str, Quote | ProviderError]) -> Quote | ProviderError:
    """What an answer is worth: a quote that cannot be true, or is another symbol's, is none."""
    answer = answers.get(symbol)
    if answer is None:
        return NotFound()
    if isinstance(answer, ProviderError):
        return answer
    tick = tick_of(answer)
    if answer.symbol != symbol or impossible(tick, clock.now_us(), max_age_us=clock.now_us()):
        return Malformed(f"{answer.provider} said a price that cannot be true")
    broken: dict[str, Any] = dict.fromkeys(broken_sides(tick))
    if "previous_close" in broken:
        broken |= {"change": None, "change_percent": None}
    return splits.in_shares_of_today(replace(answer, **broken) if broken else answer)
