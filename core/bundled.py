"""Where the bundled PostgreSQL and Redis live: everything follows from the data folder.

So every command of one installation finds the servers that a running `up` started, without being told.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A Unix socket path ends at 107 characters; the longest name below it is ".s.PGSQL.5432" plus a slash.
LONGEST_RUN_DIR = 107 - len("/.s.PGSQL.5432.lock")

# Not what TMPDIR says: it differs between a terminal, a service and `sudo`, and all have to find the same sockets.
SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 -- the folder made in it is ours alone, and checked


def short_folder() -> Path:
    usable = (folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK))
    return next(usable, Path(tempfile.gettempdir()))


@dataclass(frozen=True)
class Bundle:
    """Paths and URLs of the bundled servers below one data folder."""

    data: Path

    @property
    def run_dir(self) -> Path:
        """The folder of the sockets, mode 0700: below the data, or on a short path when that is too long."""
        inside = self.data / "run"
        if len(str(inside)) <= LONGEST_RUN_DIR:
            return inside
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        return short_folder() / f"onetape-{digest}"

    @property
    def postgres_data(self) -> Path:
        return self.data / "postgres"

    @property
    def redis_data(self) -> Path:
        return self.data / "redis"

    @property
    def redis_socket(self) -> Path:
        return self.run_dir / "redis.sock"

    @property
    def log_dir(self) -> Path:
        return self.data / "log"

    @property
    def lock(self) -> Path:
        """Locked by the one supervisor that may use this data folder."""
        return self.data / "up.lock"

    @property
    def record(self) -> Path:
        """What the supervisor started, so that the next one finds what an ended one left behind."""
        return self.data / "up.json"

    @property
    def database_settings(self) -> dict[str, str]:
        """The connection part of a Django DATABASES entry."""
        return {"NAME": "onetape", "USER": "onetape", "HOST": str(self.run_dir), "PORT": "5432"}

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}"
