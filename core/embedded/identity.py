"""Who PostgreSQL runs as: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass

COMMAND_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Identity:
    """An account, or a user namespace entered through `unshare`; as an ordinary user neither."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def runs(self, *argv: str) -> bool:
        try:
            return self.run(*argv).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False

    def run(self, *argv: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 -- our own commands
            [*self.prefix, *argv],
            input=text,
            text=True,
            capture_output=True,
            check=False,
            timeout=COMMAND_PATIENCE_S,
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
        )


def possible_identities() -> list[Identity]:
    """As root first a user namespace (works inside a private home), then an unprivileged account."""
    if os.geteuid() != 0:
        return [Identity()]
    account = _unprivileged_account()
    unshare = ("unshare", "--user", f"--map-user={account.pw_uid}", f"--map-group={account.pw_gid}", "--")
    return [Identity(prefix=unshare), Identity(user=account.pw_uid, group=account.pw_gid)]


def _unprivileged_account() -> pwd.struct_passwd:
    # initdb looks its own name up, so the account must be one that exists.
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return next(account for account in pwd.getpwall() if account.pw_uid != 0)
