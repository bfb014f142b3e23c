"""A leader lease with a fencing token: one PostgreSQL row per lease, judged by the server's clock.

Guarantees: at most one holder per epoch; epochs come from one sequence for all leases, so they rise with every
new holder, even when a ticker changes shard.
Everything written under a lease carries the epoch, and readers refuse lower ones.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from datetime import timedelta
from pathlib import Path

from django.db import connection

# An epoch is drawn before the row is waited for: one that was overtaken meanwhile must not be granted late.
TAKE = """
INSERT INTO core_lease AS held (name, holder, epoch, expires_at)
VALUES (%(name)s, %(holder)s, nextval('core_lease_epoch'), clock_timestamp() + make_interval(secs => %(ttl_s)s))
ON CONFLICT (name) DO UPDATE
   SET holder = excluded.holder, epoch = excluded.epoch, expires_at = excluded.expires_at
 WHERE held.expires_at <= clock_timestamp() AND held.epoch < excluded.epoch
RETURNING epoch
"""
RENEW = """
UPDATE core_lease SET expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s)
 WHERE name = %(name)s AND epoch = %(epoch)s
"""
HOLD = "SELECT 1 FROM core_lease WHERE name = %(name)s AND epoch = %(epoch)s FOR SHARE"
RELEASE = "UPDATE core_lease SET expires_at = clock_timestamp() WHERE name = %(name)s AND epoch = %(epoch)s"

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PROCESS_IDS = Path("/proc/self/ns/pid")


def _machine() -> str | None:
    """This start of this host and its space of process ids; None where that cannot be told for certain.

    Two machines may share a name (clones of one image), and two containers share the machine's boot.
    """
    try:
        boot = BOOT_ID.read_text().strip()
        space = PROCESS_IDS.stat().st_ino
    except OSError:
        return None
    return f"{socket.gethostname()}/{hashlib.sha256(f'{boot}/{space}'.encode()).hexdigest()[:16]}"


def holder_name() -> str:
    """Who holds: machine, process and a random part, so that a reused process id is somebody else."""
    return f"{_machine() or socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def died_here(holder: str) -> bool:
    """Whether the holder was a process of this machine that is gone; False whenever that is not certain."""
    machine, _, rest = holder.rpartition(":")[0].rpartition(":")
    if machine != _machine() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
        state = Path(f"/proc/{rest}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return state == "Z"  # dead, and its parent has not noticed yet


def take_over_from_dead(name: str) -> bool:
    """End the lease of a holder that died on this machine, so that nobody waits for it to run out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT holder FROM core_lease WHERE name = %s", [name])
        row = cursor.fetchone()
        if row is None or not died_here(row[0]):
            return False
        cursor.execute(
            "UPDATE core_lease SET expires_at = clock_timestamp() WHERE name = %s AND holder = %s",
            [name, row[0]],
        )
        return bool(cursor.rowcount)


def take(name: str, holder: str, ttl: timedelta) -> int | None:
    """The new epoch, or None while somebody else holds the lease and may still be alive."""
    epoch = _take(name, holder, ttl)
    if epoch is None and take_over_from_dead(name):
        epoch = _take(name, holder, ttl)
    return epoch


def _take(name: str, holder: str, ttl: timedelta) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"name": name, "holder": holder, "ttl_s": ttl.total_seconds()})
        row = cursor.fetchone()
    return row[0] if row else None


def renew(name: str, epoch: int, ttl: timedelta) -> bool:
    """False when the lease went to somebody else: stop writing at once.

    One that ran out and that nobody took is still ours: PostgreSQL may have been away longer than it lasts.
    """
    with connection.cursor() as cursor:
        cursor.execute(RENEW, {"name": name, "epoch": epoch, "ttl_s": ttl.total_seconds()})
        return bool(cursor.rowcount)


def release(name: str, epoch: int) -> None:
    """Let the next holder in at once; does nothing when the lease is no longer ours."""
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, {"name": name, "epoch": epoch})


def give_way(name: str, epoch: int, known: int) -> None:
    """Somebody has seen a higher epoch than ours: a newer holder's, or one of a database from another time.

    Epochs go on above it, and a lease that is still ours is free again at once.
    """
    rise_above(known)
    release(name, epoch)


def rise_above(epoch: int) -> None:
    """Draw the next epochs above this one; does nothing where they already are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval('core_lease_epoch', %s) FROM core_lease_epoch WHERE last_value < %s",
            [epoch, epoch],
        )


def hold(name: str, epoch: int) -> bool:
    """Inside a transaction: nobody can take the lease over until it ends. False when it is no longer ours."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD, {"name": name, "epoch": epoch})
        return cursor.fetchone() is not None
