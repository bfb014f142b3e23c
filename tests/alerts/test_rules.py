from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from threading import Barrier, Event

import pytest
from django.db import connections, transaction

from accounts.models import User
from accounts.profile import change_time_zone
from accounts.tiers import LIMITS, Tier
from alerts import loading, rules, splits
from alerts.errors import AlertLimit, Expired, InvalidRule, NoPrice, UnknownTicker
from alerts.kinds import Kind, Mode, Phase
from alerts.models import Alert
from alerts.states import State, distance, in_state, state_of
from core import clock
from marketdata import cache, demand
from marketdata.errors import InvalidSymbol
from marketdata.models import CorporateAction
from marketdata.quotes import NoQuote, Reason
from tests.factories import make_alert, make_quote, make_ticker, make_user
from tests.providers import make_quote as quoted

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)  # of 4 March in New York
LATER = NOW + timedelta(minutes=5)
ABOVE = {"symbol": "IBM", "kind": "above", "threshold": "190"}
LIMIT = LIMITS[Tier.FREE].max_alerts


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def at(monkeypatch):
    """Sets the clock."""

    def set_to(moment):
        monkeypatch.setattr(clock, "now", lambda: moment)

    set_to(NOW)
    return set_to


@pytest.fixture
def alice(at):
    make_ticker("IBM")
    return make_user("alice")


def fired(alert, when, **fields):
    """As a fire leaves the row."""
    done = alert.mode == Mode.ONCE.value
    values = {"phase": Phase.WAITING.value, "last_fired_at": when, "active": not done, **fields}
    Alert.objects.filter(pk=alert.pk).update(fire_seq=alert.fire_seq + 1, **values)
    alert.refresh_from_db()
    return alert


def test_a_new_alert_is_armed_from_now_on(alice):
    alert = rules.create(alice, {**ABOVE, "symbol": "ibm", "note": "at last", "priority": "critical"})

    alert.refresh_from_db()
    assert (alert.user, alert.ticker.symbol, alert.kind) == (alice, "IBM", "above")
    assert (alert.threshold, alert.direction, alert.priority, alert.note) == (Decimal(190), 1, 1, "at last")
    assert (alert.active, alert.phase, alert.version, alert.fire_seq) == (True, Phase.ARMED, 1, 0)
    assert (alert.armed_at, alert.edited_at, alert.created_at) == (NOW, NOW, NOW)
    assert (alert.armed_price, alert.splits_until) == (None, date(2026, 3, 4))


def test_of_a_replayed_ticker_splits_count_up_to_the_replayed_day(alice):
    make_quote(make_ticker("MSFT"), "30", replay_date=date(2012, 9, 12))

    alert = rules.create(alice, {**ABOVE, "symbol": "MSFT"})

    assert alert.splits_until == date(2012, 9, 12)


MIDNIGHT = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)
NIGHT = MIDNIGHT + timedelta(minutes=30)  # of the ex-date in New York; the last price is yesterday's


@pytest.fixture
def split_today(at):
    """IBM is split 4:1 on 4 March; its last price is of the evening before."""
    at(NIGHT)
    ticker = make_ticker("IBM")
    make_quote(
        ticker, "400", as_of=MIDNIGHT - timedelta(hours=6), received_at=NIGHT,
        expires_at=NIGHT + timedelta(days=9), provider="alpaca",
    )  # fmt: skip
    CorporateAction.objects.create(
        ticker=ticker, kind="split", ex_date=date(2026, 3, 4), split_from=1, split_to=4, provider="operator",
        loaded_at=NIGHT,
    )  # fmt: skip
    return ticker


def traded(ticker, at):
    """The first trade after the split."""
    at(NIGHT + timedelta(hours=9))
    ticker.quote.price, ticker.quote.as_of = Decimal(100), NIGHT + timedelta(hours=9)
    ticker.quote.expires_at = NIGHT + timedelta(days=9)
    ticker.quote.save()


def test_what_is_made_on_the_price_of_before_a_split_follows_it_once(split_today):
    alert = rules.create(make_user("alice"), {"symbol": "IBM", "kind": "below", "threshold": "390"})

    assert alert.splits_until == date(2026, 3, 3)
    assert [splits.follow() for _ in range(3)] == [1, 0, 0]
    alert.refresh_from_db()
    assert (alert.threshold, alert.splits_until) == (Decimal("97.5"), date(2026, 3, 4))


