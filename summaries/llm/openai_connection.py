"""One client for all threads of a process, and a limit on the time of each call that holds.

The client's time-outs are per read: a server that sends a byte a second would hold a thread for ever. So the client
is the asynchronous one, in a loop of its own thread, where a whole call can be given up at its moment. It is made when
it is first needed: it costs 29 MB, and a process that asks no model has none.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from django.conf import settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
# Nobody there is noticed long before an answer could be expected.
CONNECT_S = 5.0
# The loop keeps the time; this is for a loop that does not come to it.
LATE_S = 5.0
# Servers on the same machine want no key, but the client does.
NO_KEY = "none"


class Connection:
    """The way to one server with one key."""

    def __init__(self, key: str, base_url: str) -> None:
        self.refused: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
        """By model: which options its server was found not to know."""
        self._client = _client(key, base_url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="models", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[AsyncOpenAI], Awaitable[T]], timeout_s: float) -> T:
        """Raises TimeoutError when it takes longer; it is given up then."""

        async def limited() -> T:
            async with asyncio.timeout(timeout_s):
                return await work(self._client)

        doing = asyncio.run_coroutine_threadsafe(limited(), self._loop)
        try:
            return doing.result(timeout_s + LATE_S)
        finally:
            # Whoever waits may be interrupted himself, by the time limit of a task.
            doing.cancel()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.close()


def _client(key: str, base_url: str) -> AsyncOpenAI:
    import httpx2  # noqa: PLC0415 -- with the next one
    from openai import AsyncOpenAI  # noqa: PLC0415 -- 27 MB and a second, only where a model is asked

    # Not from the environment: a proxy set for other programs would see our key. Redirects could lead it anywhere.
    http = httpx2.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=50, max_keepalive_connections=10, keepalive_expiry=30),
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
    )
    # The client never asks a second time by itself: each call is a row of its own with what it may cost, and a
    # thread that sleeps until Retry-After keeps others from being served. Whoever orders asks again, at the time
    # that the error names.
    return AsyncOpenAI(api_key=key or NO_KEY, base_url=base_url, http_client=http, max_retries=0)


_lock = threading.Lock()
# By process too: a fork has the objects of its parent, but not the threads in which they live.
_shared: dict[tuple[int, str, str], Connection] = {}


def shared() -> Connection:
    """This process's connection to the server of the settings."""
    key, base_url = settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL
    wanted = (os.getpid(), key, base_url)
    with _lock:
        if wanted not in _shared:
            _shared[wanted] = Connection(key, base_url)
        return _shared[wanted]


def close() -> None:
    """Close what is open; the next call opens it anew."""
    with _lock:
        ours = [wanted for wanted in _shared if wanted[0] == os.getpid()]
        closing = [_shared.pop(wanted) for wanted in ours]
    for connection in closing:
        connection.close()


def _unlock() -> None:
    """Of a fork: the lock may have been held by a thread that is not here."""
    global _lock  # noqa: PLW0603 -- it is what has to be replaced
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock)
