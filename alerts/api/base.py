"""What all views of alerts share: the body as an object, errors that name their fields, pages by rising ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from django.db.models import QuerySet
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from alerts.checking import HIGHEST_ID
from alerts.errors import InvalidRule

# Of the names that a request should not have, so that the answer is no longer than an answer.
UNKNOWN_TOLD, LONGEST_NAME = 20, 100


class AlertsView(APIView):
    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, InvalidRule):
            exc = ValidationError(
                {name: [ErrorDetail(error.message, error.code)] for name, error in exc.errors.items()}
            )
        return super().handle_exception(exc)


def user_of(request: Request) -> User:
    return cast(User, request.user)


def fields_of(request: Request) -> Mapping[str, Any]:
    """The body, which must be an object; nothing counts as an empty one."""
    body = request.data
    if body is None or not isinstance(body, dict):
        raise ValidationError("Send an object with fields.", code="invalid")
    return body


def known_fields_of(request: Request, known: Collection[str]) -> Mapping[str, Any]:
    """The same, where a name that nobody knows, such as a misspelt one, is refused instead of meaning nothing."""
    fields = fields_of(request)
    unknown = [name for name in fields if name not in known][:UNKNOWN_TOLD]
    if unknown:
        told = ErrorDetail("There is no such field.", "unknown")
        raise ValidationError({name[:LONGEST_NAME]: [told] for name in unknown})
    return fields


class ById(CursorPagination):
    """The newest first; `oldest_first` turns it round."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    oldest_first = False

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        return ("id",) if self.oldest_first else ("-id",)

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        if cursor is not None and not _is_id(cursor.position):
            raise NotFound(self.invalid_cursor_message)
        return cursor


def _is_id(position: Any) -> bool:
    """A cursor is made by us, and may come back as anything."""
    if position is None:
        return True
    text = str(position)
    return text.isascii() and text.isdigit() and int(text[:20]) <= HIGHEST_ID


def paged(view: APIView, rows: QuerySet[Any], paginator: ById) -> tuple[list[Any], Any]:
    """(this page's rows, what makes a response of their payloads)."""
    found = paginator.paginate_queryset(rows, view.request, view)
    return list(found or []), paginator.get_paginated_response
