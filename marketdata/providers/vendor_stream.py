"""What the streams of real vendors share: one WebSocket with a time-out for every step, and messages read apart.

A vendor says how it greets (`greet`), how it is asked (`subscribe`, `unsubscribe`) and what one message means
(`events_of`). A message that cannot be read is counted and skipped, since one torn frame is no reason to lose the
connection and with it everything until the next one is up. A silent connection is asked for a pong; without one it
is lost. No error repeats the vendor's words, an address or a header, any of which may hold the key.
"""

from __future__ import annotations

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from core import clock, metrics
from marketdata.errors import Malformed, PlanLocked, ProviderDown, ProviderError, RateLimited, Unauthorized
from marketdata.providers.vendor import DEFAULT_WAIT, SHAPE_ERRORS, bearable, parsed, retry_after
from marketdata.quotes import StreamEvent

# A frame beyond the first bound ends the connection before it fills the memory; one beyond the second is skipped.
MAX_FRAME = 16 * 1024 * 1024
MAX_MESSAGE = 4 * 1024 * 1024
MAX_QUEUED_FRAMES = 16
CLOSE_S = 2.0
# Of a burst's frame so many messages are read at once, between which everything else has its turn.
SLICE = 2_000

# Its own logger, never below WARNING: at DEBUG the library writes every frame and header down, the key included.
_quiet = logging.getLogger("marketdata.wire")
_quiet.setLevel(logging.WARNING)
_quiet.propagate = False
_quiet.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take; a silence of `life_s` is answered with a ping."""

    open_s: float = 10.0
    step_s: float = 10.0
    life_s: float = 10.0


class _Connect(connect):
    """Follows no redirect: it could lead the key anywhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class VendorStream(ABC):
    """Base of the vendors' streams; `await stream.open()` first. Implements `providers.base.Stream`."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.name = name
        self.patience = patience or Patience()
        self._url, self._headers = url, dict(headers or {})
        self._socket: ClientConnection | None = None
        self._is_closed = False
        self._failure: ProviderError | None = None
        self._ack_until: float | None = None

    # --- what each vendor says

    @abstractmethod
    async def greet(self) -> None:
        """Greeting and authentication on a fresh connection, by `expect` and `send`; raises ProviderError."""

    @abstractmethod
    async def subscribe(self, symbols: Collection[str]) -> None: ...

    @abstractmethod
    async def unsubscribe(self, symbols: Collection[str]) -> None: ...

    @abstractmethod
    def events_of(self, message: dict[str, Any]) -> Iterable[StreamEvent]:
        """What one message means; nothing for one that is no news.

        Raises ProviderError for a message that ends the connection, and LookupError, TypeError, ValueError or
        AttributeError for one of another shape than agreed, which is then counted and skipped.
        """

    def messages_of(self, body: Any) -> Sequence[Any]:
        """The messages of one frame's JSON: by default it is an array of them. Raises as `events_of` does."""
        if not isinstance(body, list):
            raise TypeError(body)
        return body

    def decode(self, data: bytes) -> Any:
        """One frame, unpacked; raises Malformed. JSON with exact numbers by default."""
        return parsed(data, self.name)

    def refused(self, status: int, retry_after_text: str | None) -> ProviderError:
        """What a refusal of the WebSocket handshake means."""
        if status == 401:
            return Unauthorized(f"{self.name} refuses our key")
        if status == 403:
            return PlanLocked(f"{self.name} refuses the stream")
        if status == 429:
            until = bearable(retry_after(retry_after_text) or clock.now() + DEFAULT_WAIT)
            return RateLimited(f"{self.name} asks us to wait", retry_at=until)
        return ProviderDown(f"{self.name} answered {status} to the stream")

    # --- connection

    async def open(self) -> None:
        """Connect and greet; raises ProviderError, and then nothing stays open."""
        try:
            self._socket = await self._connected()
            await self.greet()
        except BaseException:
            await self.close()
            raise

    async def _connected(self) -> ClientConnection:
        try:
            return await _Connect(
                self._url, additional_headers=self._headers, user_agent_header="onetape", compression=None,
                open_timeout=self.patience.open_s, ping_interval=None, close_timeout=CLOSE_S,
                max_size=MAX_FRAME, max_queue=MAX_QUEUED_FRAMES, proxy=None, logger=_quiet,
            )  # fmt: skip
        except InvalidStatus as error:
            response = error.response
            refusal = self.refused(response.status_code, response.headers.get("Retry-After"))
        except TimeoutError:
            refusal = ProviderDown(f"{self.name}: no stream in time")
        except (OSError, InvalidHandshake, InvalidURI, EOFError) as error:
            refusal = ProviderDown(f"{self.name}: no stream ({type(error).__name__})")
        raise refusal

    async def close(self) -> None:
        self._is_closed = True
        if self._socket is not None:
            await self._socket.close()

    def must_be_open(self) -> ClientConnection:
        """The connection; raises ProviderDown after `close` and before `open`."""
        if self._is_closed or self._socket is None:
            raise ProviderDown(f"{self.name}: the stream is closed")
        return self._socket

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send one message as JSON; raises ProviderDown."""
        socket = self.must_be_open()
        try:
            async with asyncio.timeout(self.patience.step_s):
                await socket.send(json.dumps(message))
                return
        except TimeoutError:
            failure: ProviderError = ProviderDown(f"{self.name}: nothing can be sent")
        except ConnectionClosed as error:
            failure = self._lost(error)
        raise failure

    async def expect(self, step: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message that is `wanted`, while greeting; raises ProviderDown when the time of the step is over.

        Messages before it are read for what they refuse; events among them are dropped, as nothing is subscribed.
        """
        try:
            async with asyncio.timeout(self.patience.step_s):
                while True:
                    for message in self._messages(await self._receive()):
                        if isinstance(message, dict) and wanted(message):
                            return message
                        self._events(message)
                    self._raise_failure()
        except TimeoutError:
            raise ProviderDown(f"{self.name}: no answer to {step}") from None

    async def _receive(self) -> bytes:
        assert self._socket is not None
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as error:
            failure = self._lost(error)
        raise failure  # outside the handling: the library's error has the vendor's words

    def _lost(self, error: ConnectionClosed) -> ProviderError:
        code = error.rcvd.code if error.rcvd else 1006
        return self.ended(code)

    def ended(self, code: int) -> ProviderError:
        """What it means that the connection ended with this close code."""
        return ProviderDown(f"{self.name}: the stream ended with {code}")

    # --- acknowledgements

    def await_acknowledgement(self) -> None:
        """Called after a subscription is sent: `batches` fails unless `acknowledged` follows within a step."""
        if self._ack_until is None:
            self._ack_until = clock.monotonic() + self.patience.step_s

    def acknowledged(self) -> None:
        self._ack_until = None

    # --- events

    async def batches(self) -> AsyncIterator[Sequence[StreamEvent]]:
        """The events of each frame in order; a failure told in it is raised after them."""
        while not self._is_closed:
            try:
                data = await self._next()
            except ProviderError as error:
                self._failure = error
                break
            if data is None:
                yield []
                continue
            messages = self._messages(data)
            for begin in range(0, max(1, len(messages)), SLICE):
                if begin:
                    await asyncio.sleep(0)
                yield [
                    event for message in messages[begin : begin + SLICE] for event in self._events(message)
                ]
            self._raise_failure()
        if self._failure is not None and not self._is_closed:
            raise self._failure

    async def _next(self) -> bytes | None:
        """The next frame, or None for a pong after a silence; raises ProviderError when there is neither."""
        try:
            async with asyncio.timeout(self._silence_s()):
                return await self._receive()
        except TimeoutError:
            pass
        if self._ack_until is not None and clock.monotonic() >= self._ack_until:
            raise ProviderDown(f"{self.name}: no answer to subscribe")
        return await self._frame_or_pong()

    def _silence_s(self) -> float:
        if self._ack_until is None:
            return self.patience.life_s
        return max(0.001, min(self.patience.life_s, self._ack_until - clock.monotonic()))

    async def _frame_or_pong(self) -> bytes | None:
        """Whichever comes first proves life: behind a full queue of frames no pong can be read."""
        assert self._socket is not None
        receiving = asyncio.ensure_future(self._receive())
        try:
            async with asyncio.timeout(self.patience.step_s):
                pong = asyncio.ensure_future(await self._socket.ping())
                await asyncio.wait({receiving, pong}, return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    return receiving.result()
                pong.result()
                return None
        except TimeoutError:
            failure: ProviderError = ProviderDown(f"{self.name}: the stream is dead")
        except ConnectionClosed as error:
            failure = self._lost(error)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        raise failure

    def _messages(self, data: bytes) -> Sequence[Any]:
        try:
            if len(data) > MAX_MESSAGE:
                raise ValueError(len(data))
            return self.messages_of(self.decode(data))
        except (Malformed, *SHAPE_ERRORS):
            self._count_bad()
            return ()

    def _events(self, message: Any) -> list[StreamEvent]:
        if self._failure is not None:
            return []
        try:
            if not isinstance(message, dict):
                raise TypeError(message)
            return list(self.events_of(message))
        except ProviderError as error:
            self._failure = error
        except SHAPE_ERRORS:
            self._count_bad()
        return []

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _count_bad(self) -> None:
        metrics.upstream_bad_messages.labels(provider=self.name).inc()