def test_what_is_made_on_the_first_price_after_a_split_stays(split_today, at):
    traded(split_today, at)

    rules.create(make_user("alice"), {"symbol": "IBM", "kind": "below", "threshold": "90"})

    assert splits.follow() == 0
    assert Alert.objects.get().threshold == Decimal(90)


def test_the_price_that_is_shown_counts_though_the_stored_one_is_older(split_today, at, monkeypatch):
    at(NIGHT + timedelta(hours=9))
    shown = {"IBM": quoted("IBM", "100", as_of=NIGHT + timedelta(hours=9))}
    monkeypatch.setattr(rules, "get_quotes", lambda *_, **__: shown)

    rules.create(make_user("alice"), {"symbol": "IBM", "kind": "below", "threshold": "90"})

    assert splits.follow() == 0


def test_a_level_that_is_edited_on_the_price_of_before_a_split_follows_it_once(split_today):
    """Although the level that it replaces had been restated already."""
    alert = rules.create(make_user("alice"), {"symbol": "IBM", "kind": "below", "threshold": "300"})
    splits.follow()

    rules.edit(alert, {"threshold": "390"})

    assert [splits.follow() for _ in range(3)] == [1, 0, 0]
    assert Alert.objects.get().threshold == Decimal("97.5")


def test_of_a_channel_an_edge_that_stays_is_not_restated_twice(split_today):
    fields = {"symbol": "IBM", "kind": "leaves_channel", "lower": "360", "upper": "440"}
    alert = rules.create(make_user("alice"), fields)
    splits.follow()

    rules.edit(alert, {"upper": "120"})

    assert splits.follow() == 0
    alert.refresh_from_db()
    assert (alert.lower, alert.upper) == (Decimal(90), Decimal(120))


def test_of_a_channel_that_is_not_restated_yet_both_edges_are(split_today):
    fields = {"symbol": "IBM", "kind": "leaves_channel", "lower": "360", "upper": "440"}
    alert = rules.create(make_user("alice"), fields)

    rules.edit(alert, {"upper": "480"})

    assert splits.follow() == 1
    alert.refresh_from_db()
    assert (alert.lower, alert.upper) == (Decimal(90), Decimal(120))


@pytest.mark.parametrize(
    ("fields", "direction", "phase"),
    [
        ({"kind": "below", "threshold": "1"}, -1, Phase.ARMED),
        ({"kind": "crosses_above", "threshold": "1"}, 1, Phase.FRESH),
        ({"kind": "crosses_below", "threshold": "1"}, -1, Phase.FRESH),
        ({"kind": "moves", "threshold": "1", "window_s": 60}, 0, Phase.FRESH),
        ({"kind": "leaves_channel", "lower": "1", "upper": "2"}, 0, Phase.FRESH),
        ({"kind": "stale", "stale_after_s": 60}, 0, Phase.FRESH),
    ],
)
def test_a_level_knows_its_way_and_what_needs_a_first_tick_waits_for_it(alice, fields, direction, phase):
    alert = rules.create(alice, {"symbol": "IBM", **fields})

    assert (alert.direction, alert.phase) == (direction, phase)


def test_percent_are_of_the_last_known_price(alice):
    make_quote(make_ticker("MSFT"), "200.10")

    alert = rules.create(alice, {"symbol": "MSFT", "kind": "below", "threshold_percent": "-2.5"})

    assert (alert.threshold, alert.threshold_percent) == (Decimal("195.0975"), Decimal("-2.5"))
    assert alert.reference_price == Decimal("200.10")


def test_percent_of_a_price_that_nobody_knows_are_refused(alice, monkeypatch):
    monkeypatch.setattr(
        rules, "get_quotes", lambda symbols, **_: {s: NoQuote(s, Reason.NO_DATA_YET) for s in symbols}
    )

    with pytest.raises(NoPrice):
        rules.create(alice, {"symbol": "IBM", "kind": "below", "threshold_percent": "-2.5"})


def test_percent_that_leave_the_range_of_prices_are_refused(alice):
    make_quote(make_ticker("COIN"), "0.00000001")

    with pytest.raises(InvalidRule) as caught:
        rules.create(alice, {"symbol": "COIN", "kind": "below", "threshold_percent": "-99"})
    assert list(caught.value.errors) == ["threshold_percent"]


