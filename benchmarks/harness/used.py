"""What processes use: processor time and memory, read from the kernel."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and all that came of it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float:
    """Of a process and its living descendants."""
    total = 0
    for one in family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mb(pid: int) -> float:
    """Proportional set size: what several processes share is counted once."""
    total = 0
    for one in family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def tcp_memory_mb() -> float:
    """What the kernel holds for all TCP connections of the machine."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return 0.0


class CpuWatch:
    """Per cent of one core that a process took since the last look."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._at, self._used = time.monotonic(), cpu_seconds(pid)

    def percent(self) -> float:
        at, used = time.monotonic(), cpu_seconds(self._pid)
        percent = (used - self._used) / (at - self._at) * 100
        self._at, self._used = at, used
        return percent
