from __future__ import annotations

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView


class ChangedByPeople(BasePermission):
    """Whoever finds a key must not be able to make himself more of them, or to lock out its owner."""

    message = "API keys are made and revoked by a person who is logged in, not with an API key."
    code = "session_required"

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.method in SAFE_METHODS or getattr(request.auth, "api_key_id", None) is None
