"""The one way to call an address that a user gave, such as a webhook, without being led into our own network.

The name is resolved once; each of its addresses must be public, and the connection goes to exactly one of them, so
an answer of the name server that changes between check and use changes nothing. The certificate is checked against
the name. Redirects are not followed, a proxy of the environment is not used. The whole call, from asking for the name
to the last byte, has one budget of time, and of the answer 64 kB are read, never unpacked; of an answer that says
success nothing but its head. What is told of a failure holds neither the address nor the answer.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

import httpx2
from django.conf import settings
from django.core.exceptions import ValidationError

from core import clock
from core.addresses import Allowed, Refused, Target, check_port, is_public, parse
from core.http import USER_AGENT

BUDGET_S = 10.0
# Of one address, so that one which does not answer leaves time for the next.
CONNECT_S = 4.0
# While somebody waits for a page.
SAVING_S = 3.0
MAX_BYTES = 64 * 1024
PIECE = 16 * 1024
NOT_PUBLIC = "No server that can be called from here is known under this name."
ONLY_PUBLIC = "Only public addresses are called."


class EgressError(Exception):
    """No answer. The text is for the owner of the address."""


class NotPublic(EgressError):
    """The name leads nowhere, or not to the public internet; which of them is not told, as that would tell of us."""


class Unreachable(EgressError):
    """Nobody answered, or not in HTTP."""


class TimedOut(EgressError):
    """No answer within the budget."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names are lower case."""
    body: bytes = field(default=b"", repr=False)
    """As far as it came and was read; empty of a success."""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def validate(url: str) -> None:
    """Raises ValidationError: whether an address may be saved. When it is called all is looked at again."""
    try:
        _places(check(url), clock.monotonic() + SAVING_S)
    except (Refused, EgressError) as error:
        raise ValidationError(str(error), code="address") from None


def check(url: str) -> Target:
    """What can be said without asking a name server; raises Refused."""
    target = parse(url)
    if not _allowed().is_place(target):
        check_port(target)
        if target.host in _own_names():
            raise Refused("The address is that of this installation.")
    return target


def post(url: str, body: bytes, headers: Mapping[str, str], *, budget_s: float = BUDGET_S) -> Answer:
    """Raises Refused and EgressError, never for a status."""
    ends = clock.monotonic() + budget_s
    target = check(url)
    try:
        with _connected(target, ends) as wire:
            return _exchange(wire, target, body, headers)
    except TimeoutError:
        failure: EgressError = TimedOut("The server did not answer in time.")
    except ssl.SSLCertVerificationError:
        failure = Unreachable("The server's certificate is not valid.")
    except (OSError, http.client.HTTPException, ValueError) as error:
        # ValueError is how http.client refuses broken framing and headers. Only the kind: the text may hold a path.
        failure = Unreachable(f"The server gave no answer that can be read ({type(error).__name__}).")
    # Outside the handling, so that not even the context has the error.
    raise failure


def _exchange(wire: _Wire, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = wire
    sent = {"Host": target.authority, "User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
    connection.request("POST", target.path, body, {**sent, "Connection": "close"})
    with connection.getresponse() as response:
        lower = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, lower)
        return answer if answer.is_success else Answer(response.status, lower, _body_of(response))


def _body_of(response: http.client.HTTPResponse) -> bytes:
    parts: list[bytes] = []
    try:
        while part := response.read1(PIECE):
            parts.append(part)
    except (OSError, http.client.HTTPException, ValueError):
        pass  # the status has been said; a body only explains it
    return b"".join(parts)[:MAX_BYTES]


class _Wire:
    """A connection each of whose steps ends with the budget; as much of a socket as http.client uses."""

    def __init__(self, connection: socket.socket, ends: float) -> None:
        self._socket, self._ends = connection, ends

    def patient(self) -> socket.socket:
        """The socket, which now waits as long as may be."""
        self._socket.settimeout(_left(self._ends))
        return self._socket

    def sendall(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            self.patient().sendall(data[start : start + PIECE])

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        """http.client would close it before the body is read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class _Incoming(io.RawIOBase):
    """What the other side says, head and body, up to so many bytes; then it looks as if it had ended."""

    def __init__(self, wire: _Wire) -> None:
        self._wire, self._left = wire, MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._left)
        read = self._wire.patient().recv_into(buffer, count) if count else 0
        self._left -= read
        return read


def _left(ends: float) -> float:
    left = ends - clock.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connected(target: Target, ends: float) -> _Wire:
    failure: OSError = OSError()
    for family, place in _places(target, ends):
        try:
            return _open(target, family, place, ends)
        except ssl.SSLError:
            raise  # it was reached
        except OSError as error:
            failure = error
    raise failure


def _open(target: Target, family: int, place: Any, ends: float) -> _Wire:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(min(CONNECT_S, _left(ends)))
        connection.connect(place)
        connection.settimeout(_left(ends))
        if target.scheme == "https":
            connection = _tls().wrap_socket(connection, server_hostname=target.host)
    except BaseException:
        connection.close()
        raise
    return _Wire(connection, ends)


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that this machine trusts, as for all that is asked over HTTP."""
    return httpx2.create_ssl_context()


def _places(target: Target, ends: float) -> list[tuple[int, Any]]:
    """Where the name leads: families and socket addresses, all of them allowed. Raises EgressError."""
    found = {place[0]: (family, place) for family, _, _, _, place in _resolved(target, ends)}
    if not _allowed().is_place(target) and not all(_may_be_called(*one) for one in found.values()):
        raise NotPublic(ONLY_PUBLIC if _is_private(target.host) else NOT_PUBLIC)
    return list(found.values())


def _is_private(host: str) -> bool:
    """An address as a number says so itself; where a name leads is not told."""
    try:
        return not is_public(host)
    except ValueError:
        return False


def _may_be_called(family: int, place: Any) -> bool:
    address = place[0]
    return _allowed().has(address) or (is_public(address) and not _is_this_machine(family, place))


def _resolved(target: Target, ends: float) -> list[Any]:
    """In a thread of its own, since nothing else can end the wait for a name server; it ends by itself, later."""
    answers: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            answers.put([])

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        found = answers.get(timeout=_left(ends))
    except (queue.Empty, TimeoutError):
        raise TimedOut("The name of the server could not be looked up in time.") from None
    if not found:
        raise NotPublic(NOT_PUBLIC)
    return found


def _is_this_machine(family: int, place: Any) -> bool:
    """A public address may be our own; nothing is sent, the system only chooses whence it would be."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(place)
        except OSError:
            return False  # no way there
        return bool(probe.getsockname()[0] == place[0])


def _own_names() -> set[str]:
    """Those by which the public internet may know us: others lead inside, and are refused as that."""
    own = [parse(settings.PUBLIC_URL).host, *settings.ALLOWED_HOSTS]
    return {name.lower() for name in own if _is_exact_and_public(name)}


def _is_exact_and_public(name: str) -> bool:
    """A pattern such as `.example.com` may cover other machines too."""
    try:
        return is_public(name.strip("[]"))
    except ValueError:
        return "." in name and not name.startswith((".", "*"))


def _allowed() -> Allowed:
    return _read_allowed(tuple(settings.EGRESS_ALLOW))


@cache
def _read_allowed(entries: tuple[str, ...]) -> Allowed:
    return Allowed(entries)
