"""Twisted's server connections, writing at once."""

from __future__ import annotations

from typing import Any


def eager(transport: type[Any]) -> type[Any]:
    """The same kind of connection; what the socket takes now is not handed to the loop.

    What it does not take, and whatever comes while something waits, goes the usual way, so the order stays. An
    encrypted connection is left alone, and an error is left to be found there.
    """

    class Eager(transport):  # type: ignore[misc]  # whichever kind Daphne listens on
        def write(self, data: bytes) -> None:
            waits = self.dataBuffer or self._tempDataBuffer
            if (
                data
                and self.connected
                and not (waits or self.disconnecting or self._writeDisconnected or self.TLS)
            ):
                sent = self.writeSomeData(data)
                if isinstance(sent, int) and sent > 0:
                    data = data[sent:]
                    if not data:
                        return
            super().write(data)

    return Eager
