from __future__ import annotations

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.signals import tier_changed, time_zone_changed  # noqa: PLC0415 -- app ready
        from alerts import backlog, checks, errors, quality, readiness, rules, upkeep  # noqa: F401, PLC0415 -- app ready
        from core import problems  # noqa: PLC0415 -- app ready
        from marketdata import demand  # noqa: PLC0415 -- app ready

        readiness.register()
        backlog.register()
        quality.register()
        demand.register("alerts", upkeep.wanted_by_alerts)
        tier_changed.connect(upkeep.on_tier_changed, dispatch_uid="alerts.trim")
        time_zone_changed.connect(rules.on_time_zone_changed, dispatch_uid="alerts.time_zone")
        problems.register(errors.AlertLimit, status=403, code="alert_limit")
        problems.register(errors.ChannelLimit, status=403, code="channel_limit")
        problems.register(errors.TooManyTests, status=429, code="throttled")
        problems.register(errors.TooManyConfirmations, status=429, code="throttled")
        problems.register(errors.Unconfirmed, status=409, code="unconfirmed")
        problems.register(errors.UnknownTicker, status=404, code="not_found", attr="symbol")
        problems.register(errors.NoPrice, status=409, code="no_price", attr="threshold_percent")
        problems.register(errors.Expired, status=409, code="alert_expired", attr="expires_at")
