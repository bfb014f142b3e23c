from __future__ import annotations

import re
import secrets
import string
import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import ClassVar, Self
from zoneinfo import available_timezones

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.tiers import LIMITS, Limits, Tier, limits_of


@cache
def time_zones() -> frozenset[str]:
    """Reading them takes a while. Left out are the names that say nothing of a place."""
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def check_time_zone(name: str) -> None:
    if name not in time_zones():
        raise ValidationError(_("Choose a time zone such as Europe/Berlin."), code="invalid_choice")


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
    time_zone = models.CharField(
        _("time zone"),
        max_length=40,
        default="America/New_York",
        validators=[check_time_zone],
        help_text=_("Days, quiet hours and times of yours are counted in it."),
    )

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


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def unrevoked(self) -> Self:
        return self.filter(revoked_at=None)

    def usable(self) -> Self:
        """Those that let somebody in."""
        return self.unrevoked().filter(user__is_active=True)

    def revoke(self, now: datetime) -> int:
        """How many were still to be revoked."""
        return self.unrevoked().update(revoked_at=now)

    def touch(self, ids: Collection[int], now: datetime) -> None:
        """They were used. A row that somebody else is busy with is skipped: he says the same."""
        with connection.cursor() as cursor:
            cursor.execute(TOUCH, {"ids": list(ids), "now": now, "before": now - ApiKey.USED_GRAIN})


TOUCH = """
UPDATE accounts_apikey SET last_used_at = %(now)s
 WHERE id IN (SELECT id FROM accounts_apikey
               WHERE id = ANY (%(ids)s) AND (last_used_at IS NULL OR last_used_at <= %(before)s)
                 FOR NO KEY UPDATE SKIP LOCKED)
"""


ApiKeyManager = models.Manager.from_queryset(ApiKeyQuerySet)


class ApiKey(models.Model):
    """A program's way in, in the name of a user. Its text is shown once; only the hash of the whole text is kept.

    The text: `ot_`, the 8 characters of `prefix`, which is public and tells keys apart, `_`, 40 secret ones.
    """

    PREFIX_LENGTH = 8
    # 40 of 62 characters are 238 bits: nobody guesses, so a fast hash is enough and no salt is needed.
    SECRET_LENGTH = 40
    ALPHABET = string.digits + string.ascii_letters
    TEXT = re.compile(rf"ot_([0-9A-Za-z]{{{PREFIX_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}")
    # `last_used_at` need not be truer than this.
    USED_GRAIN = timedelta(minutes=1)

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80, help_text=_("What uses it, so that you know which one to revoke."))
    prefix = models.CharField(_("key ID"), max_length=PREFIX_LENGTH, unique=True)
    hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ApiKeyManager[ApiKey]] = ApiKeyManager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.prefix} {self.name}"

    def is_use_unsaid(self, now: datetime) -> bool:
        """Whether `last_used_at` is so old that a use is to be noted."""
        return self.last_used_at is None or self.last_used_at <= now - self.USED_GRAIN

    @classmethod
    def of(cls, user: User, name: str, text: str) -> ApiKey:
        """The row, not saved yet, of a key with this text."""
        match = cls.TEXT.fullmatch(text)
        assert match
        return cls(user=user, name=name, prefix=match[1], hash=cls.hash_of(text))

    @classmethod
    def make_text(cls) -> str:
        def characters(length: int) -> str:
            return "".join(secrets.choice(cls.ALPHABET) for _ in range(length))

        return f"ot_{characters(cls.PREFIX_LENGTH)}_{characters(cls.SECRET_LENGTH)}"

    @classmethod
    def is_text(cls, text: str) -> bool:
        """Whether this can be a key at all."""
        return cls.TEXT.fullmatch(text) is not None

    @staticmethod
    def hash_of(text: str) -> str:
        return sha256(text.encode()).hexdigest()
