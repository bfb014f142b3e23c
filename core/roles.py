"""The processes of one machine, as data: how each role is started, and which come first."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from core.processes import Process

# Two allocator arenas instead of eight per core, so that threads reuse each other's freed memory.
ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}
CELERY = ("-m", "celery", "--quiet", "-A", "config")
WORKER = (*CELERY, "worker", "-l", "WARNING", "--without-gossip", "--without-mingle")
# As root in a container there is nobody else to be; six lines of advice at each start help nobody.
AS_ROOT = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}

# A reader that has stopped is dropped within 15 s, as Daphne never waits for it; no connection is too old (its own
# limit is a day); and no message is read that is larger than any of ours.
DAPHNE = (
    *("-v", "0"),
    *("--ping-interval", "7", "--ping-timeout", "8"),
    *("--websocket_timeout", "-1"),
    *("--websocket-max-message-size", "65536", "--websocket-max-frame-size", "65536"),
)


def first_roles(host: str, port: int, shards: int = 1) -> list[Process]:
    """What a page with live prices needs."""
    return [
        _role("web", "-m", "core.web", *DAPHNE, "-b", host, "-p", str(port), "config.asgi:application"),
        *tapes(shards),
    ]


def tapes(shards: int) -> list[Process]:
    return _of_each_shard("tape", "runtape", shards)


def alerts(shards: int) -> list[Process]:
    return _of_each_shard("alerts", "runalerts", shards)


def _of_each_shard(name: str, command: str, shards: int) -> list[Process]:
    if shards == 1:
        return [_role(name, _manage(), command)]
    return [_role(f"{name}{i}", _manage(), command, "--shard", f"{i}/{shards}") for i in range(shards)]


def shard_argument(text: str) -> tuple[int, int]:
    """Of such a command."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not int(found[1]) < int(found[2]):
        raise ArgumentTypeError("write i/n with 0 <= i < n, such as 0/1")
    return int(found[1]), int(found[2])


def later_roles(shards: int = 1) -> list[Process]:
    """Alerts; two workers, since one shared worker made real-time tasks wait for slow ones (3-11 s, measured).

    Threads cannot be stopped: what runs in them ends by its own budgets. A slow task runs in a child process, which
    is killed when the task's time limit is over; it is replaced now and then, so that no leak grows for ever.
    """
    realtime = ("-Q", "realtime,default", "-P", "threads", "-c", "4", "-n", "realtime@%h")
    slow = ("-Q", "slow", "-P", "prefork", "-c", "1", "--max-tasks-per-child", "500", "-n", "slow@%h")
    return [
        *alerts(shards),
        _role("worker", *WORKER, *realtime),
        _role("slow", *WORKER, *slow),
        _role("beat", *CELERY, "beat", "-l", "WARNING", "--pidfile="),
    ]


def _role(name: str, *argv: str) -> Process:
    return Process(name=name, argv=[sys.executable, *argv], environment={**ENVIRONMENT, **AS_ROOT})


def _manage() -> str:
    return str(Path(__file__).resolve().parent.parent / "manage.py")
