from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts.models import User
from accounts.tiers import Tier
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_an_address_is_kept_and_found_in_lower_case():
    user = User.objects.create_user("Alice", " Alice@Example.COM ", "pw")

    assert user.email == "alice@example.com"
    assert User.objects.get_by_natural_key("ALICE@example.com") == user


@pytest.mark.parametrize(
    ("username", "email"), [("ALICE", "other@example.com"), ("other", "ALICE@example.com")]
)
def test_names_and_addresses_are_unique_whatever_their_case(username, email):
    make_user("alice")

    with pytest.raises(IntegrityError):
        User(username=username, email=email).save()


def test_a_form_is_told_that_a_name_is_taken():
    make_user("alice")

    with pytest.raises(ValidationError, match="This user name is taken"):
        User(username="ALICE", email="b@example.com", password="x").full_clean()


def test_an_unknown_tier_is_refused_by_the_database():
    with pytest.raises(IntegrityError):
        make_user(tier="gold")


@pytest.mark.parametrize(("tier", "limit"), [(Tier.FREE, 5), (Tier.PRO, 10), (Tier.EXPERT, 20)])
def test_a_tier_says_how_many_tickers(tier, limit):
    assert make_user(tier=tier.value).limits.max_tickers == limit
