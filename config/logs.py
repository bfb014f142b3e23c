"""What the log leaves out."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

# Whoever has the link from the mail can confirm the address of a channel, or set a new password.
LINK = re.compile(r"(/account/(?:channels/confirm|password/reset/key)/)[^/?\s]+")


def without_trace(record: logging.LogRecord) -> bool:
    """For what strangers can cause at will and whose message says it all."""
    record.exc_info = record.exc_text = None
    return True


def without_query(record: logging.LogRecord) -> bool:
    """An address may hold a key: `?token=` of Finnhub's programs, `?apiKey=` of Massive's, `?ticket=` of our own."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            argument.partition("?")[0] if isinstance(argument, str) else argument for argument in record.args
        )
    return without_link(record)


def without_link(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            LINK.sub(r"\1…", argument) if isinstance(argument, str) else argument for argument in record.args
        )
    return True


def hide_queries() -> None:
    """In what servers say of requests: uvicorn, which has set its own loggers up before it loads us, and Daphne."""
    for name in ("uvicorn.error", "uvicorn.access", "daphne.server"):
        logging.getLogger(name).addFilter(without_query)
    if access := sys.modules.get("daphne.access"):
        _hide_in(access.AccessLogGenerator)


def _hide_in(generator: type[Any]) -> None:
    """Daphne's log of accesses, which it writes unless it is told `-v 0`, is no logger."""
    written = generator.write_entry

    def write_entry(self: Any, **said: Any) -> None:
        written(self, **{**said, "request": LINK.sub(r"\1…", said["request"].partition("?")[0])})

    generator.write_entry = write_entry
