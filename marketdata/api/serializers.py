from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from rest_framework import serializers

from marketdata.adjusting import Adjustment
from marketdata.models import Ticker
from marketdata.providers.base import Interval
from marketdata.symbols import canonical

MAX_QUOTES = 100
MAX_BARS = 5_000
A_DAY_S = 86_400


class TickerSerializer(serializers.ModelSerializer[Ticker]):
    class Meta:
        model = Ticker
        fields = ["symbol", "name", "exchange", "sector", "asset_class", "currency", "is_active"]


class SymbolField(serializers.Field[str, Any, str, Any]):
    """Any spelling of a symbol in, the canonical one out; a bad spelling raises InvalidSymbol."""

    def to_internal_value(self, data: Any) -> str:
        return canonical(data)


class SymbolsField(SymbolField):
    """Symbols with commas between them."""

    def to_internal_value(self, data: Any) -> list[str]:  # type: ignore[override]
        parts = [part for part in str(data).split(",") if part.strip()]
        if not parts:
            raise serializers.ValidationError("Name at least one symbol.", code="required")
        if len(parts) > MAX_QUOTES:
            raise serializers.ValidationError(f"At most {MAX_QUOTES} symbols at once.", code="too_many")
        return list(dict.fromkeys(canonical(part) for part in parts))


class MomentField(serializers.Field[datetime, Any, str, Any]):
    """An ISO 8601 date or time; without a zone it is UTC. A date as an end means the whole of that day."""

    def __init__(self, *, end_of_day: bool = False, **kwargs: Any) -> None:
        self.end_of_day = end_of_day
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return self._moment(str(data))
        except (ValueError, OverflowError):
            raise serializers.ValidationError(
                "Write a date such as 2026-01-31 or a time such as 2026-01-31T14:30:00Z.", code="invalid"
            ) from None

    def _moment(self, text: str) -> datetime:
        if day := parse_date(text):
            return datetime.combine(day, time.max if self.end_of_day else time.min, UTC)
        # A bare + in a query string arrives as a space.
        moment = parse_datetime(text) or parse_datetime(text.replace(" ", "+"))
        if moment is None:
            raise ValueError(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class SearchQuery(serializers.Serializer[Any]):
    search = serializers.CharField(max_length=100, required=False, allow_blank=True)
    limit = serializers.IntegerField(min_value=1, max_value=50, default=10)


class QuotesQuery(serializers.Serializer[Any]):
    symbols = SymbolsField()
    max_age = serializers.IntegerField(min_value=1, max_value=A_DAY_S, required=False)


class BarsQuery(serializers.Serializer[Any]):
    interval = serializers.ChoiceField(choices=[one.value for one in Interval], default=Interval.DAY.value)
    start = MomentField(required=False)
    end = MomentField(end_of_day=True, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_BARS, default=MAX_BARS)
    adjusted = serializers.ChoiceField(
        choices=[mode.value for mode in Adjustment], default=Adjustment.SPLIT.value
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "start" in attrs and "end" in attrs and attrs["start"] > attrs["end"]:
            raise serializers.ValidationError({"end": "The end lies before the start."}, code="invalid")
        return attrs
