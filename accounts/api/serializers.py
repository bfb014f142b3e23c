from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import ApiKey, User, check_time_zone


class MeSerializer(serializers.ModelSerializer[User]):
    limits = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "email", "username", "tier", "time_zone", "limits"]

    def get_limits(self, user: User) -> dict[str, Any]:
        limits = user.limits
        return {
            "max_tickers": limits.max_tickers,
            "max_connections": limits.max_connections,
            "max_api_keys": limits.max_api_keys,
            "max_alerts": limits.max_alerts,
            "max_channels": limits.max_channels,
            "fastest": limits.fastest,
            "personas": list(limits.personas),
            "analyses_per_hour": limits.analyses_per_hour,
        }


class MeWish(serializers.Serializer[Any]):
    """What people may change of themselves here."""

    time_zone = serializers.CharField(max_length=40, validators=[check_time_zone], required=False)


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "created_at", "last_used_at"]
        read_only_fields = ["id", "prefix", "created_at", "last_used_at"]
