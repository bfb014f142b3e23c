"""What the log leaves out."""

from __future__ import annotations

import logging


def without_trace(record: logging.LogRecord) -> bool:
    """For what strangers can cause at will and whose message says it all."""
    record.exc_info = record.exc_text = None
    return True
