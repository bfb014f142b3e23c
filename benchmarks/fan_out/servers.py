"""Web servers on the server's cores, as they are run in production, on loopback."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.harness import on_cores
from benchmarks.harness.roles import role, wait_until

APPLICATION = "config.asgi:application"
NAIVE = "benchmarks.fan_out.naive:application"
STREAMING = ["--loop", "uvloop", "--http", "httptools", "--ws-per-message-deflate", "false"]


@dataclass(frozen=True)
class Web:
    """A running server."""

    port: int
    child: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.child.pid


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def arguments(server: str, port: int, workers: int, application: str) -> Sequence[str]:
    """What follows `python`."""
    if server == "daphne":
        ours = "daphne" if application == NAIVE else "core.web"
        return ["-m", ours, "-v", "0", "-b", "127.0.0.1", "-p", str(port), application]
    here = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers), "--log-level", "warning"]
    return ["-m", "uvicorn", application, *here, *STREAMING, "--no-access-log"]


@contextmanager
def web(
    server: str,
    *,
    workers: int = 1,
    application: str = APPLICATION,
    cores: Collection[int] = on_cores.SERVER,
    port: int = 0,
) -> Iterator[Web]:
    """Serving when the block begins."""
    port = port or free_port()
    argv = on_cores.argv(cores, *arguments(server, port, workers, application))
    with role(f"web-{server}", *argv) as child:
        wait_until(lambda: _listens(port), child, f"web-{server}")
        yield Web(port, child)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