def test_a_ticker_must_be_listed(alice):
    make_ticker("OLD", is_active=False)

    for symbol, error in (
        ("ZZZZ", UnknownTicker),
        ("OLD", UnknownTicker),
        ("A A A", InvalidSymbol),
        (5, InvalidSymbol),
        ("", InvalidRule),
    ):
        with pytest.raises(error):
            rules.create(alice, {**ABOVE, "symbol": symbol})
    assert Alert.objects.count() == 0


def test_whom_it_concerns_is_told_after_the_commit(alice, monkeypatch, django_capture_on_commit_callbacks):
    told = []
    monkeypatch.setattr(demand, "changed", lambda: told.append("tape"))
    monkeypatch.setattr(loading, "_tell", lambda: told.append("alerts"))

    with django_capture_on_commit_callbacks(execute=True):
        rules.create(alice, ABOVE)

    assert told == ["alerts", "tape"]


# --- the limit


def test_more_alerts_than_the_tier_has_are_refused(alice):
    for _ in range(LIMIT):
        rules.create(alice, ABOVE)

    with pytest.raises(AlertLimit) as caught:
        rules.create(alice, ABOVE)

    assert (caught.value.limit, caught.value.in_use) == (LIMIT, LIMIT)
    assert Alert.objects.count() == LIMIT


def test_what_is_deleted_done_or_expired_takes_no_place_and_what_is_paused_does(alice, at):
    gone, done, over, paused = (rules.create(alice, ABOVE) for _ in range(4))
    rules.delete(alice, [gone.pk])
    fired(done, LATER)
    Alert.objects.filter(pk=over.pk).update(expires_at=LATER)
    rules.pause(alice, [paused.pk])

    at(LATER)

    assert rules.places_in_use(alice, LATER) == 1


@pytest.mark.parametrize("way", ["resume", "restore", "duplicate", "edit"])
def test_no_way_leads_around_the_limit(alice, way):
    one = rules.create(alice, ABOVE)
    if way == "restore":
        rules.delete(alice, [one.pk])
    elif way != "duplicate":
        fired(one, LATER)
    for _ in range(LIMIT - (way == "duplicate")):
        rules.create(alice, ABOVE)
    before = list(Alert.objects.values())

    act = partial(getattr(rules, way), alice, [one.pk])
    if way == "edit":
        act = partial(rules.edit, one, {"threshold": "200"})

    with pytest.raises(AlertLimit):
        act()

    assert list(Alert.objects.values()) == before


def test_after_a_smaller_plan_what_is_paused_stays_so_until_there_is_room(alice):
    alice.tier = "pro"
    alice.save()
    alerts = [rules.create(alice, ABOVE) for _ in range(LIMIT + 1)]
    rules.pause(alice, [alerts[0].pk])
    User.objects.update(tier="free")

    with pytest.raises(AlertLimit):
        rules.resume(alice, [alerts[0].pk])
    rules.delete(alice, [alerts[1].pk])

    assert rules.resume(alice, [alerts[0].pk]) == [alerts[0]]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_make_alerts_at_once_as_many_succeed_as_the_tier_has_room_for(alice):
    already = 12
    for _ in range(already):
        rules.create(alice, ABOVE)
    together = Barrier(12)

    def come(_):
        together.wait(timeout=60)
        try:
            return rules.create(alice, ABOVE).pk
        except AlertLimit:
            return None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as people:
        made = list(people.map(come, range(12)))

    assert [one is None for one in sorted(made, key=bool)] == [True] * 4 + [False] * 8
    assert Alert.objects.count() == LIMIT


