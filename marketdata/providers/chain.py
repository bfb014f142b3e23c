"""The chain: providers are asked in order until one answers, and every attempt and skip is explained.

    not covered, no capability    never asked (registry.candidates)
    circuit open, no quota left   skipped, with the moment when it may be asked again
    not found                     the next one may know the symbol
    rate limited                  everybody waits until the provider's own moment; the next one is asked
    key refused                   not asked again for ten minutes; the next one is asked
    plan does not include it      the next one is asked
    down, malformed, refused      counts for the circuit breaker; the next one is asked

One answer is taken as it is: prices of two providers are never mixed or averaged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from core import clock, metrics
from core.database import in_thread
from marketdata import ledger, metering, quota
from marketdata.errors import Kind, PlanLocked, ProviderDown, ProviderError, RateLimited
from marketdata.metering import Call
from marketdata.models import Cause
from marketdata.providers import attempts, breakers
from marketdata.providers.attempts import Attempt, Skip
from marketdata.providers.base import Provider
from marketdata.providers.breakers import State
from marketdata.providers.registry import Purpose
from marketdata.quota import Priority

logger = logging.getLogger(__name__)
T = TypeVar("T")

QUOTE_BUDGET_S = 5.0
BULK_BUDGET_S = 15.0
# Failures that say something about the provider, not about the question.
COUNTED = {Kind.TRANSIENT, Kind.MALFORMED}
# Of several reasons the one that tells most about what to do.
WEIGHTS = {
    Kind.NOT_FOUND: 0,
    Kind.PLAN_LOCKED: 1,
    Kind.BAD_REQUEST: 2,
    Kind.AUTH: 3,
    Kind.MALFORMED: 4,
    Kind.TRANSIENT: 5,
    Kind.RATE_LIMITED: 6,
}
DEFAULT_WAIT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Asking:
    """Why something is asked, and how important it is."""

    priority: Priority = Priority.VISIBLE
    cause: Cause = Cause.REQUEST


def breaker_name(provider: Provider, purpose: Purpose) -> str:
    return f"{provider.name}:{purpose.value}"


async def attempt(
    provider: Provider,
    purpose: Purpose,
    asking: Asking,
    ask: Callable[[], Awaitable[T]],
    *,
    symbols: Sequence[str],
    budget_s: float,
) -> tuple[T | ProviderError, Attempt]:
    """Ask one provider, if its breaker and its quota let us; what came of it, and the account of it."""
    name = breaker_name(provider, purpose)
    before = await asyncio.to_thread(breakers.allows, name)
    if before.state is State.OPEN:
        return _skipped(provider, Skip.CIRCUIT_OPEN, symbols, before.open_until)
    grant = await in_thread(quota.take, provider, asking.priority, symbols=len(symbols))
    if not grant.granted:
        if before.state is State.HALF_OPEN:
            await asyncio.to_thread(breakers.release, name)
        return _skipped(provider, Skip.NO_QUOTA, symbols, grant.retry_at)
    began = clock.monotonic()
    with metering.collecting() as calls:
        try:
            answer = await _within(budget_s, ask, provider.name)
        except asyncio.CancelledError:  # we end; what was asked is paid for all the same
            await in_thread(_abandon, provider, name, before, calls, asking.cause)
            raise
    took_s = clock.monotonic() - began
    kind = answer.kind if isinstance(answer, ProviderError) else Kind.OK
    await in_thread(_settle, provider, name, before, answer, calls, asking.cause)
    detail = str(answer) if isinstance(answer, ProviderError) else ""
    retry_at = answer.retry_at if isinstance(answer, ProviderError) else None
    return answer, Attempt(provider.name, len(symbols), kind, detail=detail, retry_at=retry_at, took_s=took_s)


def _skipped(
    provider: Provider, skip: Skip, symbols: Sequence[str], retry_at: datetime | None
) -> tuple[ProviderError, Attempt]:
    metrics.provider_skips.labels(provider=provider.name, reason=skip.value).inc()
    if skip is Skip.NO_QUOTA:
        error: ProviderError = RateLimited(
            f"{provider.name}: it asks us to wait, or our quota is used up", retry_at=retry_at
        )
    else:
        error = ProviderDown(f"{provider.name} failed lately", retry_at=retry_at)
    return error, Attempt(provider.name, len(symbols), skip=skip, detail=str(error), retry_at=retry_at)


async def _within(budget_s: float, ask: Callable[[], Awaitable[T]], name: str) -> T | ProviderError:
    try:
        async with asyncio.timeout(budget_s):
            return await ask()
    except ProviderError as error:
        return error
    except TimeoutError:
        return ProviderDown(f"{name}: no answer in time")
    except Exception as error:  # noqa: BLE001 -- a fault of one adapter must not stop the chain
        # Without the trace, whose last line would repeat what the vendor or its address said.
        logger.error("%s failed in a way that no provider should: %s", name, _where(error))  # noqa: TRY400
        return ProviderDown(f"{name}: an unforeseen fault")


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} at {place}"


def _settle(
    provider: Provider,
    name: str,
    before: breakers.Reading,
    answer: object,
    calls: Sequence[Call],
    cause: Cause,
) -> None:
    """Tell ledger, quota and breaker what came of it."""
    _book(provider, calls, cause)
    kind = answer.kind if isinstance(answer, ProviderError) else Kind.OK
    if kind in COUNTED:
        breakers.failed(name)
    elif kind is Kind.RATE_LIMITED:
        assert isinstance(answer, ProviderError)
        quota.block(provider.name, answer.retry_at or clock.now() + DEFAULT_WAIT)
        breakers.release(name)
    elif (
        kind is Kind.AUTH and cause is Cause.CHECK
    ):  # its key may be of one shell only: no reason to stop others
        breakers.release(name)
    elif kind is Kind.AUTH:
        if breakers.hold(name, breakers.REFUSED_S):
            logger.error("%s refuses our key", provider.name)
    else:
        breakers.succeeded(name, before)


def _abandon(
    provider: Provider, name: str, before: breakers.Reading, calls: Sequence[Call], cause: Cause
) -> None:
    _book(provider, calls, cause)
    if before.state is State.HALF_OPEN:
        breakers.release(name)  # the probe told nothing


def _book(provider: Provider, calls: Sequence[Call], cause: Cause) -> None:
    _count(calls)
    ledger.record(calls, cause)
    quota.spend(provider, len(calls) - 1)  # one was taken before; further ones are pages
    quota.note(calls)


def _count(calls: Sequence[Call]) -> None:
    for call in calls:
        metrics.provider_requests.labels(provider=call.provider, endpoint=call.endpoint).inc()
        metrics.provider_symbols.labels(provider=call.provider).inc(len(call.symbols))
        if call.kind is not Kind.OK:
            metrics.provider_failures.labels(provider=call.provider, reason=call.kind.value).inc()


async def first(
    purpose: Purpose,
    symbol: str,
    candidates: Sequence[Provider],
    ask: Callable[[Provider], Awaitable[T]],
    asking: Asking,
) -> T:
    """The answer of the first provider that gives one; raises the ProviderError that tells most."""
    worst: ProviderError = PlanLocked(f"no provider has {purpose.value} of this symbol")
    tried: list[Attempt] = []
    for provider in candidates:
        answer, account = await attempt(
            provider, purpose, asking, partial(ask, provider), symbols=[symbol], budget_s=BULK_BUDGET_S
        )
        tried.append(account)
        if not isinstance(answer, ProviderError):
            await asyncio.to_thread(attempts.remember, purpose, asking, [symbol], tried)
            return answer
        worst = telling_most(worst if len(tried) > 1 else answer, answer)
    await asyncio.to_thread(attempts.remember, purpose, asking, [symbol], tried)
    raise worst


def telling_most(one: ProviderError, other: ProviderError) -> ProviderError:
    """Of two failures the one that tells more about what to do; of two waits the shorter."""
    if one.kind is other.kind is Kind.RATE_LIMITED and one.retry_at and other.retry_at:
        return min(one, other, key=lambda error: error.retry_at or clock.now())
    return other if WEIGHTS[other.kind] > WEIGHTS[one.kind] else one
