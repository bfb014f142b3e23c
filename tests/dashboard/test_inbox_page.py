"""The inbox, and why a notification came; without a script."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from alerts import evidence, rules
from alerts.models import Alert, Channel, Delivery, Notification, Trigger
from core import clock
from dashboard.inbox_page import PAGE
from dashboard.moments import day_words, delay_words, exact_words, moment_words, zone_of
from tests.factories import make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db
THIN, MINUS = "\u2009", "\u2212"


@pytest.fixture
def alice(client: Client):
    user = make_user("alice")
    client.force_login(user)
    return user


def text(answer) -> str:
    return re.sub(r"\s+", " ", html.unescape(answer.content.decode()).replace(THIN, "~")).replace("~", THIN)


def make_note(user, title: str = "AAPL rose above 600.00", **fields) -> Notification:
    now = clock.now()
    return Notification.objects.create(
        user=user, title=title, **{"scheduled_at": now, "created_at": now, "symbol": "AAPL", **fields}
    )


def titles(answer) -> list[str]:
    return re.findall(r'class="inbox-link"[^>]*>([^<]+)<', text(answer))


def us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def make_fire(user, price: str = "600.12", before: str = "599.87", **fields) -> Notification:
    """An alert that has fired, with the two ticks that decided."""
    ticker = make_ticker("AAPL")
    make_quote(ticker, price)
    alert = rules.create(user, {"symbol": "AAPL", "kind": "above", "threshold": "600"})
    at = clock.now() - timedelta(seconds=30)
    tick = {
        "price": price, "as_of": us(at), "received": us(at) + 300_000, "provider": "alpaca", "session": "regular",
        "volume": 1_500_000, "trade_id": "71675577", "replay": False, "delayed_s": 0,
    }  # fmt: skip
    trigger = Trigger.objects.create(
        alert=alert, fire_seq=1, rule_version=alert.version, rule=evidence.rule_json(alert.rule), price=Decimal(price),
        armed_at=at - timedelta(hours=1), armed_price=Decimal(before), exchange_at=at,
        received_at=at + timedelta(milliseconds=300), evaluated_at=at + timedelta(milliseconds=301),
        committed_at=at + timedelta(milliseconds=308),
        **{"source": "tick", "tick": tick, "before": {**tick, "price": before, "trade_id": "71675571"}, **fields},
    )  # fmt: skip
    return make_note(user, trigger=trigger, current_price=Decimal(price), created_at=at)


# --- the inbox


def test_an_empty_inbox_teaches(client: Client, alice) -> None:
    answer = text(client.get("/notifications/"))

    assert "Nothing has fired yet" in answer
    assert "All read." in answer


def test_notifications_are_grouped_by_the_readers_days(client: Client, alice, still) -> None:
    noon = clock.now().astimezone(ZoneInfo(alice.time_zone)).replace(hour=12, minute=0)
    for days, title in [(5, "older"), (1, "yesterday")]:
        make_note(alice, title, created_at=(noon - timedelta(days=days)).astimezone(UTC))
    make_note(alice, "today")

    answer = client.get("/notifications/")

    labels = re.findall(r'<h2 class="inbox-label"[^>]*>([^<]+)</h2>', text(answer))
    assert titles(answer) == ["today", "yesterday", "older"]
    assert labels[:2] == ["Today", "Yesterday"]
    assert len(labels) == 3


def test_a_line_says_what_is_urgent_new_and_of_which_kind(client: Client, alice) -> None:
    make_note(alice, "Usual", priority=3, read_at=clock.now())
    make_note(alice, "Urgent", priority=1, category="swing")
    make_note(alice, "Back", kind="retraction", priority=3, body="The trade was cancelled.")

    answer = text(client.get("/notifications/"))

    assert answer.count("is-unread") == 2
    assert answer.count('<span class="badge badge-critical">Critical</span>') == 1
    for shown in ["Taken back", "swing", "The trade was cancelled.", "2 unread."]:
        assert shown in answer
    assert 'data-unread="2"' in answer


def test_the_unread_alone_are_shown_and_one_or_all_become_read(client: Client, alice) -> None:
    first, second, third = (make_note(alice, title) for title in ["first", "second", "third"])

    client.post("/notifications/read/", {"id": second.pk})
    assert titles(client.get("/notifications/?unread")) == ["third", "first"]
    assert (
        client.post("/notifications/read/", {"next": "/notifications/?unread"}).url
        == "/notifications/?unread"
    )
    assert "Nothing unread" in text(client.get("/notifications/?unread"))
    assert Notification.objects.filter(read_at=None).count() == 0
    assert {first.pk, third.pk} < set(Notification.objects.values_list("pk", flat=True))


def test_pages_follow_one_another_without_a_gap(client: Client, alice) -> None:
    made = [make_note(alice, f"note {number}").title for number in range(PAGE + 5)][::-1]

    first = client.get("/notifications/")
    older = re.search(r'href="(\?before=\d+)"', text(first))[1]
    then = client.get(f"/notifications/{older}")

    assert titles(first) + titles(then) == made
    assert "Newest" in text(then)
    assert "Older" not in text(then)


@pytest.mark.parametrize("before", ["x", "٣", "9" * 40, "-1"])
def test_what_is_no_place_in_the_list_is_its_beginning(before, client: Client, alice) -> None:
    make_note(alice, "one")

    assert titles(client.get(f"/notifications/?before={before}")) == ["one"]


def test_what_is_older_than_30_days_and_what_is_others_is_not_shown(client: Client, alice) -> None:
    make_note(alice, "old", created_at=clock.now() - timedelta(days=31))
    theirs = make_note(make_user("bob"), "theirs")

    assert titles(client.get("/notifications/")) == []
    assert client.get(f"/notifications/{theirs.pk}/").status_code == 404
    client.post("/notifications/read/", {"id": theirs.pk})
    client.post("/notifications/read/")
    theirs.refresh_from_db()
    assert theirs.read_at is None


def test_by_what_a_confirmation_is_found_again_is_not_shown(client: Client, alice) -> None:
    note = make_note(alice, "a@example.com was asked to confirm", kind="channel", category="confirmation 7")
    make_note(alice, category="confirmation bias")

    pages = [text(client.get(path)) for path in ("/notifications/", f"/notifications/{note.pk}/")]

    assert ["confirmation 7" in page for page in pages] == [False, False]
    assert "confirmation bias" in pages[0]


@pytest.mark.parametrize("count", [1, 5])
def test_the_inbox_costs_the_same_queries_for_any_length(
    count, client: Client, alice, django_assert_num_queries
) -> None:
    for _ in range(count):
        make_note(alice)

    # session, user, notifications, the shell's numbers
    with django_assert_num_queries(4):
        client.get("/notifications/")


# --- why one came


def test_opening_it_marks_it_as_read_and_asking_for_its_head_does_not(client: Client, alice) -> None:
    note = make_note(alice)

    client.head(f"/notifications/{note.pk}/")
    note.refresh_from_db()
    assert note.read_at is None
    answer = client.get(f"/notifications/{note.pk}/")
    note.refresh_from_db()
    assert note.read_at is not None
    assert 'data-unread="0"' in text(answer)


def test_it_shows_rule_ticks_and_each_step_with_its_delay(client: Client, alice) -> None:
    note = make_fire(alice)

    answer = text(client.get(f"/notifications/{note.pk}/"))

    for shown in [
        "AAPL is above 600.00, regular session, once",
        "Evaluated again, it fires again",
        "599.87",
        "600.12",
        "71675577",
        "Alpaca",
        "Regular",
        f"1.50{THIN}M",
        f"+300{THIN}ms",
        f"+1.0{THIN}ms",
        f"+7.0{THIN}ms",
        "at 599.87",
    ]:
        assert shown in answer


def test_evidence_that_does_not_bear_it_out_says_so(client: Client, alice) -> None:
    note = make_fire(alice, price="599.99", before="599.87")

    assert "Evaluated again, it does not fire" in text(client.get(f"/notifications/{note.pk}/"))


def test_evidence_of_another_make_is_no_error(client: Client, alice) -> None:
    note = make_fire(alice)
    Trigger.objects.update(rule={"kind": "long gone"}, tick=None, before=None)

    answer = text(client.get(f"/notifications/{note.pk}/"))

    assert "Too little was kept to evaluate it again" in answer
    assert "can no longer be read" in answer


def test_it_says_that_the_rule_was_changed_or_deleted_since(client: Client, alice) -> None:
    note = make_fire(alice)
    alert = Alert.objects.get()
    rules.edit(alert, {"threshold": "610"})
    assert "you have changed it since" in text(client.get(f"/notifications/{note.pk}/"))
    rules.delete(alice, [alert.pk])

    answer = text(client.get(f"/notifications/{note.pk}/"))

    assert "(deleted since)" in answer
    assert "Edit alert" not in answer


def test_a_trade_that_was_taken_back_stands_above_everything(client: Client, alice, still) -> None:
    note = make_fire(alice, retracted_at=clock.now(), retraction="The exchange cancelled trade 71675577.")

    answer = text(client.get(f"/notifications/{note.pk}/"))

    assert "Taken back Today," in answer
    assert "The exchange cancelled trade 71675577." in answer


@pytest.mark.parametrize(
    ("source", "words"),
    [("gap", "first trade after a gap"), ("sweep", "by the safety sweep"), ("clock", "found by the clock")],
)
def test_what_was_not_found_by_a_trade_says_by_what(source, words, client: Client, alice) -> None:
    note = make_fire(alice, source=source)

    assert words in text(client.get(f"/notifications/{note.pk}/"))


def test_each_channel_says_how_its_delivery_went(client: Client, alice) -> None:
    note = make_fire(alice)
    now = clock.now()

    def deliver(name: str, **fields) -> None:
        channel = Channel.objects.create(user=alice, kind="email", name=name, address=name, label=f"{name}@…")
        fields = {"next_attempt_at": now, "priority": 3, **fields}
        Delivery.objects.create(notification=note, channel=channel, key=name, **fields)

    deliver("Mail", state="sent", attempts=1, sent_at=note.trigger.committed_at + timedelta(milliseconds=640))
    deliver(
        "Server", state="queued", attempts=3, last_error="HTTP 503", next_attempt_at=now + timedelta(hours=1)
    )
    deliver("Chat", state="dead", attempts=10, last_error="HTTP 410 Gone")

    answer = text(client.get(f"/notifications/{note.pk}/"))

    for shown in [
        "Sent to Mail",
        f"+640{THIN}ms",
        "3 attempts",
        "HTTP 503",
        "HTTP 410 Gone",
        "Given up",
        "Queued",
        "next attempt",
    ]:
        assert shown in answer


def test_a_notification_without_a_fire_has_its_text_and_no_evidence(client: Client, alice) -> None:
    note = make_note(alice, "My server was switched off", kind="channel", body="It answered 410.", symbol="")

    answer = text(client.get(f"/notifications/{note.pk}/"))

    assert "It answered 410." in answer
    assert "Why did I get this?" not in answer


@pytest.mark.parametrize("count", [0, 3])
def test_the_reasons_cost_few_queries(count, client: Client, alice, django_assert_num_queries) -> None:
    note = make_fire(alice, "600.12", "599.87")
    for number in range(count):
        channel = Channel.objects.create(user=alice, kind="email", name=f"{number}", address="x", label="x")
        Delivery.objects.create(
            notification=note, channel=channel, key=str(number), priority=3, next_attempt_at=clock.now()
        )

    # session, user, the notification with its fire, marking it read, its deliveries, the shell's numbers
    with django_assert_num_queries(6):
        client.get(f"/notifications/{note.pk}/")


# --- words


def test_moments_are_told_in_the_readers_zone() -> None:
    zone = ZoneInfo("Asia/Tokyo")
    now = datetime(2026, 3, 14, 16, 0, tzinfo=UTC)  # the 15th in Tokyo

    assert day_words(datetime(2026, 3, 14, 15, 30, tzinfo=UTC), now, zone) == "Today"
    assert moment_words(datetime(2026, 3, 14, 14, 30, tzinfo=UTC), now, zone) == "Yesterday, 23:30"
    assert day_words(datetime(2026, 1, 2, tzinfo=UTC), now, zone) == "2 Jan"
    assert day_words(datetime(2025, 12, 30, tzinfo=UTC), now, zone) == "30 Dec 2025"
    assert exact_words(datetime(2026, 3, 14, 15, 30, 1, 234_567, tzinfo=UTC), zone) == "00:30:01.234"
    assert zone_of("Middle/Earth") is UTC


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0.8, "0.8 ms"), (41.6, "42 ms"), (1_500, "1.5 s"), (90_000, "1 min"), (-3, f"{MINUS}3.0 ms")],
)
def test_delays_have_the_unit_that_fits(ms, words) -> None:
    assert delay_words(timedelta(milliseconds=ms)).replace(THIN, " ") == words
