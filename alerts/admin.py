"""Alerts for the operator: who watches for what, what fired and why, and how far the evaluation is.

Rules are their owners': here they are looked at, paused and resumed. Evidence is read-only.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from alerts import delivery_admin, evidence_html, quality, retraction, rules, telling  # noqa: F401 -- registers
from alerts.admin_search import (
    Searched,
    Term,
    delay_text,
    moment_text,
    person_link,
    ticker_link,
)
from alerts.committing import Written
from alerts.errors import AlertError
from alerts.models import Alert, Channel, Delivery, Notification, Position, Sweep, Trigger
from alerts.states import State, in_state, state_of
from alerts.wording import describe
from core import clock
from core.admin import ReadOnlyAdmin
from marketdata.admin import link_to, price_column
from marketdata.providers.registry import configured_names

# More than this within a day is noise to whoever gets it.
NOISY = 20
SLOW = timedelta(seconds=1)
SPANS = (("24 hours", timedelta(days=1)), ("30 days", timedelta(days=30)))
PRICE, THRESHOLD, REFERENCE_PRICE, LOWER, UPPER, ARMED_PRICE = map(
    price_column, ("price", "threshold", "reference_price", "lower", "upper", "armed_price")
)


class Standing(admin.SimpleListFilter):
    """Deleted ones only where they are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((state.value, state.value.capitalize()) for state in State), ("deleted", "Deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        wanted = self.value()
        if wanted == "deleted":
            return queryset.exclude(deleted_at=None)
        kept = queryset.filter(deleted_at=None)
        return kept.filter(in_state(State(wanted), clock.now())) if wanted in tuple(State) else kept


class Activity(admin.SimpleListFilter):
    title = "what it does"
    parameter_name = "does"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("today", "Fired within a day"),
            ("noisy", f"Fired more than {NOISY} times within a day"),
            ("never", "Never fired"),
            ("unheard", "Its owner has no channel that works"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        day_ago = clock.now() - timedelta(days=1)
        if self.value() == "today":
            return queryset.filter(last_fired_at__gte=day_ago)
        if self.value() == "noisy":
            return (
                queryset.filter(last_fired_at__gte=day_ago)
                .alias(lately=_fires_since(day_ago))
                .filter(lately__gt=NOISY)
            )
        if self.value() == "never":
            return queryset.filter(fire_seq=0)
        if self.value() == "unheard":
            works = Channel.objects.filter(user=OuterRef("user"), is_enabled=True).exclude(
                state__in=["disabled", "unconfirmed"]
            )
            return queryset.filter(~Exists(works))
        return queryset


def _fires_since(moment: Any) -> Coalesce:
    fires = Trigger.objects.filter(alert=OuterRef("pk"), committed_at__gte=moment).order_by()
    numbers = fires.values("alert").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(numbers, output_field=IntegerField()), 0)


@admin.register(Alert)
class AlertAdmin(Searched[Alert]):
    list_display = [
        "id", "symbol", "fires", "last_fired_at", "state", "sentence", "person", "urgency", "created_at"
    ]  # fmt: skip
    list_filter = [Standing, Activity, "kind", "mode", "priority", "sessions", "user__tier"]
    list_select_related = ["user", "ticker"]
    actions = ["pause", "resume"]
    fieldsets = [
        (
            None,
            {"fields": ["person", "symbol", "sentence", "state", "urgency", "category", "note", "see_also"]},
        ),
        (
            "The rule",
            {
                "fields": [
                    *(
                        "kind",
                        THRESHOLD,
                        "threshold_percent",
                        REFERENCE_PRICE,
                        LOWER,
                        UPPER,
                        "window_s",
                    ),
                    *("way", "stale_after_s", "sessions", "mode", "rearm_band", "cooldown_s", "expires_at"),
                    *("snoozed_until", "is_paused"),
                ]
            },
        ),
        (
            "How it stands",
            {
                "fields": [
                    *("active", "phase", "direction", "version", "fire_seq", "armed_at", "armed_price"),
                    *(
                        "last_fired_at",
                        "last_fired_day",
                        "splits_until",
                        "edited_at",
                        "created_at",
                        "deleted_at",
                    ),
                ]
            },
        ),
    ]

    def found(self, term: Term) -> Q:
        return Q(user__in=term.people) | Q(ticker__in=term.tickers)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return super().get_queryset(request).select_related("user", "ticker")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.change_alert")

    @admin.action(description="Pause", permissions=["steer"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        paused = sum(len(rules.pause(user, ids)) for user, ids in _by_owner(queryset))
        messages.success(request, f"{paused} paused.")

    @admin.action(description="Resume, armed anew", permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        """Of each owner all or none, as it is with their own list."""
        resumed = 0
        for user, ids in _by_owner(queryset):
            try:
                resumed += len(rules.resume(user, ids))
            except AlertError as error:
                messages.warning(request, f"{user.email}: {error}")
        messages.success(request, f"{resumed} resumed.")

    @admin.display(description="User", ordering="user__email")
    def person(self, alert: Alert) -> str:
        return person_link(alert.user)

    @admin.display(description="Ticker", ordering="ticker__symbol")
    def symbol(self, alert: Alert) -> str:
        return ticker_link(alert.ticker)

    @admin.display(description="Fires when the price …")
    def sentence(self, alert: Alert) -> str:
        return describe(alert.rule)

    @admin.display(description="State")
    def state(self, alert: Alert) -> str:
        return "deleted" if alert.deleted_at else state_of(alert, clock.now()).value

    @admin.display(description="Priority", ordering="priority")
    def urgency(self, alert: Alert) -> str:
        return alert.get_priority_display()

    @admin.display(description="Fires", ordering="fire_seq")
    def fires(self, alert: Alert) -> str:
        return link_to("alerts_trigger_changelist", alert.fire_seq, alert__id__exact=alert.pk)

    @admin.display(description="See also")
    def see_also(self, alert: Alert) -> str:
        return link_to("alerts_trigger_changelist", "its fires", alert__id__exact=alert.pk)


def _by_owner(alerts: QuerySet[Alert]) -> list[tuple[User, list[int]]]:
    owned: defaultdict[UUID, list[int]] = defaultdict(list)
    for user, pk in alerts.order_by("pk").values_list("user_id", "pk"):
        owned[user].append(pk)
    people = User.objects.in_bulk(list(owned))
    return [(people[user], ids) for user, ids in owned.items()]


class Doubt(admin.SimpleListFilter):
    title = "what is wrong with it"
    parameter_name = "doubt"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("retracted", "Retracted"),
            ("corrected", "Corrected, and stands"),
            ("slow", "Committed later than a second after it was received"),
            ("untold", "Nobody was told"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> QuerySet[Trigger]:
        told = Exists(Notification.objects.filter(trigger=OuterRef("pk")))
        late = Subquery(Trigger.objects.filter(pk=OuterRef("pk")).values("received_at")[:1])
        wanted: dict[str, Any] = {
            "retracted": Q(retracted_at__isnull=False),
            "corrected": Q(retracted_at=None) & ~Q(retraction=""),
            "slow": Q(committed_at__gt=late + SLOW),
            "untold": ~told,
        }
        return queryset.filter(wanted[self.value() or ""]) if self.value() in wanted else queryset


class SoldBy(admin.SimpleListFilter):
    """Whose tick it was; the table is not asked which providers there are."""

    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in configured_names()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> QuerySet[Trigger]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


@admin.register(Trigger)
class TriggerAdmin(Searched[Trigger]):
    change_list_template = "admin/alerts/trigger/change_list.html"
    list_display = [
        "id", "symbol", PRICE, "took", "reproduced", "state", "alert_link", "at", "source", "person", "provider",
        "session",
    ]  # fmt: skip
    list_filter = [Doubt, "source", SoldBy, "committed_at"]
    actions = ["retract"]
    fieldsets = [
        (None, {"fields": ["alert_link", "person", "symbol", PRICE, "sentence", "reproduced", "state"]}),
        ("Times", {"fields": ["times", "position"]}),
        (
            "Evidence",
            {
                "fields": [
                    "source",
                    "before_tick",
                    "crossing_tick",
                    "armed_at",
                    ARMED_PRICE,
                    "more",
                    "rule_kept",
                ]
            },
        ),
        (
            None,
            {"fields": ["fire_seq", "rule_version", "local_day", "retraction", "retracted_at", "see_also"]},
        ),
    ]

    def found(self, term: Term) -> Q:
        alerts = Alert.objects.filter(Q(user__in=term.people) | Q(ticker__in=term.tickers))
        return Q(alert__in=alerts.values("pk"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trigger]:
        return super().get_queryset(request).select_related("alert__user", "alert__ticker")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        qualities = [(name, quality.over(span)) for name, span in SPANS]
        return super().changelist_view(request, {**(extra_context or {}), "qualities": qualities})

    def has_retract_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.change_trigger")

    @admin.action(description="Retract: say that it was false, and tell the owner", permissions=["retract"])
    def retract(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        reason = "It was found to be wrong."
        rows = list(queryset.order_by("pk"))
        told = [retraction.by_hand(trigger, trigger.alert.ticker.symbol, reason) for trigger in rows]
        written = [one for one in told if one is not None]
        telling.tell_and_wait([], Written(set(), written))
        messages.success(request, f"{len(written)} retracted; their owners are told.")

    @admin.display(description="Alert", ordering="alert")
    def alert_link(self, trigger: Trigger) -> str:
        return link_to(
            "alerts_alert_change", f"{trigger.alert_id}, fire {trigger.fire_seq}", trigger.alert_id
        )

    @admin.display(description="User")
    def person(self, trigger: Trigger) -> str:
        return person_link(trigger.alert.user)

    @admin.display(description="Ticker")
    def symbol(self, trigger: Trigger) -> str:
        return ticker_link(trigger.alert.ticker)

    @admin.display(description="Fired when the price …")
    def sentence(self, trigger: Trigger) -> str:
        return evidence_html.sentence(trigger)

    @admin.display(description="Committed", ordering="committed_at")
    def at(self, trigger: Trigger) -> str:
        return moment_text(trigger.committed_at)

    @admin.display(description="Since the exchange")
    def took(self, trigger: Trigger) -> str:
        return delay_text(trigger.exchange_at, trigger.committed_at)

    @admin.display(description="Reproduced")
    def reproduced(self, trigger: Trigger) -> str:
        return evidence_html.verdict(trigger)

    @admin.display(description="Stands")
    def state(self, trigger: Trigger) -> str:
        if trigger.retracted_at is not None:
            return "retracted"
        return "corrected, and stands" if trigger.retraction else "yes"

    @admin.display(description="Times")
    def times(self, trigger: Trigger) -> str:
        rows = Delivery.objects.filter(notification__trigger=trigger).order_by("pk")
        sent = rows.select_related("channel").defer("channel__address", "channel__secret")
        return evidence_html.steps(trigger, list(sent))

    @admin.display(description="Tick before")
    def before_tick(self, trigger: Trigger) -> str:
        return evidence_html.tick_table(trigger.before)

    @admin.display(description="Tick that fired it")
    def crossing_tick(self, trigger: Trigger) -> str:
        return evidence_html.tick_table(trigger.tick)

    @admin.display(description="What else it needs")
    def more(self, trigger: Trigger) -> str:
        return evidence_html.plain(trigger.extra) if trigger.extra else "–"

    @admin.display(description="Rule as it was")
    def rule_kept(self, trigger: Trigger) -> str:
        return evidence_html.plain(trigger.rule)

    @admin.display(description="See also")
    def see_also(self, trigger: Trigger) -> str:
        return link_to("alerts_notification_changelist", "what was told of it", trigger__id__exact=trigger.pk)


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin[Position]):
    list_display = ["shard", "lag", "epoch", "entry", "tape_epoch", "batch", "at", "saved_at"]
    ordering = ["shard"]

    @admin.display(description="Lag", ordering="saved_at")
    def lag(self, position: Position) -> str:
        """Who decides says each second how far it has read, also when nothing came."""
        return delay_text(position.saved_at, clock.now())


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin[Sweep]):
    list_display = ["name", "until", "lag"]

    @admin.display(description="Lag", ordering="until")
    def lag(self, sweep: Sweep) -> str:
        return delay_text(sweep.until, clock.now())
