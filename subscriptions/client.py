"""One live connection as the hub sees it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from core import metrics
from subscriptions.errors import Refused
from subscriptions.renewal import Held
from subscriptions.sending import send_now

SendText = Callable[[str], Coroutine[Any, Any, None]]


class Client:
    """What it follows, and whether its last frame is still on the way."""

    __slots__ = (
        "_close",
        "_ending",
        "_send_text",
        "_sending",
        "ended",
        "missed",
        "phase",
        "session_key",
        "symbols",
        "temporary",
        "user_id",
    )

    def __init__(
        self,
        send_text: SendText,
        user_id: uuid.UUID | None = None,
        session_key: str | None = None,
        close: SendText | None = None,
    ) -> None:
        self.user_id = user_id
        self.session_key = session_key
        self.ended = False
        self.symbols: set[str] = set()
        self.temporary: dict[str, int] = {}  # symbol and ticker id of what is streamed without being watched
        self.missed: set[str] = set()
        self.phase = 0
        self._send_text = send_text
        self._close = close or send_text
        self._sending: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def held(self) -> Held:
        """For `renewal.review`; only of a client that has a user."""
        assert self.user_id is not None
        return Held(self.user_id, self.session_key, frozenset(self.symbols), dict(self.temporary))

    @property
    def busy(self) -> bool:
        return self._sending is not None

    def send(self, text: str) -> None:
        """Send without waiting; while it is on the way the client is busy. A broken connection ends by itself."""
        try:
            task = send_now(self._send_text(text))
        except (OSError, RuntimeError):  # the server closed it between two loop turns; disconnect follows
            return
        metrics.frames_sent.inc()
        if task is not None:
            self._sending = task
            task.add_done_callback(self._sent)

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
            self.send(Refused(refused.code, str(refused), lost).frame())
        return lost

    def end(self, refused: Refused) -> None:
        """Say why and close, without waiting; whoever calls this takes the client out of the hub."""
        if self.ended:
            return
        self.ended = True
        try:
            task = send_now(self._close(refused.frame()))
        except (OSError, RuntimeError):
            return
        if task is not None:
            self._ending = task  # a strong reference; the loop has none
            task.add_done_callback(self._sent_last)

    def _sent_last(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if not task.cancelled():
            task.exception()  # retrieved: the server reports a broken connection by a disconnect
