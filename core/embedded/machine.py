"""What the bundled servers may take of this machine, and what their logs say when they fail."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

MB = 1024 * 1024


def memory_bytes() -> int:
    """Memory this process may use: the machine's, or its control group's limit when that is lower."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            return min(total, int(Path(path).read_text()))
    return total


def share_mb(memory: int, part: int, least_mb: int, most_mb: int) -> int:
    """One part of the memory in MB, within bounds."""
    return min(most_mb, max(least_mb, memory // part // MB))


def last_log_line(path: str) -> str:
    with suppress(OSError):
        return last_words(Path(path).read_text(errors="replace")[-4000:])
    return "it left no word"


def last_words(text: str) -> str:
    """The line that says why: the last one of the gravest kind, without its time stamp."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for sign in ("No space left", "FATAL", "PANIC", "rror"):
        if found := [line for line in lines if sign in line]:
            return re.sub(r"^[\d-]+ [\d:.]+ \w+ \[\d+\] ", "", found[-1])
    return lines[-1] if lines else "it left no word"
