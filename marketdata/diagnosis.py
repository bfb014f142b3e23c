"""What `doctor` says of market data: keys, quotas, breakers, agreement of providers, the tape, the oldest price."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core import clock, doctor, http
from core.database import in_thread
from core.doctor import Line, Verdict
from marketdata import demand, health
from marketdata.agreement import agreements
from marketdata.errors import Kind, ProviderError
from marketdata.health import Condition, ProviderHealth
from marketdata.models import Cause
from marketdata.providers import chain, registry
from marketdata.providers.attempts import Attempt
from marketdata.providers.base import Provider
from marketdata.providers.chain import Asking
from marketdata.providers.registry import Purpose
from marketdata.quota import SLOW_BELOW, Priority
from marketdata.quotes import Quote

TEST_CALL = Asking(Priority.HELD, Cause.CHECK)
# One request each, of the smallest provider's size or a few more for those that take several.
MOST_COMPARED = 10
FALLBACK_SYMBOLS = ("AAPL", "MSFT", "IBM")
OLD_AFTER = timedelta(minutes=15)
VERDICTS = {
    Condition.OK: Verdict.OK, Condition.IDLE: Verdict.OK, Condition.WAITING: Verdict.WARN,
    Condition.DOWN: Verdict.BAD,
}  # fmt: skip


def register() -> None:
    doctor.register("tape", tape_lines)
    doctor.register("prices", price_lines)
    doctor.register("providers", provider_lines)
    doctor.register("keys", key_lines)


def tape_lines(_asks: bool) -> Iterator[Line]:
    if health.tape_alive():
        yield Line("tape", Verdict.OK, "an owner is alive")
    else:
        yield Line(
            "tape", Verdict.BAD, "nobody owns the stream: no price moves", "Start `manage.py runtape`."
        )


def price_lines(_asks: bool) -> Iterator[Line]:
    found = health.prices()
    text = f"{found.wanted} tickers wanted, {found.streaming} stream"
    if found.oldest is not None:
        text += f"; oldest check {duration(found.oldest)} ago ({found.oldest_symbol})"
    old = found.oldest is not None and found.oldest > OLD_AFTER
    yield Line("prices", Verdict.WARN if old else Verdict.OK, text)
    if found.without_quote:
        yield Line("prices", Verdict.WARN, f"{found.without_quote} wanted tickers never had a price")


def provider_lines(_asks: bool) -> Iterator[Line]:
    for one in health.providers():
        yield _condition_line(one)
        yield from _budget_lines(one)


def _condition_line(one: ProviderHealth) -> Line:
    lately = one.lately
    text = f"{one.provider.capabilities.label}: {one.condition.value}"
    if one.why:
        text += f", {one.why}"
    if one.until:
        text += f" until {hour(one.until)}"
    if lately.calls:
        text += f"; {lately.calls} calls in the last hour, {lately.failed} failed"
    return Line(one.provider.name, VERDICTS[one.condition], text)


def _budget_lines(one: ProviderHealth) -> Iterator[Line]:
    for budget in one.budgets:
        window = budget.window
        share = budget.left / window.limit
        text = f"{budget.left} of {window.limit} {window.unit.value}s left per {duration_s(window.seconds)}"
        if budget.exhausted_at:
            text += f"; at this rate exhausted at {hour(budget.exhausted_at)}"
        low = share < SLOW_BELOW or budget.exhausted_at is not None
        yield Line(one.provider.name, Verdict.WARN if low else Verdict.OK, text)


def key_lines(asks: bool) -> Iterator[Line]:
    """A test call to each real provider, and how far their prices agree. Costs one request each."""
    real = [one for one in registry.providers() if not one.capabilities.simulated]
    if not asks or not real:
        why = "not asked (--offline)" if real else "no provider with a key is configured"
        yield Line("keys", Verdict.OK, why)
        return
    prices: dict[str, dict[str, Decimal]] = {}
    for provider, (answer, account) in asyncio.run(_ask_each(real)).items():
        yield _key_line(provider, account)
        if isinstance(answer, Mapping):
            prices[provider] = {symbol: one.price for symbol, one in answer.items() if isinstance(one, Quote)}
    for pair in agreements(prices):
        text = f"{pair.one} and {pair.other} differ by {pair.median_percent} % (median of {pair.symbols})"
        verdict = Verdict.OK if pair.fine else Verdict.WARN
        yield Line("agreement", verdict, text, "" if pair.fine else f"Look at {pair.worst_symbol}.")


Answer = Mapping[str, Quote | ProviderError] | ProviderError


async def _ask_each(real: Sequence[Provider]) -> dict[str, tuple[Answer, Attempt]]:
    symbols = await in_thread(symbols_to_compare)
    try:
        return {one.name: await test_call(one, symbols) for one in real}
    finally:
        await http.close_client()


def symbols_to_compare() -> list[str]:
    """What is wanted most, since that is where a disagreement would be seen."""
    wanted = sorted(demand.wanted().values(), key=lambda one: (-one.holders, one.symbol))
    return [one.symbol for one in wanted[:MOST_COMPARED]] or list(FALLBACK_SYMBOLS)


async def test_call(provider: Provider, symbols: Sequence[str]) -> tuple[Answer, Attempt]:
    """One metered request for quotes, as the chain makes it."""
    covered = [symbol for symbol in symbols if provider.covers(symbol)] or list(FALLBACK_SYMBOLS)
    asked = covered[: provider.capabilities.max_symbols_per_request]
    return await chain.attempt(
        provider,
        Purpose.QUOTES,
        TEST_CALL,
        lambda: provider.fetch_quotes(asked),
        symbols=asked,
        budget_s=chain.QUOTE_BUDGET_S,
    )


def _key_line(provider: str, account: Attempt) -> Line:
    took = f"{account.took_s * 1000:.0f} ms"
    if account.fine:
        return Line(provider, Verdict.OK, f"answers with our key in {took}")
    if account.kind is Kind.AUTH:
        hint = "Set the right key and restart; see docs/reference/settings.md."
        return Line(provider, Verdict.BAD, "refuses our key", hint)
    if account.skip or account.kind is Kind.RATE_LIMITED:
        return Line(provider, Verdict.WARN, f"was not asked: {account.detail}")
    return Line(provider, Verdict.BAD, f"gave no usable answer: {account.detail}")


def hour(moment: datetime) -> str:
    """The time alone where it is of today, in UTC as in every log."""
    shape = "%H:%M:%S UTC" if moment.date() == clock.now().date() else "%Y-%m-%d %H:%M UTC"
    return moment.strftime(shape)


def duration(span: timedelta) -> str:
    return duration_s(int(span.total_seconds()))


def duration_s(seconds: int) -> str:
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "a moment"
