"""What a process that serves many live connections sets up for itself, under whichever server it runs."""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# Ten thousand connections are a million objects that stay: walking them again and again cost a tenth of the
# processor, and pauses of half a second (docs/design/live.md).
THRESHOLDS = (100_000, 50, 100)
# So long the last words have to leave the process; Daphne's own end takes longer anyway.
LAST_WORDS_S = 0.5


def relax_collector() -> None:
    """Collect seldom, and never again look at what exists now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def raise_open_files() -> None:
    """As many open files as this process may have; each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems name a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def cut(send: Callable[..., Any]) -> None:
    """Under uvicorn: end a connection whose last words nobody reads, which its own close waits for, for ever.

    Others end it themselves; `send` is what the server gave to the application.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()


def before_stop(say: Callable[[], None]) -> None:
    """Under Daphne: call `say` when the process is told to stop, and let what it sends go out.

    Daphne has no lifespan and closes its connections without a word; uvicorn sends close code 1012 by itself.
    """
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    if reactor is None or not getattr(reactor, "running", False):
        return
    from twisted.internet.defer import Deferred  # noqa: PLC0415 -- only where Daphne has loaded it

    loop = asyncio.get_running_loop()

    def stop() -> Any:
        say()
        return Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(LAST_WORDS_S), loop=loop))

    reactor.addSystemEventTrigger("before", "shutdown", stop)
