"""Starting the bundled servers together, and stopping them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence

from core.bundled import Bundle
from core.embedded.machine import MB, last_log_line
from core.embedded.postgres import Postgres
from core.embedded.redis import Redis
from core.processes import StartError, spawn

START_PATIENCE_S = 120.0
"""Crash recovery after a busy day may take a while; a server that ends before is noticed at once."""
LOG_LIMIT = 10 * MB

Server = Postgres | Redis


def make_folders(bundle: Bundle) -> None:
    """The data folder and, mode 0700, the folders of sockets and logs."""
    bundle.data.mkdir(parents=True, exist_ok=True)
    for folder in (bundle.run_dir, bundle.log_dir):
        folder.mkdir(mode=0o700, exist_ok=True)
    found = bundle.run_dir.lstat()
    # Whoever can reach the sockets is trusted, so a folder of somebody else's making will not do.
    if bundle.run_dir.is_symlink() or (os.geteuid() != 0 and found.st_uid != os.geteuid()):
        raise StartError(f"{bundle.run_dir} belongs to somebody else: remove it or choose a shorter DATA_DIR")
    bundle.run_dir.chmod(0o700)
    for log in bundle.log_dir.glob("*.log"):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))


def start(servers: Sequence[Server]) -> list[subprocess.Popen[bytes]]:
    """Start all, return when all answer; StartError, with none left running, when one does not.

    Redis is best named first: it starts while PostgreSQL is being prepared.
    """
    started: list[subprocess.Popen[bytes]] = []
    try:
        for server in servers:
            server.prepare()
            server.stop_leftover()
            started.append(spawn(server.process()))
        for server, child in zip(servers, started, strict=True):
            _await_ready(server, child)
    except BaseException:
        stop(started)
        raise
    return started


def _await_ready(server: Server, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while child.poll() is None:
        if server.is_ready(child.pid):
            return
        if time.monotonic() > deadline:
            raise StartError(f"{server.name} does not answer after {START_PATIENCE_S:.0f} s")
        time.sleep(0.01)
    raise StartError(f"{server.name} ended at its start: {last_log_line(server.process().log)}")


def stop(children: Sequence[subprocess.Popen[bytes]], patience_s: float = 30.0) -> None:
    for child in children:
        child.send_signal(signal.SIGINT)
    deadline = time.monotonic() + patience_s
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
