"""Notifications: the inbox for programs."""

from __future__ import annotations

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import checking, inbox
from alerts.api.base import AlertsView, ById, fields_of, paged, user_of
from alerts.api.queries import InboxQuery
from alerts.models import Notification


class Notifications(AlertsView):
    """The newest first; with `since` what came after that one, the oldest first."""

    def get(self, request: Request) -> Response:
        query = InboxQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        user = user_of(request)
        rows = inbox.of_user(user.pk)
        paginator = ById()
        if "unread" in asked:
            rows = rows.filter(read_at__isnull=asked["unread"] in {"true", "1"})
        if "since" in asked:
            rows = rows.filter(id__gt=int(asked["since"]))
            paginator.oldest_first = True
        found, respond = paged(self, rows, paginator)
        response: Response = respond([inbox.payload(row) for row in found])
        response.data["unread"] = inbox.unread_count(user)
        return response


class OneNotification(AlertsView):
    def get(self, request: Request, notification_id: int) -> Response:
        return Response(inbox.payload(_notification_or_404(request, notification_id)))


class ReadNotification(AlertsView):
    """Once more is fine; the time of the first reading stays."""

    def post(self, request: Request, notification_id: int) -> Response:
        row = _notification_or_404(request, notification_id)
        inbox.mark_read(user_of(request), [row.pk])
        return Response(inbox.payload(_notification_or_404(request, notification_id)))


class ReadNotifications(AlertsView):
    """`ids`, or all without them."""

    def post(self, request: Request) -> Response:
        user = user_of(request)
        fields = fields_of(request)
        read = inbox.mark_read(user, checking.ids(fields) if "ids" in fields else inbox.ALL)
        return Response({"read": read, "unread": inbox.unread_count(user)})


def _notification_or_404(request: Request, notification_id: int) -> Notification:
    row = inbox.of_user(user_of(request).pk).filter(pk=notification_id).first()
    if row is None:
        raise NotFound("You have no such notification.")
    return row
