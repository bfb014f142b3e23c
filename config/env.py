"""Reading the environment: every variable also as NAME_FILE, and a wrong value stops the start by name."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

import dj_email_url  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv

from core.addresses import Allowed, Refused, parse

POSTGRESQL = ("postgres", "postgresql")
REDIS = ("redis", "rediss", "unix")
WEB = ("https", "http")
WEBSOCKET = ("wss", "ws")
BROKERS = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps")

# Spellings of other projects that mean the same, as the library has them.
MAIL_SPELLINGS = {"consolemail": "console", "smtp+tls": "submission", "smtp+ssl": "submission"}
MAIL_TIMEOUT_S = 10
SMTP_SSL_PORT = 465


class Environment(FileAwareEnv):
    """Messages name the variable and never the value: it may hold a password."""

    def _get_value(self, env_key: str, default: Any) -> Any:
        try:
            return super()._get_value(env_key, default)
        except ValueError as error:
            raise ImproperlyConfigured(f"{env_key}_FILE must name a readable text file.") from error

    def above_zero(self, name: str, default: float) -> float:
        number: float = self.float(name, default)
        if not (isfinite(number) and number > 0):
            raise ImproperlyConfigured(f"{name} must be a number above 0, such as 1.")
        return number

    def money(self, name: str, default: str) -> Decimal:
        """An amount that is not negative."""
        amount: Decimal = self.decimal(name, Decimal(default))
        if not (amount.is_finite() and amount >= 0):
            raise ImproperlyConfigured(f"{name} must be an amount of US dollars, such as 5.00.")
        return amount

    def address(self, name: str, default: str = "", *, schemes: Collection[str]) -> str:
        """A URL of one of the schemes, or nothing. Brokers may be several, as Celery has them."""
        value: str = self.str(name, default)
        parts = value.split(";") if schemes is BROKERS else [value]
        if value and any(_scheme(name, part) not in schemes for part in parts):
            raise ImproperlyConfigured(f"{name} must start with {_listed(schemes)}.")
        return value

    def origin(self, name: str, default: str) -> str:
        """Scheme, host and port, as a browser shows them."""
        try:
            target = parse(self.str(name, "") or default)
        except Refused as error:
            raise ImproperlyConfigured(f"{name} cannot be used. {error}") from None
        if target.path != "/":
            raise ImproperlyConfigured(f"{name} must end after the host or port: https://onetape.example.com")
        return target.origin

    def egress(self, name: str) -> list[str]:
        """What of our own network users may name as the address of a channel."""
        found = comma_list(name)
        try:
            Allowed(found)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name}: {error}, such as hooks.internal:8080 or 10.1.0.0/16."
            ) from error
        return found

    def database(self, name: str) -> dict[str, Any]:
        """A Django DATABASES entry."""
        found: dict[str, Any] = dict(self.dj_db_url(name))
        if not found["NAME"]:
            raise ImproperlyConfigured(f"{name} must end with the name of a database: postgres://…/onetape")
        return found

    def mail(self, name: str, default: str) -> dict[str, Any]:
        """Django's EMAIL_ settings."""
        value: str = self.str(name, default)
        given = _scheme(name, value)
        scheme = MAIL_SPELLINGS.get(given, given)
        if scheme not in dj_email_url.SCHEMES:
            raise ImproperlyConfigured(
                f"{name} must start with smtp+tls://, smtp+ssl://, smtp:// or console://."
            )
        try:
            found: dict[str, Any] = dj_email_url.parse(scheme + value[len(given) :])
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} has a timeout that is no number.") from error
        if given == "smtp+ssl":
            port = urlsplit(value).port or SMTP_SSL_PORT
            found.update(EMAIL_USE_TLS=False, EMAIL_USE_SSL=True, EMAIL_PORT=port)
        if found["EMAIL_BACKEND"].endswith("smtp.EmailBackend") and not found["EMAIL_HOST"]:
            raise ImproperlyConfigured(f"{name} must name a mail server: {given}://mail.example.com")
        return {**found, "EMAIL_TIMEOUT": found["EMAIL_TIMEOUT"] or MAIL_TIMEOUT_S}


env = Environment(strip_whitespace=True)


def comma_list(name: str, default: str = "", *, required: bool = False) -> list[str]:
    found = [part.strip() for part in env.str(name, default).split(",") if part.strip()]
    if required and not found:
        raise ImproperlyConfigured(f"{name} must not be empty; leave it out for the default, {default}.")
    return found


def _scheme(name: str, value: str) -> str:
    try:
        found = urlsplit(value)
        _ = found.port  # a wrong one is noticed when it is read
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not a URL: its host or port cannot be read.") from error
    return found.scheme if "://" in value else ""


def _listed(schemes: Collection[str]) -> str:
    *others, last = (f"{scheme}://" for scheme in schemes)
    return f"{', '.join(others)} or {last}"
