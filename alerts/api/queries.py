"""What may stand in the query of a list."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q
from rest_framework import serializers

from alerts.kinds import Kind, Priority
from alerts.states import State, in_state
from marketdata.api.serializers import SymbolField

PRIORITIES = {one.name.lower(): one for one in Priority}


class AlertsQuery(serializers.Serializer[Any]):
    symbol = SymbolField(required=False)
    state = serializers.ChoiceField(choices=[state.value for state in State], required=False)
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind], required=False)
    priority = serializers.ChoiceField(choices=list(PRIORITIES), required=False)
    q = serializers.CharField(max_length=100, required=False, allow_blank=True)


def wanted_alerts(asked: dict[str, Any], now: datetime) -> Q:
    """Of validated fields of `AlertsQuery`."""
    conditions = Q()
    if "symbol" in asked:
        conditions &= Q(ticker__symbol=asked["symbol"])
    if "state" in asked:
        conditions &= in_state(State(asked["state"]), now)
    if "kind" in asked:
        conditions &= Q(kind=asked["kind"])
    if "priority" in asked:
        conditions &= Q(priority=PRIORITIES[asked["priority"]].value)
    if text := asked.get("q"):
        conditions &= (
            Q(note__icontains=text)
            | Q(category__icontains=text)
            | Q(ticker__symbol__icontains=text)
            | Q(ticker__name__icontains=text)
        )
    return conditions


class InboxQuery(serializers.Serializer[Any]):
    unread = serializers.ChoiceField(choices=["true", "false", "1", "0"], required=False)
    since = serializers.RegexField(r"\A[0-9]{1,18}\Z", required=False)
