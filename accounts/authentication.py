"""Programs enter the API with a key: `Authorization: Api-Key ot_…`. See docs/reference/api.md."""

from __future__ import annotations

from typing import NoReturn

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.credentials import Login, api_keys, login_of
from accounts.models import ApiKey, User

SCHEME = "api-key"


class ApiKeyAuthentication(BaseAuthentication):
    """`request.auth` is the Login. No CSRF check: a browser never sends this header by itself."""

    def authenticate(self, request: Request) -> tuple[User, Login] | None:
        _refuse_in_address(request)
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        key = api_keys([text.strip()]).get(text.strip())
        if key is None:
            refuse("This API key is unknown or was revoked.")
        return key.user, login_of(key)

    def authenticate_header(self, request: Request) -> str:
        return 'Api-Key realm="Onetape"'


def _refuse_in_address(request: Request) -> None:
    """Addresses are logged by every proxy on the way; who sends a key in one shall notice before it is in use."""
    if any(ApiKey.is_text(value) for values in request.query_params.lists() for value in values[1]):
        refuse("An API key belongs into the Authorization header. Revoke this one: addresses are logged.")


def refuse(detail: str) -> NoReturn:
    raise exceptions.AuthenticationFailed(detail, code="invalid_api_key")
