"""Servers for tests and benchmarks: in a folder of their own, gone at the end, never the user's.

`python -m core.embedded.throwaway COMMAND …` runs a command on fresh ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from core.bundled import Bundle
from core.embedded import servers
from core.embedded.postgres import Postgres
from core.embedded.redis import Redis
from core.processes import StartError

# Nothing is kept, so nothing has to be safe.
UNSAFE_POSTGRES = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}
UNSAFE_REDIS = {"appendonly": "no", "maxmemory": "256mb"}


class Throwaway:
    """A context manager around throw-away servers; `durable` keeps the settings of the real ones."""

    def __init__(self, *, postgres: bool = True, redis: bool = True, durable: bool = False) -> None:
        # Not the configured temporary folder, which may be too long a path for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="onetape-", dir="/tmp"))
        self.bundle = Bundle(self.folder)
        self._postgres = postgres
        self._redis = redis
        self._durable = durable
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead to these servers."""
        found = {"DATA_DIR": str(self.folder)}
        if self._postgres:
            found["DATABASE_URL"] = f"postgres://onetape@{quote(str(self.bundle.run_dir), safe='')}/onetape"
        if self._redis:
            found["REDIS_URL"] = self.bundle.redis_url
        return found

    def start(self) -> None:
        servers.make_folders(self.bundle)
        wanted: list[servers.Server] = []
        if self._redis:
            wanted.append(Redis(self.bundle, {} if self._durable else UNSAFE_REDIS))
        if self._postgres:
            wanted.append(Postgres(self.bundle, {} if self._durable else UNSAFE_POSTGRES))
        self._children = servers.start(wanted)

    def stop(self) -> None:
        servers.stop(self._children)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main(command: list[str]) -> int:
    try:
        with Throwaway() as servers:
            environment = {**os.environ, **servers.environment}
            return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 -- as asked
    except StartError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- a command line
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