@pytest.mark.django_db(transaction=True)
def test_whatever_is_done_at_once_the_limit_holds_and_nobody_waits_for_ever(alice, monkeypatch):
    """Eight pages of one user, and an evaluation that fires: a deadlock would raise here."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC))
    ids = [rules.create(alice, {**ABOVE, "mode": "once"}).pk for _ in range(LIMIT)]
    together = Barrier(9)

    def work(number):
        lots = Random(number)
        together.wait(timeout=60)
        try:
            for _ in range(12):
                act(lots)
        finally:
            connections.close_all()

    def act(lots):
        some = lots.sample(ids, 7)
        acts = [rules.pause, rules.resume, rules.delete, rules.restore, rules.duplicate]
        with suppress(AlertLimit):
            lots.choice([*[partial(one, alice, some) for one in acts], partial(change, lots)])()

    def change(lots):
        alert = Alert.objects.select_related("ticker").get(pk=lots.choice(ids))
        with suppress(Alert.DoesNotExist):
            rules.edit(alert, {"threshold": lots.randint(1, 500)})

    def evaluate():
        together.wait(timeout=60)
        try:
            for _ in range(12):
                with transaction.atomic():
                    rows = Alert.objects.select_for_update(no_key=True).filter(active=True).order_by("pk")[:5]
                    now = clock.now()
                    Alert.objects.filter(pk__in=[row.pk for row in rows]).update(
                        active=False, last_fired_at=now, armed_at=now
                    )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(9) as people:
        done = [*[people.submit(work, number) for number in range(8)], people.submit(evaluate)]
        assert [one.result(timeout=50) for one in done] == [None] * 9

    assert rules.places_in_use(alice, clock.now()) <= LIMIT


# --- editing


def test_a_new_threshold_is_a_new_version_that_is_armed_now(alice, at):
    alert = fired(rules.create(alice, {**ABOVE, "mode": "repeat"}), NOW, armed_price=Decimal(180))
    at(LATER + timedelta(days=1))

    edited = rules.edit(alert, {"threshold": "200"})

    edited.refresh_from_db()
    assert (edited.threshold, edited.version, edited.phase, edited.active) == (
        Decimal(200),
        2,
        Phase.ARMED,
        True,
    )
    assert (edited.armed_at, edited.edited_at, edited.armed_price) == (clock.now(), clock.now(), None)
    assert (edited.mode, edited.fire_seq, edited.splits_until) == ("repeat", 1, date(2026, 3, 5))


def test_a_note_arms_nothing(alice, at):
    alert = fired(rules.create(alice, {**ABOVE, "mode": "repeat"}), NOW)
    at(LATER)

    edited = rules.edit(alert, {"note": "later", "priority": "low", "category": "ideas"})

    assert (edited.note, edited.priority, edited.category, edited.edited_at) == ("later", 4, "ideas", LATER)
    assert (edited.version, edited.phase, edited.armed_at) == (1, Phase.WAITING, NOW)


@pytest.mark.parametrize("fields", [{"cooldown_s": 60}, {"expires_at": "2027-01-01T00:00:00Z"}])
def test_a_limit_in_time_is_a_new_version_that_stands_as_it_stood(alice, at, fields):
    alert = fired(rules.create(alice, {**ABOVE, "mode": "repeat"}), NOW)
    at(LATER)

    edited = rules.edit(alert, fields)

    assert (edited.version, edited.phase, edited.armed_at, edited.active) == (2, Phase.WAITING, NOW, True)


def test_who_sends_back_what_is_there_changes_nothing(alice, at):
    make_quote(make_ticker("MSFT"), "200")
    alert = rules.create(
        alice,
        {"symbol": "MSFT", "kind": "below", "threshold_percent": "-5", "expires_at": "2026-12-31T00:00:00Z"},
    )
    before = Alert.objects.values().get()
    at(LATER)

    rules.edit(
        alert,
        {
            "symbol": "msft", "kind": "below", "threshold": "190.00", "threshold_percent": "-5.0000", "mode": "once",
            "rearm_band": "0", "priority": "medium", "expires_at": "2026-12-31T00:00:00Z", "version": 99, "user": "bob",
        },
    )  # fmt: skip

    assert Alert.objects.values().get() == before


def test_percent_stay_with_their_price_until_the_level_is_changed(alice):
    make_quote(make_ticker("MSFT"), "200")
    alert = rules.create(alice, {"symbol": "MSFT", "kind": "below", "threshold_percent": "-5"})

    edited = rules.edit(alert, {"mode": "daily", "kind": "crosses_below"})
    assert (edited.threshold, edited.threshold_percent, edited.reference_price) == (190, -5, 200)
    edited = rules.edit(alert, {"threshold": "180"})
    assert (edited.threshold, edited.threshold_percent, edited.reference_price) == (180, None, None)
    edited = rules.edit(alert, {"threshold_percent": "10"})
    assert (edited.threshold, edited.threshold_percent, edited.reference_price) == (220, 10, 200)


def test_a_price_is_never_taken_for_percent(alice):
    alert = rules.create(alice, {**ABOVE, "threshold": "5"})

    with pytest.raises(InvalidRule) as caught:
        rules.edit(alert, {"kind": "moves", "window_s": 60})
    assert list(caught.value.errors) == ["threshold"]
    edited = rules.edit(alert, {"kind": "moves", "window_s": 60, "threshold": "5"})
    assert (edited.kind, edited.direction, edited.phase) == ("moves", 0, Phase.FRESH)
    with pytest.raises(InvalidRule):
        rules.edit(edited, {"kind": "above"})


def test_what_the_new_kind_does_not_use_is_gone(alice):
    alert = rules.create(alice, {"symbol": "IBM", "kind": "leaves_channel", "lower": "90", "upper": "110"})

    edited = rules.edit(alert, {"kind": "below", "threshold": "95"})

    assert (edited.lower, edited.upper, edited.threshold, edited.direction) == (None, None, Decimal(95), -1)


def test_an_alert_stays_with_its_ticker(alice):
    make_ticker("MSFT")

    with pytest.raises(InvalidRule) as caught:
        rules.edit(rules.create(alice, ABOVE), {"symbol": "MSFT"})
    assert list(caught.value.errors) == ["symbol"]


def test_a_rule_that_cannot_be_changes_nothing(alice):
    alert = rules.create(alice, ABOVE)
    before = Alert.objects.values().get()

    for wrong in ({"threshold": "0"}, {"threshold": None}, {"kind": "moves"}, {"expires_at": "2020-01-01"}):
        with pytest.raises(InvalidRule):
            rules.edit(alert, wrong)

    assert Alert.objects.values().get() == before


def test_a_deleted_alert_cannot_be_edited(alice):
    alert = rules.create(alice, ABOVE)
    rules.delete(alice, [alert.pk])

    with pytest.raises(Alert.DoesNotExist):
        rules.edit(alert, {"threshold": "200"})


def test_an_edit_of_what_is_paused_leaves_it_paused(alice):
    alert = rules.create(alice, ABOVE)
    rules.pause(alice, [alert.pk])

    edited = rules.edit(alert, {"threshold": "200"})

    assert (edited.version, edited.active, edited.is_paused) == (2, False, True)


def test_what_is_done_is_armed_by_another_level_and_not_by_a_note_or_an_expiry(alice, at):
    alert = fired(rules.create(alice, ABOVE), NOW)
    at(LATER)

    assert not rules.edit(alert, {"note": "it was good"}).active
    assert not rules.edit(alert, {"expires_at": "2027-01-01T00:00:00Z"}).active
    edited = rules.edit(alert, {"threshold": "200"})
    assert (edited.active, edited.phase, edited.armed_at, edited.version) == (True, Phase.ARMED, LATER, 3)


def test_what_has_run_out_goes_on_with_a_later_expiry_and_stays_out_otherwise(alice, at):
    alert = rules.create(alice, {**ABOVE, "expires_at": "2026-03-05T02:01:00Z"})
    Alert.objects.update(active=False)  # as upkeep does
    at(LATER)

    assert not rules.edit(alert, {"threshold": "200"}).active
    edited = rules.edit(alert, {"expires_at": None})
    assert (edited.active, edited.armed_at, edited.threshold) == (True, LATER, Decimal(200))


@pytest.mark.django_db(transaction=True)
def test_an_edit_waits_for_a_fire_and_sees_it(alice):
    """The evaluation holds the row while it commits; the edit is of what it has left."""
    alert = rules.create(alice, {**ABOVE, "mode": "repeat"})
    held, edited = Event(), Event()

    def edit():
        held.wait(30)
        try:
            return rules.edit(alert, {"threshold": "200"})
        finally:
            edited.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            Alert.objects.select_for_update(no_key=True).get(pk=alert.pk)
            waiting = other.submit(edit)
            held.set()
            assert not edited.wait(0.3)  # it cannot pass
            fired(alert, NOW)
        found = waiting.result(timeout=30)

    assert (found.fire_seq, found.last_fired_at, found.version, found.phase) == (1, NOW, 2, Phase.ARMED)


# --- pausing and going on


def test_pause_and_resume(alice, at):
    alert = fired(rules.create(alice, {**ABOVE, "mode": "repeat"}), NOW)

    (paused,) = rules.pause(alice, [alert.pk])
    assert (paused.active, paused.is_paused, paused.version) == (False, True, 1)
    assert rules.pause(alice, [alert.pk]) == []
    at(LATER)
    (resumed,) = rules.resume(alice, [alert.pk])

    resumed.refresh_from_db()
    assert (resumed.active, resumed.is_paused, resumed.version) == (True, False, 2)
    assert (resumed.phase, resumed.armed_at) == (Phase.ARMED, LATER)
    assert rules.resume(alice, [alert.pk]) == []


def test_what_has_fired_once_can_be_armed_again(alice, at):
    alert = fired(rules.create(alice, ABOVE), NOW)
    at(LATER)

    assert rules.pause(alice, [alert.pk]) == []
    (again,) = rules.resume(alice, [alert.pk])

    assert (again.active, again.version, again.armed_at, again.fire_seq) == (True, 2, LATER, 1)


def test_what_has_run_out_is_not_resumed(alice, at):
    over = rules.create(alice, {**ABOVE, "expires_at": "2026-03-05T02:01:00Z"})
    paused = rules.create(alice, ABOVE)
    rules.pause(alice, [over.pk, paused.pk])
    at(LATER)

    with pytest.raises(Expired):
        rules.resume(alice, [over.pk])
    assert rules.resume(alice, [over.pk, paused.pk]) == [paused]


def test_a_snooze_keeps_the_phase_and_ends_with_resume(alice, at):
    alert = fired(rules.create(alice, {**ABOVE, "mode": "repeat"}), NOW)

    (snoozed,) = rules.snooze(alice, [alert.pk], "2026-03-06T00:00:00Z")
    assert (snoozed.active, snoozed.phase, snoozed.version) == (True, Phase.WAITING, 2)
    assert snoozed.snoozed_until == datetime(2026, 3, 6, tzinfo=UTC)
    at(LATER)
    (awake,) = rules.resume(alice, [alert.pk])

    assert (awake.snoozed_until, awake.phase, awake.version, awake.armed_at) == (None, Phase.WAITING, 3, NOW)


def test_only_what_works_can_be_snoozed(alice):
    alert = rules.create(alice, ABOVE)
    rules.pause(alice, [alert.pk])

    assert rules.snooze(alice, [alert.pk], "2026-03-06T00:00:00Z") == []
    with pytest.raises(InvalidRule):
        rules.snooze(alice, [alert.pk], "yesterday")


# --- deleting and duplicating


@pytest.mark.parametrize("state", ["armed", "paused", "triggered"])
def test_what_is_restored_is_what_it_was(alice, at, state):
    alert = rules.create(alice, ABOVE)
    if state == "paused":
        rules.pause(alice, [alert.pk])
    if state == "triggered":
        fired(alert, NOW)
    rules.delete(alice, [alert.pk])
    assert (Alert.objects.kept().count(), Alert.objects.get().active) == (0, False)
    at(LATER)

    (restored,) = rules.restore(alice, [alert.pk])

    restored.refresh_from_db()
    assert (restored.deleted_at, state_of(restored, LATER)) == (None, state)
    assert rules.restore(alice, [alert.pk]) == []


def test_a_duplicate_is_a_new_alert_with_the_same_rule(alice, at):
    alert = fired(rules.create(alice, {**ABOVE, "note": "x", "rearm_band": "0.5", "priority": "high"}), NOW)
    at(LATER)

    (copy,) = rules.duplicate(alice, [alert.pk])

    copy.refresh_from_db()
    assert copy.pk != alert.pk
    assert copy.rule == alert.rule
    assert (copy.note, copy.priority, copy.direction, copy.splits_until) == ("x", 2, 1, alert.splits_until)
    assert (copy.active, copy.fire_seq, copy.version, copy.last_fired_at) == (True, 0, 1, None)
    assert (copy.armed_at, copy.created_at) == (LATER, LATER)


def test_what_has_run_out_is_duplicated_without_its_expiry(alice, at):
    alert = rules.create(alice, {**ABOVE, "expires_at": "2026-03-05T02:01:00Z"})
    at(LATER)

    assert [copy.expires_at for copy in rules.duplicate(alice, [alert.pk])] == [None]


@pytest.mark.parametrize("way", ["pause", "resume", "delete", "restore", "duplicate", "snooze"])
def test_another_users_alerts_are_left_alone(alice, way):
    alert = rules.create(alice, ABOVE)
    if way == "resume":
        rules.pause(alice, [alert.pk])
    if way == "restore":
        rules.delete(alice, [alert.pk])
    before = list(Alert.objects.values())
    more = ["2026-03-06T00:00:00Z"] if way == "snooze" else []

    assert getattr(rules, way)(make_user("bob"), [alert.pk], *more) == []
    assert list(Alert.objects.values()) == before


def test_another_time_zone_is_told_to_the_evaluation(alice, at, django_capture_on_commit_callbacks):
    working, paused = rules.create(alice, ABOVE), rules.create(alice, ABOVE)
    rules.pause(alice, [paused.pk])
    at(LATER)

    with django_capture_on_commit_callbacks(execute=True):
        change_time_zone(alice, "Europe/Berlin")

    rows = {row.pk: row for row in Alert.objects.select_related("user")}
    assert (rows[working.pk].edited_at, rows[working.pk].version) == (LATER, 1)
    assert (rows[working.pk].armed_at, rows[working.pk].rule.time_zone) == (NOW, "Europe/Berlin")
    assert rows[paused.pk].edited_at == NOW


def test_the_same_time_zone_is_told_to_nobody(alice, at, django_capture_on_commit_callbacks):
    alert = rules.create(alice, ABOVE)
    at(LATER)

    with django_capture_on_commit_callbacks(execute=True) as told:
        change_time_zone(alice, alice.time_zone)

    alert.refresh_from_db()
    assert (told, alert.edited_at) == ([], NOW)


# --- states


STATES = {
    State.ARMED: {"phase": Phase.ARMED},
    State.WAITING: {"phase": Phase.WAITING},
    State.FRESH: {"phase": Phase.FRESH},
    State.PAUSED: {"active": False, "is_paused": True},
    State.SNOOZED: {"snoozed_until": LATER},
    State.TRIGGERED: {"active": False, "last_fired_at": NOW},
    State.EXPIRED: {"active": False, "expires_at": NOW},
}
MORE_STATES = [
    (State.EXPIRED, {"expires_at": NOW}),  # upkeep has not come yet
    (State.EXPIRED, {"active": False, "is_paused": True, "expires_at": NOW}),
    (State.EXPIRED, {"active": False, "expires_at": NOW, "last_fired_at": NOW, "mode": "repeat"}),
    (State.EXPIRED, {"active": False, "expires_at": NOW, "last_fired_at": NOW - timedelta(days=1)}),
    (State.TRIGGERED, {"active": False, "expires_at": NOW, "last_fired_at": NOW}),
    (State.PAUSED, {"active": False, "is_paused": True, "snoozed_until": LATER}),
    (State.ARMED, {"snoozed_until": NOW, "expires_at": LATER}),
    (State.TRIGGERED, {"active": False}),
]


@pytest.mark.parametrize(("state", "fields"), [*STATES.items(), *MORE_STATES])
def test_an_alert_has_one_state_and_the_database_says_the_same(alice, state, fields):
    values = {"armed_at": NOW, **fields}
    alert = make_alert(alice, make_ticker(), **values)

    assert state_of(alert, NOW) == state
    assert [one for one in State if Alert.objects.filter(in_state(one, NOW)).exists()] == [state]


@pytest.mark.parametrize(
    ("fields", "percent"),
    [
        ({"kind": Kind.ABOVE, "threshold": "110"}, "10.0000"),
        ({"kind": Kind.CROSSES_BELOW, "threshold": "95"}, "-5.0000"),
        (
            {"kind": Kind.LEAVES_CHANNEL, "threshold": None, "lower": Decimal(99), "upper": Decimal(105)},
            "-1.0000",
        ),
        (
            {"kind": Kind.ENTERS_CHANNEL, "threshold": None, "lower": Decimal(103), "upper": Decimal(105)},
            "3.0000",
        ),
        ({"kind": Kind.MOVES, "threshold": "5"}, None),
        ({"kind": Kind.STALE, "threshold": None}, None),
    ],
)
def test_the_distance_is_how_far_the_price_has_to_go(alice, fields, percent):
    ticker = make_ticker()
    quote = cache.quote_of_row(make_quote(ticker, "100"))

    assert distance(make_alert(alice, ticker, **fields), quote) == (
        None if percent is None else Decimal(percent)
    )


def test_without_a_price_there_is_no_distance(alice):
    alert = make_alert(alice, make_ticker())

    assert distance(alert, None) is None
    assert distance(alert, NoQuote("IBM", Reason.NO_DATA_YET)) is None
