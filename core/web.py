"""The default web server: Daphne, with all its options, made quick for many small frames.

On uvloop's event loop, and writing each frame at once where nothing waits before it, as asyncio's own transports do.
Twisted hands every write to the loop and back: a writer added, a turn, a writer removed. Both together leave half
as many frames more for each second of processor time (docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


def main() -> None:
    with suppress(ImportError):  # a system without it
        import uvloop  # noqa: PLC0415 -- where it exists

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    # Daphne makes its loop when it is imported, so only now.
    from daphne.cli import CommandLineInterface  # noqa: PLC0415 -- see above
    from twisted.internet import tcp, unix  # noqa: PLC0415 -- after the reactor, which Daphne installs

    from core.eager import eager  # noqa: PLC0415 -- likewise

    for port in (tcp.Port, unix.Port):
        port.transport = eager(port.transport)
    CommandLineInterface.entrypoint()


if __name__ == "__main__":
    main()
