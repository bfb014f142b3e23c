"""The runner against real servers: what it reads, what it commits, and what happens when it is replaced or edited."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from alerts import evidence, rules
from alerts.kinds import Kind
from alerts.models import Alert, Notification, NotificationKind, Outbox, Position, Trigger
from alerts.runner import Term
from core import clock
from core.database import in_thread
from core.redis import client
from marketdata.accepted import key_of
from marketdata.models import CorporateAction
from marketdata.quotes import Correction
from marketdata.splits import today
from tests.alerts.ticking import TickStream, fires, running
from tests.factories import make_alert, make_ticker, make_user

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stream():
    client().delete(key_of(0))
    yield TickStream()
    client().delete(key_of(0))


@pytest.fixture
async def runner(transactional_db, stream, monkeypatch, caplog):
    caplog.set_level("CRITICAL")
    async with running(monkeypatch) as made:
        await made.is_ready()
        yield made


async def armed(kind="above", symbol="AAPL", **fields) -> Alert:
    def make() -> Alert:
        return make_alert(make_user(), make_ticker(symbol), Kind(kind), **{"mode": "repeat", **fields})

    return await in_thread(make)


async def admitted(runner, stream, alert) -> None:
    """The runner knows the alert: one that was made with it, and needs a tick to be armed, has been."""
    pilot = await in_thread(
        lambda: make_alert(alert.user, alert.ticker, Kind.CROSSES_ABOVE, "900000", mode="repeat")
    )
    stream.send(alert.ticker.symbol, "1.00")
    await runner.until(lambda: in_thread(Alert.objects.filter(pk=pilot.pk, phase=1).exists))


async def fires_are(runner, *expected) -> None:
    """In the end; one that is too much is noticed after the last one."""

    async def there() -> bool:
        return len(await in_thread(fires)) >= len(expected)

    await runner.until(there)
    assert await in_thread(fires) == list(expected)


async def test_a_touch_between_two_other_ticks_fires_once_with_its_evidence(runner, stream):
    alert = await armed(kind="crosses_above", threshold="100")
    stream.send("AAPL", "99.50", "100.00", "100.01", "99.90", volume=7)
    await runner.until(lambda: in_thread(Trigger.objects.exists))
    await runner.read_all(stream)

    trigger = await in_thread(Trigger.objects.get)
    assert (trigger.alert_id, trigger.fire_seq, trigger.price, trigger.source) == (
        alert.pk, 1, Decimal("100.01"), "tick",
    )  # fmt: skip
    assert (trigger.before["price"], trigger.tick["price"], trigger.armed_price) == (
        "100.00",
        "100.01",
        Decimal("99.50"),
    )
    assert trigger.exchange_at <= trigger.received_at <= trigger.evaluated_at <= trigger.committed_at
    rule = evidence.rule_of(trigger.rule)
    assert evidence.reproduces(rule, trigger.armed_price, trigger.before, trigger.tick, trigger.extra)


async def test_trigger_notification_outbox_and_alert_are_one(runner, stream):
    alert = await armed(threshold="100", priority=1, category="swing", note="sell half")
    stream.send("AAPL", "101.00")
    await runner.until(lambda: in_thread(Outbox.objects.exists))

    told = await in_thread(Notification.objects.get)
    assert (told.user_id, told.title, told.body, told.symbol, told.current_price, told.priority, told.category) == (
        alert.user_id, "AAPL is above 100.00: 101.00", "sell half", "AAPL", Decimal(101), 1, "swing",
    )  # fmt: skip
    assert (await in_thread(Outbox.objects.get)).notification_id == told.pk
    await in_thread(alert.refresh_from_db)
    assert (alert.phase, alert.fire_seq, alert.active) == (2, 1, True)


async def test_an_excursion_fires_once_and_the_level_itself_arms_again(runner, stream):
    alert = await armed(threshold="100")
    stream.send("AAPL", "101.00", "102.00", "100.00", "100.00", "100.01")
    await runner.read_all(stream)
    await fires_are(runner, (alert.pk, 1, Decimal(101)), (alert.pk, 2, Decimal("100.01")))


async def test_an_alert_that_fires_once_is_done(runner, stream):
    alert = await armed(threshold="100", mode="once")
    await admitted(runner, stream, alert)
    stream.send("AAPL", "101.00", "99.00", "101.00")
    await runner.read_all(stream)
    await in_thread(alert.refresh_from_db)
    assert (len(await in_thread(fires)), alert.active) == (1, False)


async def test_a_successor_decides_what_its_predecessor_had_not_committed(runner, stream):
    alert = await armed(threshold="100")
    await admitted(runner, stream, alert)
    await runner.die()
    stream.send("AAPL", "101.00")
    stream.send("AAPL", "99.00", "102.00")
    runner.start()
    await runner.read_all(stream)
    await fires_are(runner, (alert.pk, 1, Decimal(101)), (alert.pk, 2, Decimal(102)))


async def test_ticks_from_before_an_alert_was_made_do_not_fire_it(runner, stream):
    other = await armed(symbol="MSFT", threshold="500")
    await admitted(runner, stream, other)
    await runner.die()
    stream.send("AAPL", "101.00")
    alert = await armed(threshold="100")
    runner.start()
    await runner.read_all(stream)
    assert await in_thread(fires) == []
    stream.send("AAPL", "100.50")
    await runner.read_all(stream)
    await fires_are(runner, (alert.pk, 1, Decimal("100.50")))


async def test_an_alert_that_is_heard_of_late_has_missed_nothing(runner, stream, monkeypatch):
    monkeypatch.setattr("alerts.loading._tell", lambda: None)
    alert = await armed(kind="crosses_above", threshold="100")
    stream.send("AAPL", "99.00", "101.00")
    await fires_are(runner, (alert.pk, 1, Decimal(101)))


@pytest.fixture
def hears(monkeypatch):
    """Whether the runner hears of edits from now on."""
    is_news = Term._is_news
    return lambda does: monkeypatch.setattr(Term, "_is_news", is_news if does else lambda *_: False)


async def test_an_edit_that_came_first_wins(runner, stream, hears):
    """The runner has decided on the old level; what it commits is not what the owner wants any more."""
    alert = await armed(threshold="100")
    await admitted(runner, stream, alert)
    hears(False)
    await in_thread(rules.edit, alert, {"threshold": "200"})
    stream.send("AAPL", "101.00")
    await runner.read_all(stream)
    assert await in_thread(fires) == []
    stream.send("AAPL", "201.00")
    await runner.read_all(stream)
    await fires_are(runner, (alert.pk, 1, Decimal(201)))


async def test_an_edit_to_a_level_that_the_tick_has_reached_as_well_fires_the_new_one(runner, stream, hears):
    alert = await armed(threshold="100")
    await admitted(runner, stream, alert)
    hears(False)
    await in_thread(rules.edit, alert, {"threshold": "90"})
    stream.send("AAPL", "101.00")
    await runner.read_all(stream)
    await runner.until(lambda: in_thread(Trigger.objects.exists))
    trigger = await in_thread(Trigger.objects.get)
    assert (trigger.rule_version, trigger.rule["threshold"]) == (2, "90")


async def test_what_crossed_before_a_calm_edit_and_was_not_heard_of_fires_as_the_new_version(
    runner, stream, hears
):
    """The owner moves his level, it is crossed, he changes the cooldown: only then the runner hears of him."""
    alert = await armed(threshold="200", mode="once")
    await admitted(runner, stream, alert)
    hears(False)
    alert = await in_thread(rules.edit, alert, {"threshold": "100"})
    stream.send("AAPL", "101.00", "99.00")
    await runner.read_all(stream)
    await in_thread(rules.edit, alert, {"cooldown_s": 60})
    stream.send("AAPL", "102.00")
    await runner.read_all(stream)
    assert await in_thread(fires) == []

    hears(True)
    await runner.until(lambda: in_thread(Trigger.objects.exists))
    stream.send("AAPL", "98.00", "103.00")
    await runner.read_all(stream)
    assert await in_thread(told) == [(3, Decimal(101))]


async def test_what_fired_before_a_calm_edit_does_not_fire_again(runner, stream, hears):
    alert = await armed(threshold="100", cooldown_s=3600)
    await admitted(runner, stream, alert)
    stream.send("AAPL", "101.00", "99.00")
    await runner.read_all(stream)
    hears(False)
    await in_thread(rules.edit, alert, {"cooldown_s": 0})
    stream.send("AAPL", "102.00")
    await runner.read_all(stream)
    await runner.until(lambda: in_thread(Trigger.objects.filter(rule_version=2).exists))
    assert await in_thread(told) == [(1, Decimal(101)), (2, Decimal(102))]


def told() -> list[tuple[int, Decimal]]:
    """(version, price), oldest first."""
    return list(Trigger.objects.order_by("pk").values_list("rule_version", "price"))


async def test_a_pause_is_heard(runner, stream):
    alert = await armed(threshold="100")
    await admitted(runner, stream, alert)
    await in_thread(rules.pause, alert.user, [alert.pk])
    stream.send("AAPL", "101.00")
    await runner.read_all(stream)
    assert await in_thread(fires) == []


async def test_the_first_tick_after_a_gap_says_so(runner, stream):
    alert = await armed(threshold="100")
    await admitted(runner, stream, alert)
    stream.lose()
    stream.send("AAPL", "101.00")
    await runner.read_all(stream)
    assert (await in_thread(Trigger.objects.get)).source == "gap"


async def test_a_batch_that_was_written_twice_counts_once(runner, stream):
    alert = await armed(threshold="100")
    await admitted(runner, stream, alert)
    ticks = stream.send("AAPL", "101.00", "99.00")
    stream.write_again(ticks)
    stream.send("AAPL", "98.00")
    await runner.read_all(stream)
    await fires_are(runner, (alert.pk, 1, Decimal(101)))


async def test_what_a_former_tape_still_says_is_not_heard(runner, stream):
    alert = await armed(threshold="100")
    await admitted(runner, stream, alert)
    stream.begin_term()
    stream.send("AAPL", "99.00")
    late = TickStream(epoch=1)
    late.send("AAPL", "101.00")
    stream.send("AAPL", "98.00")
    await runner.read_all(stream)
    assert await in_thread(fires) == []
    assert (await in_thread(Position.objects.get)).tape_epoch == 2


async def test_halted_and_stale_prices_are_not_looked_at(runner, stream):
    await admitted(runner, stream, await armed(threshold="100"))
    stream.send("AAPL", "101.00", halted=True)
    old = stream.send("AAPL", "99.00")[0]
    stream.send("AAPL", "102.00", as_of_us=old.received_us - 3_600_000_000)
    await runner.read_all(stream)
    assert await in_thread(fires) == []


async def test_a_trade_that_is_taken_back_is_annotated_and_told_once(runner, stream):
    await admitted(runner, stream, await armed(threshold="100"))
    (tick,) = stream.send("AAPL", "101.00", trade_id="t1")
    taken_back = Correction("AAPL", "scripted", tick.as_of_us, "t1", Decimal(101))
    stream.write([], [taken_back])
    stream.write([], [taken_back])
    await runner.read_all(stream)

    trigger = await in_thread(Trigger.objects.get)
    assert (trigger.retraction, trigger.retracted_at is None) == ("The trade at 101.00 was cancelled.", False)
    told = await in_thread(lambda: list(Notification.objects.order_by("pk").values_list("kind", flat=True)))
    assert told == [NotificationKind.ALERT.value, NotificationKind.RETRACTION.value]
    assert await in_thread(Outbox.objects.count) == 2


async def test_of_two_runners_one_decides(runner, stream):
    runner.start()
    runner.start()
    alert = await armed(threshold="100")
    stream.send("AAPL", "101.00")
    await runner.read_all(stream)
    await fires_are(runner, (alert.pk, 1, Decimal(101)))


async def test_a_threshold_follows_its_split_though_nothing_else_runs(transactional_db, stream, monkeypatch):
    def split() -> Alert:
        alert = make_alert(make_user(), make_ticker("AAPL"), Kind.ABOVE, "200", mode="repeat")
        Alert.objects.filter(pk=alert.pk).update(splits_until=today() - timedelta(days=1))
        CorporateAction.objects.create(
            ticker=alert.ticker, kind="split", ex_date=today(), split_from=1, split_to=4, provider="hand",
            loaded_at=clock.now(),
        )  # fmt: skip
        return alert

    alert = await in_thread(split)
    async with running(monkeypatch) as made:
        await made.is_ready()
    await in_thread(alert.refresh_from_db)
    assert (alert.threshold, alert.version) == (Decimal(50), 2)
