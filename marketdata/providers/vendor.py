"""What the adapters of real vendors share: a key, a base URL, metered requests, and answers sorted into errors.

An adapter says how its vendor spells symbols and what its JSON means. Here nothing is retried: the chain asks the
next provider. The vendor's own words are never repeated, since some vendors put the key into them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

from core import clock, http
from core.http import Answer
from marketdata import freshness, metering
from marketdata.errors import (
    BadRequest,
    Kind,
    Malformed,
    NotFound,
    PlanLocked,
    ProviderDown,
    ProviderError,
    RateLimited,
    Unauthorized,
)
from marketdata.metering import Call
from marketdata.providers.base import Capabilities, Limited
from marketdata.providers.plans import Plan
from marketdata.quotes import Quote, change_of

QUOTE_BUDGET_S = 3.0
BULK_BUDGET_S = 12.0
# Without a word from the vendor a refused request may be made again when the next minute has begun.
DEFAULT_WAIT = timedelta(seconds=60)
# Whatever a header says: a moment that has passed, or one given in another unit, must neither let us ask at once
# again and again nor keep us away for years. The longest window of any vendor is a day.
SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(days=1)
# What a count may be at most: PostgreSQL's bigint.
MOST = 2**63 - 1
# Prices and ratios beyond these powers of ten are none; there are exponents with which even a product fails.
MOST_MAGNITUDES = 18
MAX_PAGES = 200
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
# What reading a body of another shape than agreed runs into.
SHAPE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def as_it_is(body: Any) -> Any:
    return body


class Vendor(Limited):
    """Base of the adapters; subclasses set `name`, `capabilities`, `headers` and the operations."""

    name: str
    capabilities: Capabilities
    longest_s = BULK_BUDGET_S
    """No request may take longer, whatever its own budget."""

    def __init__(self, *, base_url: str, plan: Plan) -> None:
        self.base_url = base_url.rstrip("/")
        self.plan = plan

    def headers(self) -> Mapping[str, str]:
        """What authenticates a request; a header wherever the vendor allows one."""
        return {}

    def secret_params(self) -> Mapping[str, str]:
        """Query parameters that authenticate, where the vendor knows no header."""
        return {}

    def once(self, symbols: Sequence[str]) -> list[str]:
        """Each symbol once, in order; raises ValueError for more than one request may ask."""
        asked = list(dict.fromkeys(symbols))
        most = self.capabilities.max_symbols_per_request
        if len(asked) > most:
            raise ValueError(f"{self.name} takes at most {most} symbols at once, not {len(asked)}")
        return asked

    async def get_json(
        self,
        endpoint: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        symbols: Sequence[str] = (),
        read: Callable[[Any], Any] = as_it_is,
        budget_s: float = QUOTE_BUDGET_S,
    ) -> Any:
        """Ask once; what `read` makes of the JSON, whose numbers with a point are Decimal. Notes one call.

        `endpoint` is our short name for the operation (quotes, bars_1min, bars_1day, actions, search), as it
        stands in the ledger. Raises ProviderError: also Malformed where `read` finds the JSON to have another
        shape than it takes for granted (its LookupError, TypeError, ValueError, AttributeError), so that the
        ledger tells the true end of every call.
        """
        call = Call(
            self.name, endpoint, clock.now(), Kind.TRANSIENT, symbols=tuple(symbols), plan=self.plan.name
        )
        answer = await self._answer(call, path, params, min(budget_s, self.longest_s))
        remaining, reset_at = self.window_told(answer)
        call = replace(
            call,
            status=answer.status,
            bytes=len(answer.body),
            took_s=answer.took_s,
            remaining=remaining,
            reset_at=reset_at,
        )
        try:
            found = self._read(answer, read)
        except ProviderError as error:
            metering.note(replace(call, kind=error.kind))
            raise
        metering.note(replace(call, kind=Kind.OK))
        return found

    async def _answer(
        self, call: Call, path: str, params: Mapping[str, str] | None, budget_s: float
    ) -> Answer:
        """The answer, whatever it says; where there is none the call is noted and ProviderError raised."""
        began = clock.monotonic()
        try:
            return await self._ask(path, params, budget_s)
        except asyncio.CancelledError:  # the asker's patience ended first; the vendor counts it all the same
            metering.note(replace(call, took_s=clock.monotonic() - began))
            raise
        except http.HttpError as error:
            refusal = self._refusal(error)
        metering.note(replace(call, kind=refusal.kind, took_s=clock.monotonic() - began))
        raise refusal

    async def _ask(self, path: str, params: Mapping[str, str] | None, budget_s: float) -> Answer:
        sent = {**(params or {}), **self.secret_params()}
        return await http.get(self.base_url + path, params=sent, headers=self.headers(), budget_s=budget_s)

    def _refusal(self, error: http.HttpError) -> ProviderError:
        if isinstance(error, http.TooBig | http.Undecodable):
            return Malformed(f"{self.name}: {error}")
        return ProviderDown(f"{self.name}: {error}")

    def _read(self, answer: Answer, read: Callable[[Any], Any]) -> Any:
        body: Any = None
        if answer.status == 200:
            body = parsed(answer.body, self.name)
        if error := self.error_of(answer, body):
            raise error
        with suppress(*SHAPE_ERRORS):
            return read(body)
        # Outside the handling, so that not even the context has the error, which may repeat the vendor's text.
        raise Malformed(f"{self.name}: the answer has another shape")

    def quote(
        self,
        symbol: str,
        price: Decimal,
        as_of: datetime,
        *,
        previous_close: Decimal | None = None,
        **figures: Any,
    ) -> Quote:
        """A quote of this vendor, received now; `figures` are further fields of Quote."""
        now = clock.now()
        change, change_percent = change_of(price, previous_close)
        return Quote(
            symbol=symbol,
            price=price,
            as_of=as_of,
            received_at=now,
            expires_at=now + freshness.ttl_of(symbol, now),
            provider=self.name,
            session=freshness.session_of(symbol, now),
            change=change,
            change_percent=change_percent,
            previous_close=previous_close,
            delayed_s=self.plan.delayed,
            **figures,
        )

    def outcome(self, symbol: str, read: Callable[[], Quote | ProviderError]) -> Quote | ProviderError:
        """What `read` makes of one symbol's part of an answer: where it cannot be read the others may be well."""
        with suppress(*SHAPE_ERRORS):
            return read()
        return Malformed(f"{self.name}: the answer for {symbol} has another shape")

    def error_of(self, answer: Answer, body: Any) -> ProviderError | None:
        """What this answer means if it is no success; `body` is parsed for status 200 only. Vendors extend it."""
        status = answer.status
        if status == 200:
            return None
        if status == 429:
            return RateLimited(f"{self.name} asks us to wait", retry_at=self.retry_at(answer))
        kinds: dict[int, type[ProviderError]] = {
            400: BadRequest,
            401: Unauthorized,
            403: PlanLocked,
            404: NotFound,
            422: BadRequest,
        }
        if status in kinds:
            return kinds[status](f"{self.name} answered {status}")
        if 300 <= status < 500:
            return Malformed(f"{self.name} answered {status}")
        return ProviderDown(f"{self.name} answered {status}")

    def retry_at(self, answer: Answer) -> datetime:
        """The latest of what the headers say; a minute from now where they say nothing."""
        _, reset_at = self.window_told(answer)
        told = [moment for moment in (reset_at, retry_after(answer.headers.get("retry-after"))) if moment]
        now = clock.now()
        return bearable(max(told, default=now + DEFAULT_WAIT))

    def window_told(self, answer: Answer) -> tuple[int | None, datetime | None]:
        """(requests left, when the window begins anew) by the X-RateLimit headers, reset in Unix seconds."""
        try:
            remaining = int(answer.headers["x-ratelimit-remaining"])
        except (KeyError, ValueError):
            remaining = None
        try:
            reset_at = datetime.fromtimestamp(float(answer.headers["x-ratelimit-reset"]), UTC)
        except (KeyError, ValueError, OverflowError, OSError):
            reset_at = None
        if reset_at is not None and reset_at > clock.now() + LONGEST_WAIT:
            reset_at = None
        return remaining, reset_at


