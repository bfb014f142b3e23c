from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.tiers import LIMITS, Limits, Tier, limits_of


class UserManager(DjangoUserManager["User"]):
    """Keeps e-mail addresses in lower case, on writing and on looking up."""

    use_in_migrations = False

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return super().normalize_email(email).strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=self.normalize_email(username))


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in with an e-mail address; the tier says how much of the shared feed is theirs."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(
        _("e-mail address"),
        unique=True,
        error_messages={"unique": _("There is already an account with this e-mail address.")},
    )
    username = models.CharField(
        _("user name"),
        max_length=40,
        unique=True,
        validators=[UnicodeUsernameValidator()],
        help_text=_("Letters, digits and @ . + - _ only; shown to other people."),
        error_messages={"unique": _("This user name is taken.")},
    )
    tier = models.CharField(
        max_length=10,
        choices=[(tier.value, limits.label) for tier, limits in LIMITS.items()],
        default=Tier.FREE.value,
        db_index=True,
    )
    is_staff = models.BooleanField(
        _("staff"), default=False, help_text=_("May open this administration site.")
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Clear this instead of deleting the account.")
    )
    date_joined = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["username"]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_ci_unique",
                violation_error_message=_("There is already an account with this e-mail address."),
            ),
            models.UniqueConstraint(
                Lower("username"),
                name="user_username_ci_unique",
                violation_error_message=_("This user name is taken."),
            ),
            models.CheckConstraint(
                condition=models.Q(tier__in=[tier.value for tier in Tier]), name="user_tier_known"
            ),
        ]
        indexes = [models.Index(fields=["-date_joined"], name="user_joined")]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = UserManager.normalize_email(self.email)
        self.username = self.normalize_username(self.username)

    @property
    def limits(self) -> Limits:
        return limits_of(self.tier)
