"""What users were told, by which channel, and what did not get through. An address or a secret is never shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from alerts import channels, redelivery
from alerts.admin_search import Searched, Term, counted_by, delay_text, person_link
from alerts.kinds import Priority
from alerts.models import Channel, ChannelState, Delivery, DeliveryState, Notification, Outbox
from core import clock
from core.admin import ReadOnlyAdmin
from marketdata.admin import link_to, price_column

CURRENT_PRICE = price_column("current_price")
LATE = timedelta(minutes=1)
SECRETS = ("address", "secret")


def without_secrets(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """They are not even decrypted: a lost key must not take the page along."""
    return rows.select_related("channel").defer(*(f"channel__{name}" for name in SECRETS))


class NotificationList(ChangeList):
    """Asks once per page how its notifications were delivered."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        rows = Delivery.objects.filter(notification__in=[row.pk for row in self.result_list])
        counted: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
        for pk, state, number in (
            rows.values_list("notification", "state").annotate(Count("pk")).order_by("state")
        ):
            counted[pk].append((str(DeliveryState(state).label), number))
        for row in self.result_list:
            row.delivered = counted_by(counted[row.pk])


class Reached(admin.SimpleListFilter):
    title = "reached"
    parameter_name = "reached"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("dead", "Given up on a channel"),
            ("waiting", "Still to be sent"),
            ("nowhere", "In the inbox only"),
            ("unread", "Not read"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Notification]) -> QuerySet[Notification]:
        mine = Delivery.objects.filter(notification=OuterRef("pk"))
        wanted: dict[str, Any] = {
            "dead": Exists(mine.filter(state=DeliveryState.DEAD)),
            "waiting": Exists(mine.filter(state=DeliveryState.QUEUED))
            | Exists(Outbox.objects.filter(notification=OuterRef("pk"))),
            "nowhere": ~Exists(mine),
            "unread": Q(read_at=None),
        }
        return queryset.filter(wanted[self.value() or ""]) if self.value() in wanted else queryset


class DeliveryLines(admin.TabularInline):  # type: ignore[type-arg]
    model = Delivery
    fields: ClassVar[Any] = [
        "key", "channel", "state", "attempts", "first_attempt_at", "next_attempt_at", "sent_at", "last_error"
    ]  # fmt: skip
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return without_secrets(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Redelivering(Searched[Any]):
    actions = ["deliver_again"]

    def has_deliver_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.change_delivery")

    def deliveries(self, rows: QuerySet[Any]) -> Iterable[int]:
        raise NotImplementedError

    @admin.action(description="Deliver again", permissions=["deliver"])
    def deliver_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """With the same key, by which a receiver recognises what it has had."""
        number = redelivery.send_again(self.deliveries(queryset))
        messages.success(request, f"{number} messages are sent again.")


@admin.register(Notification)
class NotificationAdmin(Redelivering):
    list_display = ["id", "person", "kind", "urgency", "title", "created_at", "read_at", "delivered_text"]
    list_filter = [Reached, "kind", "priority", "created_at", "user__tier"]
    inlines = [DeliveryLines]
    fieldsets = [
        (
            None,
            {"fields": ["person", "kind", "urgency", "category", "title", "body", "symbol", CURRENT_PRICE]},
        ),
        ("Times", {"fields": ["scheduled_at", "created_at", "read_at"]}),
        (None, {"fields": ["evidence"]}),
    ]

    def found(self, term: Term) -> Q:
        by_person = Q(user__in=term.people)
        return by_person | Q(symbol=term.symbol) if term.symbol else by_person

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        return super().get_queryset(request).select_related("user")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NotificationList

    def deliveries(self, rows: QuerySet[Any]) -> Iterable[int]:
        return Delivery.objects.filter(notification__in=rows.values("pk")).values_list("pk", flat=True)

    @admin.display(description="User", ordering="user__email")
    def person(self, row: Notification) -> str:
        return person_link(row.user)

    @admin.display(description="Priority", ordering="priority")
    def urgency(self, row: Notification) -> str:
        return row.get_priority_display()

    @admin.display(description="Delivered")
    def delivered_text(self, row: Any) -> str:
        return str(row.delivered)

    @admin.display(description="Evidence")
    def evidence(self, row: Notification) -> str:
        return link_to("alerts_trigger_change", "why it fired", row.trigger_id) if row.trigger_id else "–"


class Overdue(admin.SimpleListFilter):
    title = "due"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("late", "For more than a minute"), ("again", "After a failure")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        queued = queryset.filter(state=DeliveryState.QUEUED)
        if self.value() == "late":
            return queued.filter(next_attempt_at__lt=clock.now() - LATE, digest=None)
        return queued.filter(attempts__gt=0) if self.value() == "again" else queryset


class Urgency(admin.SimpleListFilter):
    title = "priority"
    parameter_name = "priority"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(one.value), one.name.capitalize()) for one in Priority]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        wanted = {str(one.value): one for one in Priority}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(priority=wanted)


