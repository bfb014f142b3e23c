"""Starting child processes that end with their parent, and finding those an earlier run left behind.

Imports no Django: the supervisor that stays in memory is built on it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
LEFTOVER_PATIENCE_S = 20.0


class StartError(Exception):
    """Something is in the way of starting; the message is one line for the person at the terminal."""


@dataclass(frozen=True)
class Process:
    """How one child is started and stopped."""

    name: str
    argv: list[str]
    stop_signal: int = signal.SIGTERM
    log: str = ""
    """A file for its output; empty: a pipe to the parent."""
    user: int | None = None
    group: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


def bound_to_parent(death_signal: int) -> Callable[[], None]:
    """For `preexec_fn`: the child gets the signal when its parent dies, also when that is killed outright.

    Linux sends it when the parent's *thread* ends, so children are started from the main thread only.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def bind() -> None:
        if libc is None:
            return
        libc.prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os.kill(os.getpid(), death_signal)

    return bind


def spawn(process: Process) -> subprocess.Popen[bytes]:
    """Start the child in a process group of its own: Ctrl-C reaches only the parent, which stops in order."""
    log: IO[bytes] | None = Path(process.log).open("ab") if process.log else None  # noqa: SIM115 -- closed below
    try:
        return subprocess.Popen(  # noqa: S603 -- our own commands
            process.argv,
            stdin=subprocess.DEVNULL,
            stdout=log or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **process.environment},
            process_group=0,
            user=process.user,
            group=process.group,
            extra_groups=None if process.user is None else [],
            preexec_fn=bound_to_parent(process.stop_signal),  # noqa: PLW1509 -- only prctl, before any thread
        )
    except OSError as error:
        raise StartError(f"{process.name} cannot be started: {error}") from error
    finally:
        if log:
            log.close()


def take_lock(path: Path) -> int:
    """The open lock file of this data folder, or StartError when another supervisor has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(handle, 20).decode(errors="replace").strip()
        os.close(handle)
        raise StartError(f"already running on {path.parent} (process {owner or 'unknown'})") from None
    os.truncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def start_ticks(pid: int) -> str | None:
    """When the process started, in clock ticks since boot: with the pid it names one process for ever."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def write_record(path: Path, pids: Mapping[str, tuple[int, int]]) -> None:
    """Note (pid, stop signal) by name; on a full disk it is left out, as it only helps the next start."""
    rows = {name: [pid, start_ticks(pid), stop] for name, (pid, stop) in pids.items()}
    fresh = path.with_suffix(".new")
    with suppress(OSError):
        fresh.write_text(json.dumps(rows))
        fresh.replace(path)


def leftovers(path: Path) -> dict[int, int]:
    """Stop signal by pid of the recorded processes that still run: the same ones, not a reused pid."""
    try:
        rows = json.loads(path.read_text()).values()
        return {pid: stop for pid, ticks, stop in rows if ticks is not None and start_ticks(pid) == ticks}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # no note, or one cut short by a full disk


def stop_all(signals: Mapping[int, int], patience_s: float = LEFTOVER_PATIENCE_S) -> None:
    """Stop processes that are not our children, with force after a while; returns when they are gone."""
    started = {pid: start_ticks(pid) for pid in signals}
    deadline = time.monotonic() + patience_s
    for pid, stop in signals.items():
        with suppress(ProcessLookupError):
            os.kill(pid, stop)
    while running := [pid for pid in signals if started[pid] and start_ticks(pid) == started[pid]]:
        if time.monotonic() > deadline:
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
