"""Changing what a person may do: the only way a tier changes after sign-up."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from accounts.signals import tier_changed
from accounts.tiers import Tier


def change_tier(user: User, tier: str) -> None:
    """Give `user` another tier and, on commit, tell who depends on it; the same tier again tells nobody.

    The row is locked, so that of two changes at once each is told with the tier it really replaced.
    Raises ValueError for a tier that does not exist.
    """
    new = Tier(tier)
    with transaction.atomic():
        old = Tier(User.objects.select_for_update(no_key=True).values_list("tier", flat=True).get(pk=user.pk))
        user.tier = new.value
        if old is new:
            return
        User.objects.filter(pk=user.pk).update(tier=new.value)
        transaction.on_commit(lambda: tier_changed.send(User, user=user, old=old, new=new), robust=True)
