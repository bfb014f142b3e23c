from __future__ import annotations

import pytest

from core.eager import eager


class Transport:
    """As Twisted's: what is written waits for the loop; the socket takes `room` bytes."""

    TLS = False
    connected, disconnecting, _writeDisconnected = True, False, False  # noqa: N815 -- Twisted's name

    def __init__(self, room: int | Exception = 1_000) -> None:
        self.dataBuffer = b""
        self._tempDataBuffer: list[bytes] = []
        self.room = room
        self.socket = b""

    def writeSomeData(self, data: bytes) -> int | Exception:  # noqa: N802 -- Twisted's name
        if isinstance(self.room, Exception):
            return self.room
        taken = data[: self.room]
        self.socket += taken
        self.room -= len(taken)
        return len(taken)

    def write(self, data: bytes) -> None:
        self._tempDataBuffer.append(data)

    def loop_writes(self) -> None:
        self.socket += self.dataBuffer + b"".join(self._tempDataBuffer)
        self.dataBuffer, self._tempDataBuffer = b"", []


Eager = eager(Transport)


def test_what_the_socket_takes_is_written_at_once():
    transport = Eager()
    transport.write(b"one")
    transport.write(b"two")
    assert (transport.socket, transport._tempDataBuffer) == (b"onetwo", [])


def test_what_the_socket_does_not_take_goes_the_usual_way_and_everything_after_it_too():
    transport = Eager(room=4)
    transport.write(b"first")
    transport.room = 1_000
    transport.write(b"second")
    assert (transport.socket, transport._tempDataBuffer) == (b"firs", [b"t", b"second"])
    transport.loop_writes()
    transport.write(b"third")
    assert transport.socket == b"firstsecondthird"


def test_nothing_overtakes_what_was_joined_for_the_loop():
    transport = Eager()
    transport.dataBuffer = b"earlier"
    transport.write(b"later")
    transport.loop_writes()
    assert transport.socket == b"earlierlater"


@pytest.mark.parametrize("state", ["TLS", "disconnecting", "_writeDisconnected"])
def test_a_connection_that_is_encrypted_or_ends_is_left_alone(state):
    transport = Eager()
    setattr(transport, state, True)
    transport.write(b"data")
    assert (transport.socket, transport._tempDataBuffer) == (b"", [b"data"])


def test_an_error_is_left_to_be_found_by_the_loop():
    transport = Eager(room=ConnectionError())
    transport.write(b"data")
    assert transport._tempDataBuffer == [b"data"]
