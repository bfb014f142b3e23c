"""Alerts, what made them fire, and what they would have done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import backtesting, checking, rules
from alerts.api.base import AlertsView, ById, fields_of, known_fields_of, paged, user_of
from alerts.api.payloads import ALERT_READ_ONLY, alert_payloads, backtest_payload, trigger_payload
from alerts.api.queries import AlertsQuery, wanted_alerts
from alerts.models import Alert, Trigger
from core import clock

ALERT_KEYS = frozenset({"symbol", *checking.FIELDS, *ALERT_READ_ONLY})


class Alerts(AlertsView):
    """GET: those that are not deleted, the newest first."""

    def get(self, request: Request) -> Response:
        query = AlertsQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        user, now = user_of(request), clock.now()
        rows, respond = paged(self, _own(request).filter(wanted_alerts(query.validated_data, now)), ById())
        response: Response = respond(alert_payloads(rows, now))
        response.data |= {"limit": user.limits.max_alerts, "in_use": rules.places_in_use(user, now)}
        return response

    def post(self, request: Request) -> Response:
        alert = rules.create(user_of(request), _rule_of(request))
        return Response(_told([alert])[0], status.HTTP_201_CREATED)


class OneAlert(AlertsView):
    def get(self, request: Request, alert_id: int) -> Response:
        return Response(_told([alert_or_404(request, alert_id)])[0])

    def patch(self, request: Request, alert_id: int) -> Response:
        alert = alert_or_404(request, alert_id)
        try:
            edited = rules.edit(alert, _rule_of(request))
        except Alert.DoesNotExist:  # deleted in between
            raise _not_found() from None
        return Response(_told([edited])[0])

    def delete(self, request: Request, alert_id: int) -> Response:
        """`restore` undoes it."""
        alert = alert_or_404(request, alert_id)
        rules.delete(user_of(request), [alert.pk])
        return Response(status=status.HTTP_204_NO_CONTENT)


Act = Callable[[Request, Sequence[int]], list[Alert]]

ACTS: dict[str, Act] = {
    "pause": lambda request, ids: rules.pause(user_of(request), ids),
    "resume": lambda request, ids: rules.resume(user_of(request), ids),
    "snooze": lambda request, ids: rules.snooze(user_of(request), ids, fields_of(request).get("until")),
    "duplicate": lambda request, ids: rules.duplicate(user_of(request), ids),
    "delete": lambda request, ids: rules.delete(user_of(request), ids),
    "restore": lambda request, ids: rules.restore(user_of(request), ids),
}


class AlertAct(AlertsView):
    """Idempotent but for `duplicate`: what stands so already is told as it stands."""

    def post(self, request: Request, alert_id: int, act: str) -> Response:
        known = Alert.objects.filter(user=user_of(request)) if act == "restore" else _own(request)
        if not known.filter(pk=alert_id).exists():
            raise _not_found()
        changed = ACTS[act](request, [alert_id])
        if act == "duplicate":
            return Response(_told(changed)[0], status.HTTP_201_CREATED)
        return Response(_told([alert_or_404(request, alert_id)])[0])


class AlertsInBulk(AlertsView):
    """Those that are not there, or not the user's, are left out; a limit that is exceeded changes nothing."""

    def post(self, request: Request) -> Response:
        action, ids = checking.bulk(fields_of(request), list(ACTS))
        changed = ACTS[action](request, ids)
        return Response({"action": action, "changed": [one.pk for one in changed], "results": _told(changed)})


class Triggers(AlertsView):
    """The fires of an alert, the newest first."""

    def get(self, request: Request, alert_id: int) -> Response:
        alert = alert_or_404(request, alert_id)
        fires = Trigger.objects.filter(alert=alert).prefetch_related("notifications__deliveries")
        rows, respond = paged(self, fires, ById())
        response: Response = respond([trigger_payload(row) for row in rows])
        return response


class Backtest(AlertsView):
    """What a rule would have done; nothing is made, and it counts against no limit."""

    def post(self, request: Request) -> Response:
        alert = rules.draft(user_of(request), _rule_of(request))
        return Response(backtest_payload(backtesting.run(alert.ticker.symbol, alert.rule)))


def _rule_of(request: Request) -> Mapping[str, Any]:
    """Days end where the user lives."""
    fields = known_fields_of(request, ALERT_KEYS)
    if "expires_at" not in fields:
        return fields
    ends = checking.end_of_day(fields["expires_at"], user_of(request).time_zone)
    return {**fields, "expires_at": ends}


def alert_or_404(request: Request, alert_id: int) -> Alert:
    """What is another user's is as good as missing."""
    alert = _own(request).filter(pk=alert_id).first()
    if alert is None:
        raise _not_found()
    return alert


def _own(request: Request) -> QuerySet[Alert]:
    return Alert.objects.kept().filter(user=user_of(request)).select_related("ticker", "user")


def _not_found() -> NotFound:
    return NotFound("You have no such alert.")


def _told(rows: Sequence[Alert]) -> list[dict[str, Any]]:
    return alert_payloads(rows, clock.now())
