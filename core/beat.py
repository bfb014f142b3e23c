"""Celery beat that several processes may run: one holds a lease and sends, the others wait.

Periodic entries live in code (config/celery.py) and are copied into django-celery-beat's table, where staff can
switch them off; entries that code no longer has are deleted there.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import close_old_connections
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from core import leases
from core.outages import DATABASE_ERRORS

logger = logging.getLogger(__name__)

LEASE = "beat"
LEASE_TTL = timedelta(seconds=20)
# Also how often a waiting beat asks for the lease.
LOOP_S = 5
# Entries that were copied from code; what staff add by hand is theirs.
FROM_CODE = "Copied from config/celery.py"


class LeasedScheduler(DatabaseScheduler):  # type: ignore[misc]
    """`tick` sends nothing while another process holds the lease, or while PostgreSQL is away."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._epoch: int | None = None
        self._holder = leases.holder_name()
        super().__init__(*args, **kwargs)
        self.max_interval = LOOP_S
        # After each job, so that whoever takes over knows what has run.
        self.sync_every_tasks = 1

    def setup_schedule(self) -> None:
        super().setup_schedule()
        names = set(self.app.conf.beat_schedule)
        PeriodicTask.objects.filter(name__in=names).exclude(description=FROM_CODE).update(
            description=FROM_CODE
        )
        gone = PeriodicTask.objects.filter(description=FROM_CODE).exclude(name__in=names)
        for entry in gone:
            logger.info("deleting the periodic job %r: code no longer has it", entry.name)
            entry.delete()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        try:
            if not self._holds():
                return LOOP_S
            return float(super().tick(*args, **kwargs))
        except DATABASE_ERRORS as error:
            logger.warning("beat: PostgreSQL is away (%s)", type(error).__name__)
            close_old_connections()
            return LOOP_S

    def _holds(self) -> bool:
        if self._epoch is not None and leases.renew(LEASE, self._epoch, LEASE_TTL):
            return True
        self._epoch = leases.take(LEASE, self._holder, LEASE_TTL)
        if self._epoch is None:
            return False
        self._read_again()
        return True

    def _read_again(self) -> None:
        """What ran while another process held the lease must not run twice."""
        self._initial_read = True
        self._heap = None

    def populate_heap(self, *args: Any, **kwargs: Any) -> None:
        super().populate_heap(*args, **kwargs)
        # The parent may have read the table again meanwhile. Compared with the former reading, the heap would be
        # filled once more, from entries that do not know of the first job sent, and send it twice.
        self.old_schedulers = dict(self._schedule)
        self._heap_invalidated = False

    def close(self) -> None:
        if self._epoch is not None:
            leases.release(LEASE, self._epoch)
        super().close()
