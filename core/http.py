"""Asking other hosts over HTTP: every request has a total budget in time and in bytes.

A time-out per read would let a server that sends a byte a second hold us for ever, and a limit on the compressed
size would let it fill the memory; so both are counted over the whole answer, unpacked. Redirects are not followed:
they could lead a key anywhere. No message here holds an address or a header, either of which may hold a key.
"""

from __future__ import annotations

import asyncio
import time
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

# A host that does not even accept a connection is noticed long before the budget of an answer ends.
CONNECT_S = 2.0
MAX_BYTES = 16 * 1024 * 1024
LIMITS = httpx2.Limits(max_connections=50, max_keepalive_connections=10, keepalive_expiry=30)
USER_AGENT = "onetape"


class HttpError(Exception):
    """No answer that can be used; the subclasses say why."""


class Unreachable(HttpError):
    """Nobody answered, or the connection broke."""


class TimedOut(HttpError):
    """The answer was not whole when its budget ended."""


class TooBig(HttpError):
    """The answer is bigger than was agreed."""


class Undecodable(HttpError):
    """The answer's compression or framing is broken."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    took_s: float


_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = (
    weakref.WeakKeyDictionary()
)


def _client() -> httpx2.AsyncClient:
    """The running loop's client: its connections belong to that loop."""
    loop = asyncio.get_running_loop()
    found = _clients.get(loop)
    if found is None:
        # Not from the environment: a proxy set for other programs would see our keys.
        found = httpx2.AsyncClient(limits=LIMITS, follow_redirects=False, trust_env=False)
        _clients[loop] = found
    return found


async def close_client() -> None:
    """Close the running loop's connections, before the loop ends."""
    found = _clients.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()


async def get(
    url: str,
    *,
    budget_s: float,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """GET within `budget_s` seconds in all; raises HttpError, never for a status."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(budget_s):
            return await _get(url, params, headers, max_bytes, began)
    except TimeoutError:
        failure: HttpError = TimedOut("no whole answer in time")
    except httpx2.TimeoutException:
        failure = TimedOut("no connection in time")
    except zlib.error:
        failure = Undecodable("the answer cannot be unpacked")
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError) as error:
        failure = Unreachable(type(error).__name__)
    # Outside the handling, so that not even the context has the error, which may repeat the address or a header.
    raise failure


async def _get(
    url: str,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    max_bytes: int,
    began: float,
) -> Answer:
    timeout = httpx2.Timeout(None, connect=CONNECT_S)
    sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **(headers or {})}
    async with _client().stream("GET", url, params=params, headers=sent, timeout=timeout) as response:
        body = _Body(response.headers.get("content-encoding", ""), max_bytes)
        async for chunk in response.aiter_raw():
            body.feed(chunk)
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower, body.whole(), time.monotonic() - began)


class _Body:
    """A body as it arrives, unpacked no further than was agreed, however small it was packed."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self._data = bytearray()
        self._max_bytes = max_bytes
        self._begun = False
        self._inflater = None
        if encoding.lower() == "gzip":
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif encoding.lower() not in {"", "identity"}:
            raise Undecodable("the answer is packed in a way that was not agreed")

    def feed(self, chunk: bytes) -> None:
        self._begun = True
        if self._inflater is not None:
            if self._inflater.eof:  # it would be kept, whole and beside what we count
                raise Undecodable("the answer goes on after its end")
            chunk = self._inflater.decompress(chunk, self._max_bytes + 1 - len(self._data))
        self._data += chunk
        if len(self._data) > self._max_bytes:
            raise TooBig(f"more than {self._max_bytes} bytes")

    def whole(self) -> bytes:
        if self._inflater is not None and self._begun and not self._inflater.eof:
            raise Undecodable("the answer ends before its end")
        if self._inflater is not None and self._inflater.unused_data:
            raise Undecodable("the answer goes on after its end")
        return bytes(self._data)
