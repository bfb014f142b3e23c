"""Run Python on certain cores with room for many connections: `python -m benchmarks.harness.on_cores 0,1 ARGV`.

The process stays the same one, so its parent can stop it and read what it used.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Collection
from pathlib import Path

ALL = sorted(os.sched_getaffinity(0))
# A server has the first core, whatever loads it the last; with one core they share it.
SERVER, LOAD = (ALL[0],), (ALL[-1],)


def raise_open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def stay_on(cores: Collection[int], pid: int = 0) -> None:
    """Every thread of a process that runs already; what it starts afterwards inherits it."""
    for thread in Path(f"/proc/{pid or os.getpid()}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def argv(cores: Collection[int], *arguments: str) -> list[str]:
    """What `roles.role` runs."""
    return ["-m", "benchmarks.harness.on_cores", ",".join(map(str, cores)), *arguments]


if __name__ == "__main__":
    stay_on([int(core) for core in sys.argv[1].split(",")])
    raise_open_files()
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])  # noqa: S606 -- our own commands
