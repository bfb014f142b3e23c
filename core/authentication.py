"""Who asks the API. Apart from `core.drf`, which DRF can only import after this."""

from __future__ import annotations

from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication as DRFSessionAuthentication
from rest_framework.request import Request


class CSRFFailed(exceptions.PermissionDenied):
    default_code = "csrf_failed"


class SessionAuthentication(DRFSessionAuthentication):
    """Names a scheme, so that who is not logged in gets 401 and not 403."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied as error:
            raise CSRFFailed(str(error.detail)) from None
