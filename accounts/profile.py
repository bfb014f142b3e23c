"""What people say of themselves, and whom it concerns."""

from __future__ import annotations

from functools import cache

from django.db import transaction

from accounts.models import User, time_zones
from accounts.signals import time_zone_changed

# Where people live; the other names of the database are abbreviations, and aliases of these.
_AREAS = frozenset(
    [
        *("Africa", "America", "Antarctica", "Arctic", "Asia"),
        *("Atlantic", "Australia", "Europe", "Indian", "Pacific"),
    ]
)


def change_time_zone(user: User, name: str) -> None:
    """`name` is checked. Told on commit to whom days of this user matter; the same zone again is told to nobody."""
    with transaction.atomic():
        row = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        user.time_zone = name
        if row.time_zone == name:
            return
        User.objects.filter(pk=user.pk).update(time_zone=name)
        transaction.on_commit(lambda: time_zone_changed.send(User, user=user), robust=True)


@cache
def places() -> tuple[str, ...]:
    """The time zones to choose from."""
    return ("UTC", *sorted(name for name in time_zones() if name.partition("/")[0] in _AREAS))