@admin.register(Delivery)
class DeliveryAdmin(Redelivering):
    list_display = [
        "key", "state", "last_error", "attempts", "where", "told", "person", "next_attempt_at", "sent_at"
    ]  # fmt: skip
    list_filter = ["state", Overdue, "channel__kind", Urgency, "created_at"]
    search_help_text = "A key, a symbol, or the beginning of an e-mail address or of a user name"
    fields = [
        "key", "person", "told", "where", "state", "priority", "attempts", "created_at", "first_attempt_at",
        "next_attempt_at", "sent_at", "last_error", "digest",
    ]  # fmt: skip

    def found(self, term: Term) -> Q:
        theirs = Q(user__in=term.people)
        of_symbol = Q(symbol=term.symbol) if term.symbol else Q(pk__in=[])
        told = Notification.objects.filter(theirs | of_symbol)
        return Q(notification__in=told.values("pk")) | Q(key=term.text)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return without_secrets(super().get_queryset(request)).select_related("channel", "notification__user")

    def deliveries(self, rows: QuerySet[Any]) -> Iterable[int]:
        return rows.values_list("pk", flat=True)

    @admin.display(description="User")
    def person(self, row: Delivery) -> str:
        return person_link(row.notification.user)

    @admin.display(description="Notification")
    def told(self, row: Delivery) -> str:
        return link_to("alerts_notification_change", row.notification.title, row.notification_id)

    @admin.display(description="Channel")
    def where(self, row: Delivery) -> str:
        words = f"{row.channel.get_kind_display()}: {row.channel.label}"
        return link_to("alerts_channel_change", words, row.channel_id)


class Health(admin.SimpleListFilter):
    title = "health"
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("bad", "Fails, or switched off by an error"), ("alone", "Fails, and nobody stands in")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> QuerySet[Channel]:
        bad = queryset.filter(is_enabled=True, state__in=[ChannelState.FAILING, ChannelState.DISABLED])
        return {"bad": bad, "alone": bad.filter(failover=None)}.get(self.value() or "", queryset)


@admin.register(Channel)
class ChannelAdmin(Searched[Channel]):
    list_display = [
        "label", "kind", "state", "last_error", "failures_in_a_row", "last_error_at", "person", "is_enabled",
        "last_success_at", "name",
    ]  # fmt: skip
    list_filter = [Health, "state", "kind", "is_enabled", "user__tier"]
    actions = ["enable", "disable"]
    search_help_text = "The beginning of an e-mail address or of a user name"
    fieldsets = [
        (None, {"fields": ["person", "kind", "name", "label", "is_enabled", "created_at"]}),
        (
            "Health",
            {"fields": ["state", "failures_in_a_row", "last_success_at", "last_error", "last_error_at"]},
        ),
        (
            "What is sent here",
            {
                "fields": [
                    *("lowest_priority", "quiet_from", "quiet_until", "quiet_lets_critical", "digest_above"),
                    *("stand_in", "see_also"),
                ]
            },
        ),
    ]

    def found(self, term: Term) -> Q:
        return Q(user__in=term.people)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        hidden = (*SECRETS, *(f"failover__{name}" for name in SECRETS))
        return super().get_queryset(request).select_related("user", "failover").defer(*hidden)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.change_channel")

    @admin.action(description="Switch on, and forget its failures", permissions=["steer"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            channels.enable(channel)
        messages.success(request, "Switched on.")

    @admin.action(description="Switch off", permissions=["steer"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            channels.disable(channel)
        messages.success(request, "Switched off.")

    @admin.display(description="User", ordering="user__email")
    def person(self, channel: Channel) -> str:
        return person_link(channel.user)

    @admin.display(description="Stands in for it when it fails")
    def stand_in(self, channel: Channel) -> str:
        other = channel.failover
        return "–" if other is None else link_to("alerts_channel_change", other.label, other.pk)

    @admin.display(description="See also")
    def see_also(self, channel: Channel) -> str:
        return link_to("alerts_delivery_changelist", "what was sent to it", channel__id__exact=channel.pk)


@admin.register(Outbox)
class OutboxAdmin(ReadOnlyAdmin[Outbox]):
    list_display = ["notification", "priority", "due_at", "waits"]
    list_select_related = ["notification"]
    ordering = ["priority", "due_at"]

    @admin.display(description="Due for")
    def waits(self, row: Outbox) -> str:
        return delay_text(row.due_at, clock.now())
