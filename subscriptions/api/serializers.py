from __future__ import annotations

from typing import Any

from rest_framework import serializers

from marketdata.api.serializers import SymbolField

# Above every tier's limit; more is a mistake, not a wish.
MAX_AT_ONCE = 100


class WatchRequest(serializers.Serializer[Any]):
    """`symbol` or `symbols`; validated to a list of canonical symbols without repetition."""

    symbol = SymbolField(required=False)
    symbols = serializers.ListField(child=SymbolField(), required=False, min_length=1, max_length=MAX_AT_ONCE)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = [*([attrs["symbol"]] if "symbol" in attrs else []), *attrs.get("symbols", [])]
        if not named:
            raise serializers.ValidationError({"symbol": "Name a symbol."}, code="required")
        return {"symbols": list(dict.fromkeys(named))}
