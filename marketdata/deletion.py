"""Deleting a ticker while the tape writes its bars.

Django deletes what hangs on a ticker first and the ticker last: a bar written in between would make the whole deletion
fail. So the ticker is locked before anything is deleted, and whoever writes for it waits, and then does not find it.
"""

from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_delete

from marketdata.models import Ticker


def register() -> None:
    pre_delete.connect(_lock, sender=Ticker, dispatch_uid="marketdata.deletion")


def _lock(instance: Ticker, using: str, **_: Any) -> None:
    """Called within the transaction of the deletion."""
    Ticker.objects.using(using).select_for_update().filter(pk=instance.pk).first()
