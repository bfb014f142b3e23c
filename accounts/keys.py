"""Making and revoking API keys. A key's text exists once, in the answer to who made it."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction

from accounts.errors import KeyLimit
from accounts.models import ApiKey, User
from core import clock

# Of the revoked ones so many are kept, to tell what a key in an old log was; who makes keys in a loop fills no table.
REVOKED_KEPT = 50


@dataclass(frozen=True, slots=True)
class NewKey:
    row: ApiKey
    text: str = field(repr=False)


def make_key(user: User, name: str) -> NewKey:
    """A new key of this user; raises KeyLimit, exactly, since the user's row is locked meanwhile."""
    text = ApiKey.make_text()
    with transaction.atomic():
        owner = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if owner.api_keys.unrevoked().count() >= owner.limits.max_api_keys:
            raise KeyLimit(owner.tier)
        _forget_old(owner)
        row = ApiKey.of(owner, name, text)
        row.save(force_insert=True)
    return NewKey(row, text)


def revoke(user: User, key_id: int) -> ApiKey:
    """From now on it lets nobody in; once more is fine. Raises ApiKey.DoesNotExist for what is not theirs."""
    key = user.api_keys.get(pk=key_id)
    user.api_keys.filter(pk=key_id).revoke(clock.now())
    return key


def _forget_old(user: User) -> None:
    old = user.api_keys.filter(revoked_at__isnull=False).order_by("-revoked_at", "-pk")[REVOKED_KEPT:]
    ApiKey.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()
