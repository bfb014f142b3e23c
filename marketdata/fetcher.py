"""BatchFetcher: many askers, one request. The only door through which quotes are bought on request.

Symbols asked within one window go out together, split by provider and by the provider's batch size; a symbol that
is being fetched is never asked again, neither inside this process (one future per symbol) nor by another (a claim
in Redis). It owns one loop in one thread per process, since a synchronous caller's own loop would not outlive it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from core import clock, metrics
from core.database import in_thread
from marketdata import claims, metering
from marketdata.acceptance import broken_sides, impossible
from marketdata.claims import Claim
from marketdata.errors import ProviderDown, ProviderError
from marketdata.providers.base import Provider
from marketdata.quotes import NoQuote, Quote, Reason, tick_of

logger = logging.getLogger(__name__)

Outcome = Quote | NoQuote

WINDOW_S = 0.1
# The whole of one request to a provider; a page never waits longer for it.
REQUEST_BUDGET_S = 5.0
# How often a process looks whether another one's fetch has arrived.
POLL_S = 0.02


@dataclass
class _Queue:
    """What waits for the next request to one provider."""

    provider: Provider
    symbols: list[str] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class BatchFetcher:
    """`fetch` may be called from any thread; one outcome per symbol, whatever the provider does."""

    def __init__(
        self, route: Callable[[str], Provider | None], store: Callable[[Sequence[Quote]], None]
    ) -> None:
        self._route = route
        self._store = store
        self._queues: dict[str, _Queue] = {}
        self._futures: dict[str, asyncio.Future[Outcome]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def fetch(self, symbols: Iterable[str]) -> dict[str, Outcome]:
        """Ask providers for all of these at once; blocks until each has an outcome."""
        wanted = list(dict.fromkeys(symbols))
        if not wanted:
            return {}
        future: Future[dict[str, Outcome]] = asyncio.run_coroutine_threadsafe(
            self._ask(wanted), self._running()
        )
        return future.result()

    def close(self) -> None:
        """Stop the loop's thread, and tell whoever waits that there is no answer; a later `fetch` starts a new one."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None and self._thread is not None:
                loop.call_soon_threadsafe(loop.stop)
                self._thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name="fetcher", daemon=True
                )
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
            loop.run_until_complete(self._abandon())
        finally:
            loop.close()

    async def _abandon(self) -> None:
        """Nothing of this loop may be left for the next one."""
        for queue in self._queues.values():
            if queue.timer is not None:
                queue.timer.cancel()
        self._queues.clear()
        for task in self._tasks:
            task.cancel()
        for symbol in list(self._futures):
            self._resolve(NoQuote(symbol, Reason.PROVIDER_DOWN))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    async def _ask(self, symbols: Sequence[str]) -> dict[str, Outcome]:
        futures = {symbol: self._futures.get(symbol) or self._enqueue(symbol) for symbol in symbols}
        return {symbol: await asyncio.shield(future) for symbol, future in futures.items()}

    def _enqueue(self, symbol: str) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        provider = self._route(symbol)
        if provider is None:
            future.set_result(NoQuote(symbol, Reason.NOT_FOUND))
            return future
        self._futures[symbol] = future
        queue = self._queues.setdefault(provider.name, _Queue(provider))
        queue.provider = provider  # another one of the same name, where a test put it in place
        queue.symbols.append(symbol)
        if len(queue.symbols) >= provider.capabilities.max_symbols_per_request:
            self._flush(queue)
        elif queue.timer is None:
            queue.timer = asyncio.get_running_loop().call_later(WINDOW_S, self._flush, queue)
        return future

    def _flush(self, queue: _Queue) -> None:
        if queue.timer is not None:
            queue.timer.cancel()
            queue.timer = None
        symbols, queue.symbols = queue.symbols, []
        if symbols:
            task = asyncio.get_running_loop().create_task(self._run(queue.provider, symbols))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, provider: Provider, symbols: list[str]) -> None:
        asked = {symbol: self._futures.get(symbol) for symbol in symbols}
        try:
            await self._fetch_claimed(provider, symbols)
        finally:
            for symbol, future in asked.items():
                # While the quotes were being stored somebody may have asked again: that is not this fetch's to answer.
                if self._futures.get(symbol) is future:
                    self._resolve(NoQuote(symbol, Reason.PROVIDER_DOWN))

    async def _fetch_claimed(self, provider: Provider, symbols: Sequence[str]) -> None:
        """Ask for what this process may ask for; wait for what another one is asking for, and take over if it dies."""
        waiting = list(symbols)
        while waiting:
            claimed = await asyncio.to_thread(claims.claim, waiting)
            mine = [symbol for symbol, claim in claimed.items() if claim is Claim.MINE]
            for outcome in claimed.values():
                if not isinstance(outcome, Claim):
                    self._resolve(outcome)
            if mine:
                await self._buy(provider, mine)
            waiting = [symbol for symbol, claim in claimed.items() if claim is Claim.ANOTHERS]
            if waiting:
                await asyncio.sleep(POLL_S)

    async def _buy(self, provider: Provider, symbols: list[str]) -> None:
        outcomes = await request(provider, symbols)
        quotes = [outcome for outcome in outcomes if isinstance(outcome, Quote)]
        await asyncio.to_thread(claims.settle, outcomes)
        for outcome in outcomes:
            self._resolve(outcome)
        await in_thread(self._store, quotes)

    def _resolve(self, outcome: Outcome) -> None:
        future = self._futures.pop(outcome.symbol, None)
        if future is not None and not future.done():
            future.set_result(outcome)


async def request(provider: Provider, symbols: list[str]) -> list[Outcome]:
    """One upstream request within its budget; one outcome per symbol, whatever the provider does."""
    metrics.provider_requests.labels(provider=provider.name, endpoint="quotes").inc()
    metrics.provider_symbols.labels(provider=provider.name).inc(len(symbols))
    answer: Mapping[str, Quote | ProviderError]
    try:
        with metering.collecting():
            answer = await asyncio.wait_for(provider.fetch_quotes(symbols), REQUEST_BUDGET_S)
    except ProviderError as error:
        answer = dict.fromkeys(symbols, error)
    except TimeoutError:
        answer = dict.fromkeys(symbols, ProviderDown("no answer in time"))
    except Exception:  # a fault of one adapter must not leave other processes waiting for its claims
        logger.exception("%s failed in a way that no provider should", provider.name)
        answer = dict.fromkeys(symbols, ProviderDown("an unforeseen fault"))
    outcomes = [_believed(symbol, answer.get(symbol)) for symbol in symbols]
    for outcome in outcomes:
        if isinstance(outcome, NoQuote):
            metrics.provider_failures.labels(provider=provider.name, reason=outcome.reason.value).inc()
    return outcomes


def _believed(symbol: str, answer: Quote | ProviderError | None) -> Outcome:
    """What an answer is worth: a quote that cannot be true, or is another symbol's, is none."""
    if answer is None:
        return NoQuote(symbol, Reason.NOT_FOUND)
    if isinstance(answer, ProviderError):
        return NoQuote(symbol, answer.reason)
    tick = tick_of(answer)
    if answer.symbol != symbol or impossible(tick, clock.now_us(), max_age_us=clock.now_us()):
        return NoQuote(symbol, Reason.PROVIDER_DOWN)
    broken: dict[str, Any] = dict.fromkeys(broken_sides(tick))
    if not broken:
        return answer
    if "previous_close" in broken:
        broken |= {"change": None, "change_percent": None}
    return replace(answer, **broken)
