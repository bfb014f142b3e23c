"""BatchFetcher: many askers, one request. The only door through which quotes are bought on request.

Symbols asked within one window go out together, split by the providers that may know them, which the chain asks in
order and in requests of their size; a symbol that is being fetched is never asked again, neither inside this process
(one future per symbol) nor by another (a claim in Redis). It owns one loop in one thread per process, since a
synchronous caller's own loop would not outlive it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core import clock
from core.database import in_thread
from marketdata import claims, quoting
from marketdata.claims import Claim
from marketdata.providers.base import Provider
from marketdata.providers.chain import Asking
from marketdata.quota import Priority
from marketdata.quotes import NoQuote, Quote, Reason
from marketdata.quoting import Outcome

T = TypeVar("T")

WINDOW_S = 0.1
# What the latest fetch counts for in the typical one.
LATEST_SHARE = 0.2
# How long a closing fetcher waits for what its threads are doing.
LEAVE_S = 5.0
# How often a claim is renewed within its life.
RENEWALS = 3
# How often a process looks whether another one's fetch has arrived.
POLL_S = 0.02
# Steps that wait for Redis or PostgreSQL at the same time. asyncio's own number is by cores, and a few slow writes
# would hold up every fetch; more than the database's pool has connections would only wait there.
THREADS = 16


Candidates = tuple[Provider, ...]


@dataclass
class _Queue:
    """What waits to be asked of the same providers for the same reason."""

    candidates: Candidates
    asking: Asking
    symbols: list[str] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    @property
    def is_full(self) -> bool:
        return len(self.symbols) >= max(one.capabilities.max_symbols_per_request for one in self.candidates)


ANYBODY = Asking()
RANKS = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True)
class _Pending:
    """What a symbol that is being fetched will be, and how important whoever has it fetched is."""

    future: asyncio.Future[Outcome]
    rank: int


class BatchFetcher:
    """`fetch` may be called from any thread; one outcome per symbol, whatever the provider does."""

    def __init__(self, route: Callable[[str], Candidates], store: Callable[[Sequence[Quote]], None]) -> None:
        self._route = route
        self._store = store
        self._queues: dict[tuple[object, ...], _Queue] = {}
        self._pending: dict[str, _Pending] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.typical_s = 0.0
        """How long a fetch takes, of late."""

    def fetch(
        self, symbols: Iterable[str], asking: Asking = ANYBODY, *, patience_s: float | None = None
    ) -> dict[str, Outcome]:
        """Ask providers for all of these at once; blocks until each has an outcome.

        With `patience_s` it blocks no longer than that: what has no outcome yet is PROVIDER_DOWN here, and is
        nevertheless fetched for those who ask later.
        """
        return self.begin(symbols, asking, patience_s=patience_s).result()

    def begin(
        self, symbols: Iterable[str], asking: Asking = ANYBODY, *, patience_s: float | None = None
    ) -> Future[dict[str, Outcome]]:
        """The same without blocking."""
        wanted = list(dict.fromkeys(symbols))
        if not wanted:
            nothing: Future[dict[str, Outcome]] = Future()
            nothing.set_result({})
            return nothing
        return asyncio.run_coroutine_threadsafe(self._ask(wanted, asking, patience_s), self._running())

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
                workers = ThreadPoolExecutor(THREADS, thread_name_prefix="fetcher")
                self._loop.set_default_executor(workers)
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop, workers), name="fetcher", daemon=True
                )
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop, workers: ThreadPoolExecutor) -> None:
        try:
            loop.run_forever()
            loop.run_until_complete(self._abandon())
        finally:
            # What a worker is writing it may end, and give its connection back; none is waited for longer.
            leaving = threading.Thread(target=workers.shutdown, daemon=True)
            leaving.start()
            leaving.join(LEAVE_S)
            loop.close()

    async def _abandon(self) -> None:
        """Nothing of this loop may be left for the next one."""
        for queue in self._queues.values():
            if queue.timer is not None:
                queue.timer.cancel()
        self._queues.clear()
        for task in self._tasks:
            task.cancel()
        for symbol in list(self._pending):
            self._resolve(NoQuote(symbol, Reason.PROVIDER_DOWN))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    async def _ask(
        self, symbols: Sequence[str], asking: Asking, patience_s: float | None
    ) -> dict[str, Outcome]:
        futures = {symbol: self._future(symbol, asking) for symbol in symbols}
        await asyncio.wait(futures.values(), timeout=patience_s)
        return {
            symbol: future.result() if _is_told(future) else NoQuote(symbol, Reason.PROVIDER_DOWN)
            for symbol, future in futures.items()
        }

    def _future(self, symbol: str, asking: Asking) -> asyncio.Future[Outcome]:
        pending = self._pending.get(symbol)
        if pending is None:
            return self._enqueue(symbol, asking)
        if pending.rank <= RANKS[asking.priority]:
            return pending.future
        return self._start(self._after(pending.future, symbol, asking))

    async def _after(self, other: asyncio.Future[Outcome], symbol: str, asking: Asking) -> Outcome:
        """Of one who is less important: what he was refused for want of quota may be granted to us."""
        outcome = await asyncio.shield(other)
        if isinstance(outcome, NoQuote) and outcome.reason is Reason.RATE_LIMITED:
            return await asyncio.shield(self._future(symbol, asking))
        return outcome

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _enqueue(self, symbol: str, asking: Asking) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        candidates = self._route(symbol)
        if not candidates:
            future.set_result(NoQuote(symbol, Reason.NOT_FOUND))
            return future
        self._pending[symbol] = _Pending(future, RANKS[asking.priority])
        # By identity: a test may put another provider of the same name in place.
        queue = self._queues.setdefault((asking, *map(id, candidates)), _Queue(candidates, asking))
        queue.symbols.append(symbol)
        if queue.is_full:
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
            self._start(self._run(queue, symbols))

    async def _run(self, queue: _Queue, symbols: list[str]) -> None:
        asked = {symbol: self._pending.get(symbol) for symbol in symbols}
        try:
            await self._fetch_claimed(queue, symbols)
        finally:
            for symbol, pending in asked.items():
                # While the quotes were being stored somebody may have asked again: that is not this fetch's to answer.
                if self._pending.get(symbol) is pending:
                    self._resolve(NoQuote(symbol, Reason.PROVIDER_DOWN))

    async def _fetch_claimed(self, queue: _Queue, symbols: Sequence[str]) -> None:
        """Ask for what this process may ask for; wait for what another one is asking for, and take over if it dies.

        Both at once: another one's outcome does not stay until a slow provider of ours has answered.
        """
        waiting, rank = list(symbols), RANKS[queue.asking.priority]
        async with asyncio.TaskGroup() as buying:
            while waiting:
                claimed = await asyncio.to_thread(claims.claim, waiting, rank)
                mine = [symbol for symbol, claim in claimed.items() if claim is Claim.MINE]
                for outcome in claimed.values():
                    if not isinstance(outcome, Claim):
                        self._resolve(outcome)
                if mine:
                    buying.create_task(self._buy(queue, mine))
                waiting = [symbol for symbol, claim in claimed.items() if claim is Claim.ANOTHERS]
                if waiting:
                    await asyncio.sleep(POLL_S)

    async def _buy(self, queue: _Queue, symbols: list[str]) -> None:
        renewing = asyncio.get_running_loop().create_task(_renew(symbols))
        began = clock.monotonic()
        try:
            outcomes = await quoting.fetch_quotes(queue.candidates, symbols, queue.asking)
        except BaseException:
            await asyncio.to_thread(claims.release, symbols)
            raise
        finally:
            renewing.cancel()
            took_s = clock.monotonic() - began
            self.typical_s += (took_s - self.typical_s) * (LATEST_SHARE if self.typical_s else 1.0)
        quotes = [outcome for outcome in outcomes if isinstance(outcome, Quote)]
        await asyncio.to_thread(claims.settle, outcomes, RANKS[queue.asking.priority])
        for outcome in outcomes:
            self._resolve(outcome)
        await in_thread(self._store, quotes)

    def _resolve(self, outcome: Outcome) -> None:
        pending = self._pending.pop(outcome.symbol, None)
        if pending is not None and not pending.future.done():
            pending.future.set_result(outcome)


def _is_told(future: asyncio.Future[Outcome]) -> bool:
    return future.done() and not future.cancelled()


async def _renew(symbols: Sequence[str]) -> None:
    """Keep our claims while we ask: many parts, or several providers, take longer than one claim lasts."""
    while True:
        await asyncio.sleep(claims.CLAIM_MS / 1000 / RENEWALS)
        await asyncio.to_thread(claims.renew, symbols)
