"""What may stand in the queries of lists, and in the body of a wish for analyses."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from marketdata.api.serializers import SymbolField, SymbolsField
from summaries.kinds import Persona

UNKNOWN_TOLD, LONGEST_NAME = 20, 100
MOST_ROWS = 100


class PageQuery(serializers.Serializer[Any]):
    """A number of rows that cannot be is refused, not taken for another one."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST_ROWS, required=False)


class NewsQuery(PageQuery):
    symbols = SymbolsField(required=False)


class EarningsQuery(PageQuery):
    symbol = SymbolField()
    year = serializers.IntegerField(min_value=1900, max_value=9999, required=False)
    quarter = serializers.IntegerField(min_value=1, max_value=4, required=False)


class RefreshWish(serializers.Serializer[Any]):
    """Nothing means all that the user has. A name that nobody knows is refused instead of meaning nothing."""

    personas = serializers.ListField(
        child=serializers.ChoiceField(choices=[one.value for one in Persona]),
        required=False,
        allow_empty=False,
        max_length=len(Persona),
    )

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            told = serializers.ErrorDetail("There is no such field.", "unknown")
            raise serializers.ValidationError(
                {name[:LONGEST_NAME]: [told] for name in unknown[:UNKNOWN_TOLD]}
            )
        return super().to_internal_value(data)

    def validate_personas(self, names: list[str]) -> list[Persona]:
        return [Persona(name) for name in dict.fromkeys(names)]
