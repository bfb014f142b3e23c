"""Channels: where notifications go besides the inbox. Secrets come out once, when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import channels, confirming
from alerts.api.base import AlertsView, known_fields_of, user_of
from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind
from marketdata.payload import time_text

# What `channel_payload` tells besides what a client may write, and the secret that is told once.
READ_ONLY = (
    "id", "label", "state", "last_success_at", "last_error", "last_error_at", "failures_in_a_row", "created_at",
    "secret",
)  # fmt: skip
KEYS = frozenset({"kind", "address", "is_enabled", *channels.FIELDS, *READ_ONLY})


class Channels(AlertsView):
    def get(self, request: Request) -> Response:
        user = user_of(request)
        rows = list(user.channels.order_by("pk"))
        told = [channel_payload(row) for row in rows]
        limits = {"limit": user.limits.max_channels, "in_use": len(rows)}
        return Response({"results": told, "next": None, **limits})

    def post(self, request: Request) -> Response:
        """The secret that a webhook's messages are signed with is in this answer and nowhere else."""
        fields = known_fields_of(request, KEYS)
        enabled = _enabled(fields, default=True)
        row = channels.create(user_of(request), fields)
        if not enabled:
            channels.disable(row)
        secret = {"secret": row.secret} if row.kind == ChannelKind.WEBHOOK else {}
        return Response({**channel_payload(row), **secret}, status.HTTP_201_CREATED)


class OneChannel(AlertsView):
    def get(self, request: Request, channel_id: int) -> Response:
        return Response(channel_payload(channel_or_404(request, channel_id)))

    def patch(self, request: Request, channel_id: int) -> Response:
        row = channel_or_404(request, channel_id)
        fields = known_fields_of(request, KEYS)
        enabled = _enabled(fields, default=row.is_enabled)
        channels.edit(row, fields)
        if "is_enabled" in fields:
            _switch(channel_or_404(request, channel_id), to=enabled)
        return Response(channel_payload(channel_or_404(request, channel_id)))

    def delete(self, request: Request, channel_id: int) -> Response:
        channels.remove(channel_or_404(request, channel_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TestChannel(AlertsView):
    """Sends a message now; that it did not arrive is an answer, and no error of this request."""

    def post(self, request: Request, channel_id: int) -> Response:
        outcome = channels.test(channel_or_404(request, channel_id))
        told = {"sent": outcome.is_sent, "permanent": outcome.is_permanent, "error": outcome.error}
        return Response({**told, "channel": channel_payload(channel_or_404(request, channel_id))})


class ConfirmChannel(AlertsView):
    """Sends the mail that asks to confirm the address once more."""

    def post(self, request: Request, channel_id: int) -> Response:
        outcome = confirming.ask(channel_or_404(request, channel_id))
        told = {"sent": outcome.is_sent, "error": outcome.error}
        return Response({**told, "channel": channel_payload(channel_or_404(request, channel_id))})


class ChannelSecret(AlertsView):
    """Another one from now on; the former signs nothing any more."""

    def post(self, request: Request, channel_id: int) -> Response:
        row = channel_or_404(request, channel_id)
        if row.kind != ChannelKind.WEBHOOK:
            raise NotFound("Only webhooks have a secret.")
        return Response({"secret": channels.rotate_secret(row)}, status.HTTP_201_CREATED)


def _enabled(fields: Mapping[str, Any], *, default: bool) -> bool:
    enabled = fields.get("is_enabled", default)
    if not isinstance(enabled, bool):
        raise ValidationError({"is_enabled": "Write true or false."}, code="invalid")
    return enabled


def _switch(row: Channel, *, to: bool) -> None:
    (channels.enable if to else channels.disable)(row)


def channel_or_404(request: Request, channel_id: int) -> Channel:
    row = user_of(request).channels.filter(pk=channel_id).first()
    if row is None:
        raise NotFound("You have no such channel.")
    return row


def channel_payload(row: Channel) -> dict[str, Any]:
    """Neither the address nor the secret: `label` is what may be shown of the address."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "name": row.name,
        "label": row.label,
        "is_enabled": row.is_enabled,
        "state": row.state,
        "lowest_priority": Priority(row.lowest_priority).name.lower(),
        "quiet_from": row.quiet_from.strftime("%H:%M") if row.quiet_from else None,
        "quiet_until": row.quiet_until.strftime("%H:%M") if row.quiet_until else None,
        "quiet_lets_critical": row.quiet_lets_critical,
        "digest_above": row.digest_above,
        "failover": row.failover_id,
        "last_success_at": time_text(row.last_success_at) if row.last_success_at else None,
        "last_error": row.last_error,
        "last_error_at": time_text(row.last_error_at) if row.last_error_at else None,
        "failures_in_a_row": row.failures_in_a_row,
        "created_at": time_text(row.created_at),
    }
