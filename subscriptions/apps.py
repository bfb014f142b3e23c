from __future__ import annotations

from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    name = "subscriptions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.signals import tier_changed  # noqa: PLC0415 -- app ready
        from core import problems  # noqa: PLC0415 -- app ready
        from marketdata import demand  # noqa: PLC0415 -- app ready
        from subscriptions import house, watchlist  # noqa: PLC0415 -- app ready
        from subscriptions.errors import TierLimit  # noqa: PLC0415 -- app ready

        demand.register("people", watchlist.wanted_by_people)
        demand.register("house", house.wanted_by_house)
        tier_changed.connect(watchlist.on_tier_changed, dispatch_uid="subscriptions.trim")
        problems.register(TierLimit, status=403, code="tier_limit", attr="symbols")
