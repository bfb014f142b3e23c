"""Servers on loopback that take what is sent to them, for tests of what goes out: raw, so that they can misbehave."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PATIENT_S = 30.0


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes
    server_name: str | None = None


def reply(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Sink:
    """Answers each connection with the next of `replies`, the last one for ever; or lets `misbehave` do it."""

    replies: list[bytes] = field(default_factory=lambda: [reply()])
    misbehave: Callable[[socket.socket, threading.Event], None] | None = None
    tls: ssl.SSLContext | None = None
    port: int = 0
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    """A connection is over; a test that ends sets it too."""
    _requests: queue.Queue[Request] = field(default_factory=queue.Queue)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/hook"

    def next(self) -> Request:
        return self._requests.get(timeout=PATIENT_S)

    def is_empty(self) -> bool:
        return self._requests.empty()

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            with suppress(OSError, UnicodeDecodeError), connection:  # what comes need not be HTTP
                self._answer(connection)
            self.ended.set()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENT_S)
        names: list[str | None] = [None]
        if self.tls:
            self.tls.sni_callback = lambda _socket, name, _context: names.append(name)
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection:
            self._requests.put(_read(connection, names[-1]))
            if self.misbehave:
                self.misbehave(connection, self.ended)
            else:
                connection.sendall(self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port that refuses: it is ours meanwhile, so that no other server comes to be there."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _read(connection: socket.socket, server_name: str | None) -> Request:
    stream = connection.makefile("rb")
    line = stream.readline().decode().strip()
    headers = {}
    while field_line := stream.readline().decode().strip():
        name, _, value = field_line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(line, headers, stream.read(int(headers.get("content-length", 0))), server_name)


@contextmanager
def sink(*replies: bytes, **fields) -> Iterator[Sink]:
    """On all addresses of loopback, IPv6 as well."""
    one = Sink(**({"replies": list(replies)} if replies else {}), **fields)
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    with socket.create_server(("", 0), family=family, dualstack_ipv6=dual) as listener:
        one.port = listener.getsockname()[1]
        thread = threading.Thread(target=one.serve, args=[listener], daemon=True)
        thread.start()
        try:
            yield one
        finally:
            one.ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENT_S)
