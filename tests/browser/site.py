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

import redis

from core.embedded.throwaway import Throwaway
from core.processes import bound_to_parent

ROOT = Path(__file__).resolve().parents[2]
READY_S = 180  # on a busy machine
# What a worker would do when the first person opens them.
LOAD_PAST = (
    "from marketdata import actions, backfill; "
    "[(backfill.load(symbol), actions.load(symbol)) for symbol in ('AAPL', 'MSFT', 'IBM')]"
)


@dataclass
class Site:
    """`start` prepares the database and runs the roles that a page with live prices needs."""

    servers: Throwaway = field(default_factory=Throwaway)
    # Bound from the start and handed to the web process: a port that was only looked for may be taken by then.
    door: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    roles: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.door.getsockname()[1]

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
        web = ["-m", "core.web", "-v", "0", "--fd", str(self.door.fileno()), "config.asgi:application"]
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
            pass_fds=[self.door.fileno()],
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
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=10):
                return True
        except (URLError, ConnectionError, TimeoutError):
            return False

    def forget_limits(self) -> None:
        """All people of the tests come from one address, which may sign up 20 a minute only."""
        with redis.Redis.from_url(self.servers.environment["REDIS_URL"]) as client:
            for key in client.scan_iter("*allauth:rl:*", count=1000):
                client.delete(key)

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
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.door.close()
        self.servers.stop()
