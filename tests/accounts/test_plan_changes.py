from __future__ import annotations

import pytest
from django.db import transaction

from accounts.models import User
from accounts.plan_changes import change_tier
from accounts.signals import tier_changed
from accounts.tiers import Tier
from tests.factories import make_user


@pytest.fixture
def told():
    """What receivers of the signal are told."""
    heard: list[tuple[User, Tier, Tier]] = []

    def listen(sender, user, old, new, **rest):
        heard.append((user, old, new))

    tier_changed.connect(listen)
    yield heard
    tier_changed.disconnect(listen)


@pytest.mark.django_db(transaction=True)
def test_a_change_is_stored_and_told_after_the_commit(told):
    user = make_user(tier="pro")

    with transaction.atomic():
        change_tier(user, "free")
        assert told == []

    assert told == [(user, Tier.PRO, Tier.FREE)]
    assert (user.tier, User.objects.get(pk=user.pk).tier) == ("free", "free")


@pytest.mark.django_db(transaction=True)
def test_the_same_tier_again_tells_nobody(told):
    user = make_user(tier="pro")

    change_tier(user, "pro")

    assert told == []


@pytest.mark.django_db(transaction=True)
def test_the_old_tier_is_what_stands_in_the_database(told):
    user = make_user(tier="free")
    User.objects.filter(pk=user.pk).update(tier="expert")

    change_tier(user, "pro")

    assert told == [(user, Tier.EXPERT, Tier.PRO)]


@pytest.mark.django_db
def test_a_tier_that_does_not_exist_changes_nothing():
    user = make_user(tier="pro")

    with pytest.raises(ValueError, match="gold"):
        change_tier(user, "gold")

    assert User.objects.get(pk=user.pk).tier == "pro"


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_fails_does_not_undo_the_change():
    user = make_user(tier="pro")

    def fail(**rest):
        raise RuntimeError

    tier_changed.connect(fail)
    try:
        change_tier(user, "free")
    finally:
        tier_changed.disconnect(fail)

    assert User.objects.get(pk=user.pk).tier == "free"
