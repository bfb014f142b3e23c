"""A whole small installation for the browser: throw-away servers, demo data, web and tape as real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

from core.embedded.throwaway import Throwaway
from core.processes import bound_to_parent

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30
# What a worker would do when the first person opens them.
LOAD_PAST = (
    "from marketdata import actions, backfill; "
    "[(backfill.load(symbol), actions.load(symbol)) for symbol in ('AAPL', 'MSFT', 'IBM')]"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Site:
    """`start` prepares the database and runs the roles that a page with live prices needs."""

    servers: Throwaway = field(default_factory=Throwaway)
    port: int = field(default_factory=free_port)
    roles: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.servers.environment, "ALLOWED_HOSTS": "127.0.0.1", "REPLAY_SPEED": "10"}

    def start(self) -> None:
        self.servers.start()
        self.manage("migrate", "-v", "0")
        self.manage("loaddemo")
        self.manage("shell", "-v", "0", "-c", LOAD_PAST)
        web = [
            "-m",
            "core.web",
            "-v",
            "0",
            "-b",
            "127.0.0.1",
            "-p",
            str(self.port),
            "config.asgi:application",
        ]
        self.roles = {"web": self.run(*web), "tape": self.run("manage.py", "runtape")}
        self.wait()

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=quiet,
            stderr=quiet,
            preexec_fn=bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 -- before any thread of ours
        )

    def wait(self) -> None:
        until = time.monotonic() + READY_S
        while not self._answers():
            assert time.monotonic() < until, "the site did not start"
            assert self.roles["web"].poll() is None, "the web process ended"
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=1):
                return True
        except (URLError, ConnectionError, TimeoutError):
            return False

    def suspend(self, role: str) -> None:
        self.roles[role].send_signal(signal.SIGSTOP)

    def go_on(self, role: str) -> None:
        self.roles[role].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for process in self.roles.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.roles.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.servers.stop()
