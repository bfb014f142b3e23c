from __future__ import annotations

from datetime import timedelta
from typing import Any

from rest_framework import serializers

from core import clock
from dashboard.cost_rows import GroupBy
from dashboard.ledger import LONGEST, Window
from marketdata.api.serializers import MomentField
from marketdata.pricebook import EVER

MAX_ROWS = 1_000
INSTANT = timedelta(microseconds=1)


class CostsQuery(serializers.Serializer[Any]):
    """`from` is a word of Python's, so the fields are made here; validated to a window with its grouping and limit."""

    to = MomentField(end_of_day=True, required=False)
    group_by = serializers.ChoiceField(choices=[one.value for one in GroupBy], default=GroupBy.TICKER.value)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_ROWS, default=100)

    def get_fields(self) -> dict[str, Any]:
        return {"from": MomentField(required=False), **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        usual = Window.last_days(30, clock.now())
        # Nothing was bought in the future, and no fee is due yet.
        last = min(attrs.get("to", usual.end), usual.end - INSTANT)
        end = max(last, EVER) + INSTANT
        start = attrs.get("from", max(usual.start, end - LONGEST) if "to" not in attrs else end - LONGEST)
        if start >= end:
            raise serializers.ValidationError({"to": "The end lies before the start."}, code="invalid")
        if end - start > LONGEST:
            raise serializers.ValidationError(
                {"from": f"At most {LONGEST.days} days at once."}, code="too_long"
            )
        return {**attrs, "window": Window(start, end)}


class MyCostsQuery(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=LONGEST.days, default=30)
