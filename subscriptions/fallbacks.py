"""Server-Sent Events at `/api/v1/stream/`: the live stream for those through whose network no WebSocket gets.

The same hub, the same messages; what differs is how they are written (`EventWire`) and that a client cannot say
anything after it has asked. So its position travels with the events, as text in their `id:`, and a browser hands it
back by itself when it connects again. Where not even this gets through, `GET /api/v1/quotes/` is polled.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import exceptions, serializers

from accounts.credentials import Login
from accounts.models import User
from core import clock, metrics
from core.database import in_thread
from core.drf import described
from core.middleware import outage_response
from core.problems import Problem, plain_problem, problem_of
from marketdata.api.serializers import SymbolsField
from marketdata.payload import quote_payload
from subscriptions import admission, granting, positions, streaming
from subscriptions.cadence import Mode
from subscriptions.client import Client
from subscriptions.consumers import subscribed
from subscriptions.errors import Refused
from subscriptions.feeds import NATIVE, Frame, Wire
from subscriptions.hub import hub
from subscriptions.positions import Position
from subscriptions.streaming import Grant

# For proxies that end what is quiet, whatever else is said.
COMMENT_EVERY_S = 15.0
COMMENT = ": still here\n\n"
# A browser waits so long before it connects again; spread, since a restart ends everybody's stream at once.
RETRY_MS = (1_000, 5_000)
# Daphne waits for no reader and keeps what he does not take, so one answer is not endless. The browser goes on with
# the next one at once, from where it was.
MOST_BYTES = 512 * 1024
GO_ON_MS = 100
# After its last words: somebody who does not read them either is cut off.
LAST_WORDS_S = 2.0
STATUS = {
    "not_authenticated": HTTPStatus.UNAUTHORIZED,
    "not_found": HTTPStatus.NOT_FOUND,
    "connection_limit": HTTPStatus.TOO_MANY_REQUESTS,
}
HEADERS = {
    "not_authenticated": {"WWW-Authenticate": 'Api-Key realm="Onetape"'},
    # Until a connection that went without a word counts no more.
    "connection_limit": {"Retry-After": "10"},
}
STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx hands each event on as it comes
}


class StreamQuery(serializers.Serializer[Any]):
    symbols = SymbolsField()
    cadence = serializers.ChoiceField(choices=[mode.value for mode in Mode], default=Mode.LIVE.value)


async def stream(request: HttpRequest) -> HttpResponseBase:
    """GET only. What is refused is refused before the stream begins, with a status that says why."""
    if request.method != "GET":
        return replace(plain_problem(HTTPStatus.METHOD_NOT_ALLOWED), headers={"Allow": "GET"}).response(
            request
        )
    if not isinstance(
        request, ASGIRequest
    ):  # a server of another kind would collect the stream until it ends
        return plain_problem(HTTPStatus.SERVICE_UNAVAILABLE, "This server cannot stream.").response(request)
    try:
        query = StreamQuery(data={**request.GET.dict(), "symbols": ",".join(request.GET.getlist("symbols"))})
        query.is_valid(raise_exception=True)
        opened = await _opened(request, query.validated_data)
    except Exception as error:
        response = _refusal(request, error)
        if response is None:
            raise
        return response
    return StreamingHttpResponse(opened, headers=STREAM_HEADERS)


async def _opened(request: ASGIRequest, query: dict[str, Any]) -> EventStream:
    symbols = query["symbols"]
    login = await admission.login_of(admission.brought_by(request.scope))
    if login is None and not set(symbols) <= set(settings.DEMO_SYMBOLS):
        raise Refused("not_authenticated", "Log in to stream more than the demo tickers.")
    text = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id", "")
    opened = EventStream(login, Mode(query["cadence"]), request.scope.get("onetape.cut"))
    try:
        await opened.begin(symbols, positions.read(text))
    except BaseException:
        await opened.leave()
        raise
    return opened


def _refusal(request: HttpRequest, error: Exception) -> HttpResponseBase | None:
    """None: a mistake of ours."""
    if isinstance(error, Refused):
        metrics.connections_refused.labels(code=error.code).inc()
        status, headers = STATUS[error.code], HEADERS.get(error.code, {})
        return Problem(status, error.code, str(error), headers=headers).response(request)
    if isinstance(error, User.DoesNotExist):
        return plain_problem(HTTPStatus.UNAUTHORIZED).response(request)
    if isinstance(error, exceptions.APIException):
        return described(error).response(request)
    if away := outage_response(request, error):
        return away
    problem = problem_of(error)
    return problem.response(request) if problem else None


# --- how it is written


def event(name: str, data: str, position: str = "") -> str:
    """`data` is JSON, and so a single line. Without a position a browser keeps the one before."""
    line = f"id: {position}\n" if position else ""
    return f"event: {name}\n{line}data: {data}\n\n"


class EventWire(Wire):
    """The messages of the WebSocket as events, for one client: it knows where that one is."""

    notifications_at_once = 50

    def __init__(self, at: Mapping[str, Position]) -> None:
        self._at = dict(at)

    @property
    def position(self) -> str:
        return positions.written(self._at)

    def begin(self, answer: str, snapshot: Collection[Mapping[str, Any]]) -> str:
        """`answer` as `consumers.subscribed` writes it."""
        self._at |= {quote["symbol"]: (quote["e"], quote["n"]) for quote in snapshot}
        return event("subscribed", answer, self.position)

    def frame(self, parts: list[str]) -> str:
        for part in parts:
            fields = orjson.loads(part)
            self._at[fields["s"]] = (fields["e"], fields["n"])
        return event("quotes", NATIVE.frame(parts), self.position)

    def error(self, refused: Refused, request_id: str | int | None = None) -> str:
        return event("error", NATIVE.error(refused, request_id))

    def heartbeat(self, now_ms: int, *, ack: bool) -> str:
        return event("heartbeat", NATIVE.heartbeat(now_ms, ack=False))  # nobody could answer

    def stale(self, symbols: Collection[str], reason: str) -> str:
        return event("stale", NATIVE.stale(symbols, reason))

    def fresh(self, symbols: Collection[str]) -> str:
        return event("fresh", NATIVE.fresh(symbols))

    def cadence(self, mode: str, reason: str) -> str:
        return event("cadence", NATIVE.cadence(mode, reason))

    def notifications(self, texts: Sequence[str]) -> str:
        """Without an `id:`: the position of prices is not moved by them."""
        return "".join(event("notification", text) for text in texts)


# --- how it is handed over


class HandOver:
    """One frame lies ready for the reader; whoever brings another waits until it is its turn, so nothing piles up."""

    def __init__(self) -> None:
        self._frames: deque[tuple[str, asyncio.Future[None] | None]] = deque()
        self._filled = asyncio.Event()
        self._closed = False

    async def put(self, frame: Frame) -> None:
        if self._closed:
            return
        turn = asyncio.get_running_loop().create_future() if self._frames else None
        self._frames.append((str(frame), turn))
        self._filled.set()
        if turn is not None:
            await turn

    async def take(self) -> str | None:
        """None when it is closed and nothing is left."""
        while not self._frames:
            if self._closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        frame, _ = self._frames.popleft()
        if self._frames:
            _done(self._frames[0][1])
        return frame

    def close(self, last: str) -> None:
        """Nothing more comes after these words; what lies ready is dropped."""
        for _, turn in self._frames:
            _done(turn)
        self._frames.clear()
        self._frames.append((last, None))
        self._closed = True
        self._filled.set()


def _done(turn: asyncio.Future[None] | None) -> None:
    if turn is not None and not turn.done():
        turn.set_result(None)


class EventStream:
    """One answer: what Django iterates over. It tells us by `close`, from a thread, that the answer has ended."""

    def __init__(self, login: Login | None, mode: Mode, cut: Callable[[], None] | None = None) -> None:
        """`cut` ends the connection without waiting for what lies in it unread, where the server lets us."""
        self._frames = HandOver()
        self._cut_connection = cut
        self.client = Client(self._frames.put, login, close=self._end)
        self.client.cadence.chosen = mode
        self._place: str | None = None
        self._reader: asyncio.Task[Any] | None = None
        self._loop = asyncio.get_running_loop()
        self._comment_at = clock.monotonic() + COMMENT_EVERY_S
        self._sent = 0
        self._left = False

    # --- coming and going

    async def begin(self, symbols: list[str], resume: Mapping[str, Position]) -> None:
        """Raises what refuses it; then, and when it is cancelled, `leave`."""
        client, login = self.client, self.client.login
        if login is not None:
            self._place = await granting.enter(login)
            client.cadence.fastest = admission.fastest_of(login)
        granted = await granting.grant(client.user_id, symbols)
        await _must_be_whole(client, granted)
        client.temporary |= granted.temporary
        resume = {symbol: resume[symbol] for symbol in granted.symbols if symbol in resume}
        client.wire = wire = EventWire(resume)
        await hub().add(client)
        quotes = await hub().follow(client, granted.symbols)
        recovery = hub().recovery(granted.symbols, resume, quotes)
        snapshot = [quote_payload(quote) for quote in quotes.values()]
        answer = subscribed(None, granted.symbols, snapshot, recovery, resumed=bool(resume))
        client.send(wire.begin(answer, snapshot))
        hub().tell_stale(client, granted.symbols)
        if client.cadence.effective[0] is not Mode.LIVE:
            client.tell_cadence()
        if resume:
            metrics.recoveries.labels(recovered=str(not recovery.gaps).lower()).inc()

    async def leave(self) -> None:
        """Once, however often it is asked for: nobody who is gone is kept."""
        if self._left:
            return
        self._left = True
        await hub().remove(self.client)
        if self._place is not None:
            await granting.leave(self._place)

    def close(self) -> None:
        """Django's last word on an answer, from one of its threads."""
        with suppress(RuntimeError):  # the loop has ended, and with it everything
            self._loop.call_soon_threadsafe(self._leave_soon)

    def _leave_soon(self) -> None:
        task = self._loop.create_task(self.leave())
        _leaving.add(task)  # the loop keeps no strong reference
        task.add_done_callback(_leaving.discard)

    async def _end(self, refused: Refused) -> None:
        """The hub ends it: say why. Who reads nothing more does not read this either, and is cut off."""
        metrics.connections_refused.labels(code=refused.code).inc()
        self._frames.close(event("error", refused.frame()))
        self._loop.call_later(LAST_WORDS_S, self._cut)

    def _cut(self) -> None:
        if self._reader is not None and not self._left:
            if self._cut_connection is not None:
                self._cut_connection()
            self._reader.cancel()
        self._leave_soon()

    # --- what the reader gets

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> str:
        if self._reader is None:
            self._reader = asyncio.current_task()
            _release_thread()
            return f"retry: {random.randint(*RETRY_MS)}\n\n"  # noqa: S311 -- spreads load, guards nothing
        if self._sent >= MOST_BYTES:
            self._frames.close(f"retry: {GO_ON_MS}\n\n")
            self._sent = 0
        chunk = await self._next()
        if chunk is None:
            raise StopAsyncIteration
        self._sent += len(chunk)
        return chunk

    async def _next(self) -> str | None:
        quiet_s = self._comment_at - clock.monotonic()
        if quiet_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(quiet_s):
                    return await self._frames.take()
        self._comment_at = clock.monotonic() + COMMENT_EVERY_S
        return COMMENT


_leaving: set[asyncio.Task[None]] = set()


async def _must_be_whole(client: Client, granted: Grant) -> None:
    """All that was asked for or nothing: who only listens could not be told of the rest."""
    refused = granted.unknown or granted.forbidden
    if not refused:
        return
    await in_thread(streaming.give_up, client.user_id, granted.temporary.values())
    if granted.unknown:
        raise Refused("not_found", f"No such ticker: {', '.join(refused)}.", refused)
    raise Refused("not_authenticated", "Log in to stream more than the demo tickers.", refused)


def _release_thread() -> None:
    """Django keeps a thread for each request until its answer has ended; a stream would hold it for hours."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None and (executor := SyncToAsync.context_to_thread_executor.pop(context, None)):
        executor.shutdown(wait=False)
