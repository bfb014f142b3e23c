from __future__ import annotations

from importlib import import_module

from celery import shared_task
from django.conf import settings


@shared_task(name="core.clear_sessions", expires=3_600)
def clear_sessions() -> None:
    """Sessions whose time is over; nothing else ever deletes them."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
