"""Asking the chain from synchronous code, for work in bulk that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from core import http
from marketdata.models import Cause
from marketdata.providers import chain, registry
from marketdata.providers.base import Provider
from marketdata.providers.chain import Asking
from marketdata.providers.registry import Purpose
from marketdata.quota import Priority

T = TypeVar("T")
BACKFILL = Asking(Priority.BACKFILL, Cause.BACKFILL)


def ask_in_bulk(purpose: Purpose, symbol: str, ask: Callable[[Provider], Awaitable[T]]) -> T:
    """The answer of the first provider that has one; raises the ProviderError that tells most."""
    return asyncio.run(_answer(purpose, symbol, ask))


async def _answer(purpose: Purpose, symbol: str, ask: Callable[[Provider], Awaitable[T]]) -> T:
    """A loop of its own ends with its connections closed."""
    candidates = registry.candidates(symbol, purpose=purpose)
    try:
        return await chain.first(purpose, symbol, candidates, ask, BACKFILL)
    finally:
        await http.close_client()
