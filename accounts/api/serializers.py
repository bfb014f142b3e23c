from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import ApiKey, User


class MeSerializer(serializers.ModelSerializer[User]):
    limits = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "email", "username", "tier", "limits"]

    def get_limits(self, user: User) -> dict[str, Any]:
        limits = user.limits
        return {
            "max_tickers": limits.max_tickers,
            "max_connections": limits.max_connections,
            "max_api_keys": limits.max_api_keys,
            "fastest": limits.fastest,
        }


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "created_at", "last_used_at"]
        read_only_fields = ["id", "prefix", "created_at", "last_used_at"]