def parsed(body: bytes, name: str) -> Any:
    """JSON with exact numbers; raises Malformed for anything else, NaN and infinities included."""
    with suppress(ValueError, RecursionError, InvalidOperation):
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    # Outside the handling: the error has the whole text.
    raise Malformed(f"{name}: the answer is not JSON")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def number(value: Any) -> Decimal | None:
    """A finite Decimal of a JSON number or of the text of one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    # Python reads other scripts' digits and 1_000 as well; and 12,5 is twelve and a half where it is written.
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        return None
    if isinstance(value, str) and "," in value and not _GROUPED.fullmatch(value.strip()):
        return None
    try:
        found = Decimal(value.replace(",", "") if isinstance(value, str) else value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def positive(value: Any) -> Decimal | None:
    """The same above zero, since vendors write 0 for "no price"; None also for what no calculation can hold."""
    found = number(value)
    return found if found is not None and found > 0 and abs(found.adjusted()) <= MOST_MAGNITUDES else None


def whole(value: Any) -> int | None:
    """A count that is not negative and fits a column; fractional shares are cut off."""
    found = number(value)
    # Compared before it is converted: 1e999999999 as an integer would fill the memory.
    return int(found) if found is not None and 0 <= found <= MOST else None


def bearable(moment: datetime) -> datetime:
    """When to ask again, if this is what a vendor says."""
    now = clock.now()
    return min(max(moment, now + SHORTEST_WAIT), now + LONGEST_WAIT)


def retry_after(value: str | None) -> datetime | None:
    """Seconds or an HTTP date (RFC 9110)."""
    if not value:
        return None
    try:
        return clock.now() + timedelta(seconds=min(float(value), 86_400.0))
    except (ValueError, OverflowError):
        pass
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
