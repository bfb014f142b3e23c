"""A real mail server on loopback that keeps what it gets, and fails in each way that mail servers do."""

from __future__ import annotations

import asyncio
import email
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

PATIENT_S = 30.0


class Postbox:
    """`said` holds what it answers to MAIL, RCPT and DATA, if not "250 OK"."""

    def __init__(self) -> None:
        self.port = 0
        self.said: dict[str, str] = {}
        self.hangs = False
        """After it has taken a message."""
        self.has_taken = threading.Event()
        self.envelopes: list[tuple[str, list[str]]] = []
        self._mails: queue.Queue[EmailMessage] = queue.Queue()
        self._over = asyncio.Event()

    def next(self) -> EmailMessage:
        return self._mails.get(timeout=PATIENT_S)

    def is_empty(self) -> bool:
        return self._mails.empty()

    async def handle_MAIL(self, _server, _session, envelope, address, options):  # noqa: N802 -- aiosmtpd's name
        envelope.mail_from = address
        return self.said.get("MAIL", "250 OK")

    async def handle_RCPT(self, _server, _session, envelope, address, options):  # noqa: N802 -- likewise
        if "RCPT" not in self.said:
            envelope.rcpt_tos.append(address)
        return self.said.get("RCPT", "250 OK")

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 -- likewise
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self._mails.put(email.message_from_bytes(envelope.content, policy=policy.default))
        self.has_taken.set()
        if self.hangs:
            await self._over.wait()
        return self.said.get("DATA", "250 OK")

    def close(self) -> None:
        self._over.set()


class _OnAFreePort(Controller):
    def _trigger_server(self) -> None:
        """It calls the port that it was given, which is 0."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def postbox() -> Iterator[Postbox]:
    one = Postbox()
    controller = _OnAFreePort(one, hostname="127.0.0.1", port=0, ready_timeout=PATIENT_S)
    controller.start()
    one.port = controller.port
    try:
        yield one
    finally:
        controller.loop.call_soon_threadsafe(one.close)
        controller.stop()
