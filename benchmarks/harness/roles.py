"""Processes beside the benchmark: a counting vendor, a real tape, a real web server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from benchmarks.vendor.bill import Bill
from core.processes import Process, StartError, spawn

START_PATIENCE_S = 60.0
STOP_PATIENCE_S = 15.0


@contextmanager
def role(name: str, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python ARGV`, bound to this process, its output in a file; stopped at the end."""
    log = str(settings.BUNDLE.log_dir / f"{name}.log")
    child = spawn(Process(name=name, argv=[sys.executable, *argv], log=log))
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def vendor() -> Iterator[Bill]:
    """The vendor of `benchmarks.vendor`, and the one who may read its bill."""
    address = str(settings.BUNDLE.run_dir / "vendor.sock")
    with role("vendor", "-m", "benchmarks.vendor.server", address) as child:
        wait_until(Path(address).exists, child, "vendor")
        yield Bill(address)


@contextmanager
def tape(bill: Bill, name: str = "tape") -> Iterator[subprocess.Popen[bytes]]:
    """The real `runtape`, with the counting vendor as its only provider."""
    with role(name, "-m", "benchmarks.vendor.tape", bill.address) as child:
        yield child


@contextmanager
def web() -> Iterator[str]:
    """The real web process; the path of its socket."""
    address = settings.BUNDLE.run_dir / "web.sock"
    with role("web", "-m", "daphne", "-v", "0", "-u", str(address), "config.asgi:application") as child:
        wait_until(address.exists, child, "web")
        yield str(address)


def wait_until(
    condition: Callable[[], bool],
    child: subprocess.Popen[bytes],
    name: str,
    patience_s: float = START_PATIENCE_S,
) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        if child.poll() is not None or time.monotonic() > deadline:
            log = settings.BUNDLE.log_dir / f"{name}.log"
            raise StartError(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
