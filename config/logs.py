"""What the log leaves out."""

from __future__ import annotations

import logging


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
    return True


def hide_queries() -> None:
    """In what uvicorn says of requests; it has set its own loggers up before it loads us. Daphne says no query."""
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).addFilter(without_query)
