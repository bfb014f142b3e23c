"""The addresses a person can log in with."""

from __future__ import annotations

from allauth.account.models import EmailAddress

from accounts.models import User


def forget_address(user: User, email: str) -> None:
    """Take an address from a user who got another one: allauth would still let them in with it."""
    EmailAddress.objects.filter(user=user, email__iexact=email).delete()
