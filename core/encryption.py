"""Text that is a secret, encrypted at rest with a key that is not in the database.

The first of FIELD_ENCRYPTION_KEYS encrypts, all of them decrypt: a new key is put in front of the old one.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class Undecryptable(ValueError):
    """None of the keys fits; says nothing of the text."""


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(_key_of(text)) for text in settings.FIELD_ENCRYPTION_KEYS])


def _key_of(text: str) -> bytes:
    """Any long text will do as a key."""
    return base64.urlsafe_b64encode(sha256(text.encode()).digest())


def encrypt(text: str) -> str:
    return _fernet().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Raises Undecryptable."""
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise Undecryptable("FIELD_ENCRYPTION_KEYS lacks the key that this was encrypted with.") from error


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # the stubs infer a field's own types
    """Text in Python, a Fernet token in the database; it cannot be searched for. An empty text stays empty."""

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return encrypt(text) if text else text

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt(value) if value else value
