"""One live connection as the hub sees it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

from accounts.credentials import Login
from core import clock
from subscriptions.cadence import Cadence
from subscriptions.errors import Refused
from subscriptions.feeds import NATIVE, NATIVE_QUOTES, Feed, Frame, Position, Topic, Wire, topic_of
from subscriptions.pace import STUCK_S, Pace
from subscriptions.renewal import Held
from subscriptions.sending import send_now

Push = Callable[[Frame], Coroutine[Any, Any, None]]
Close = Callable[[Refused], Coroutine[Any, Any, None]]

# A frame that took so long to leave had to wait for the reader.
WAITED_S = 1.0
# Frames are not sent while one is on its way; answers are. Who asks and asks and reads none of them is stuck.
MOST_ON_THE_WAY = 20


class Client:
    """Whose it is, what it follows, how often it gets a frame, and whether its last one is still on the way.

    `push` sends one frame; `close` says why and closes, and is run at most once.
    """

    __slots__ = (
        "_close",
        "_ending",
        "_push",
        "_sending",
        "_sending_since",
        "asked",
        "cadence",
        "ended",
        "following",
        "known",
        "login",
        "missed",
        "pace",
        "phase",
        "since",
        "symbols",
        "temporary",
        "told",
        "wire",
    )

    def __init__(
        self, push: Push, login: Login | None = None, *, wire: Wire = NATIVE, close: Close | None = None
    ) -> None:
        self.login = login
        self.wire = wire
        self.cadence = Cadence()
        self.pace = Pace()
        self.told: tuple[str, str] | None = None
        """The cadence that the client knows of."""
        self.phase: Any = None  # of the hub
        self.ended = False
        self.since = clock.monotonic()
        self.asked: set[str] = set()
        """What it will follow as soon as its snapshot is read."""
        self.following: dict[str, tuple[Feed, ...]] = {}
        self.symbols = self.following.keys()
        self.temporary: dict[str, int] = {}  # symbol and ticker id of what is streamed without being watched
        self.missed: set[Topic] = set()
        self.known: dict[Topic, Position] = {}
        """What it has had of a ticker, where something else may hold that for news."""
        self._push = push
        self._close = close
        self._sending: set[asyncio.Task[None]] = set()
        self._sending_since = 0.0
        self._ending: asyncio.Task[None] | None = None

    @property
    def user_id(self) -> uuid.UUID | None:
        return None if self.login is None else self.login.user_id

    def held(self) -> Held:
        """For `renewal.review`; only of a client that has a login."""
        assert self.login is not None
        return Held(self.login, frozenset(self.symbols), dict(self.temporary))

    def feeds(self, symbol: str) -> tuple[Feed, ...]:
        return self.following.get(symbol, ())

    def native(self, symbols: Iterable[str]) -> list[str]:
        """Those that it follows in our own words."""
        return [symbol for symbol in symbols if NATIVE_QUOTES in self.feeds(symbol)]

    def topics(self) -> Iterator[Topic]:
        for symbol, feeds in self.following.items():
            for source in {feed.source for feed in feeds}:
                yield topic_of(symbol, source)

    def follows(self, topic: Topic) -> bool:
        return any(feed.source is topic[1] for feed in self.feeds(topic[0]))

    def knows(self, topic: Topic, position: Position) -> None:
        """It has had this, or something newer."""
        self.known[topic] = max(position, self.known.get(topic, position))

    def is_news(self, topic: Topic, position: Position) -> bool:
        """No state is sent twice: numbers rise, for every client."""
        known = self.known.get(topic)
        if known is None:
            return True
        if position <= known:
            return False
        del self.known[topic]
        return True

    # --- sending

    @property
    def busy(self) -> bool:
        return bool(self._sending)

    def waits(self, now: float) -> bool:
        """Whether a frame would only lie before a reader who does not read."""
        return bool(self._sending) or (self.pace.owes and self.pace.is_held(now))

    def is_stuck(self, now: float) -> bool:
        """Whether it has stopped reading for good, as far as anybody can wait."""
        waiting = self.busy and now - self._sending_since > STUCK_S
        return waiting or len(self._sending) > MOST_ON_THE_WAY or self.pace.is_given_up(now)

    def send(self, frame: Frame | None) -> None:
        """Send without waiting; while it is on the way the client is busy. A broken connection ends by itself."""
        if frame is None or self.ended:
            return
        try:
            task = send_now(self._push(frame))
        except (OSError, RuntimeError):  # the server closed it between two loop turns; disconnect follows
            return
        if task is not None:
            if not self._sending:  # what has waited longest counts
                self._sending_since = clock.monotonic()
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def tell_cadence(self) -> None:
        """Say what it is now and why, where that is not known already."""
        mode, why = self.cadence.effective
        if self.told != (mode, why):
            self.told = (mode, why)
            self.send(self.wire.cadence(mode, why))

    def lose(self, refused: Refused, held: Held) -> list[str]:
        """The rights to these symbols went; the client is told. Which of them it has to stop following.

        Not those that it asked for again while the rights were being checked.
        """
        lost = [
            symbol
            for symbol in refused.symbols
            if symbol in self.symbols and self.temporary.get(symbol) == held.temporary.get(symbol)
        ]
        for symbol in lost:
            self.temporary.pop(symbol, None)
        if lost:
            self.send(self.wire.error(Refused(refused.code, str(refused), lost)))
        return lost

    def end(self, refused: Refused) -> None:
        """Say why and close, without waiting; whoever calls this takes the client out of the hub."""
        if self.ended or self._close is None:
            self.ended = True
            return
        self.ended = True
        try:
            task = send_now(self._close(refused))
        except (OSError, RuntimeError):
            return
        if task is not None:
            self._ending = task  # a strong reference; the loop has none
            task.add_done_callback(self._sent_last)

    def _sent_last(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        now = clock.monotonic()
        if not self._sending and now - self._sending_since > WAITED_S:
            self.pace.slow_down(now)
        if not task.cancelled():
            task.exception()  # retrieved: the server reports a broken connection by a disconnect
