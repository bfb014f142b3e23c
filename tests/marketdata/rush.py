"""Four processes with sixteen threads each that take the same thing at the same moment.

`python -m tests.marketdata.rush WHAT NAME` says one line for each taker.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

PROCESSES = 4
THREADS = 16
LIMIT = 10
ROOT = Path(__file__).resolve().parents[2]


def rush(what: str, name: str) -> list[str]:
    """What each of the 64 takers got."""
    command = [sys.executable, "-m", "tests.marketdata.rush", what, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def _probe(name: str) -> str:
    from marketdata.providers import breakers  # noqa: PLC0415 -- needs the settings

    return breakers.allows(name).state.value


def _quota(name: str) -> str:
    from marketdata import quota  # noqa: PLC0415 -- needs the settings
    from marketdata.providers.base import Window  # noqa: PLC0415 -- likewise
    from tests.providers import Scripted  # noqa: PLC0415 -- likewise

    provider = Scripted(name=name, windows=(Window(LIMIT, 600),))
    return str(quota.take(provider, quota.Priority.ALERT).granted)


def _take(what: str, name: str) -> None:
    take = {"probe": _probe, "quota": _quota}[what]
    barrier = Barrier(THREADS)

    def one(_: int) -> str:
        barrier.wait(30)
        return take(name)

    with ThreadPoolExecutor(THREADS) as pool:
        for got in pool.map(one, range(THREADS)):
            os.write(1, f"{got}\n".encode())


def main() -> None:
    import django  # noqa: PLC0415 -- only in the processes that take

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    children = []
    for _ in range(PROCESSES):
        child = os.fork()
        if not child:
            _take(*sys.argv[1:3])
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        sys.exit("a taker died")


if __name__ == "__main__":
    main()
