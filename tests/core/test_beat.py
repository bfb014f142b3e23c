from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import Celery
from celery.schedules import crontab
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from core import beat, leases
from core.beat import FROM_CODE, LEASE, LOOP_S, LeasedScheduler
from core.models import Lease
from tests.outages import postgres_switch

pytestmark = pytest.mark.django_db(transaction=True)


class Recording(LeasedScheduler):
    """Keeps what it would send to the queue."""

    def __init__(self, *args, **kwargs) -> None:
        self.sent: list[str] = []
        super().__init__(*args, **kwargs)

    def send_task(self, name, *args, **kwargs):
        self.sent.append(name)


def make_app(**schedule) -> Celery:
    app = Celery("tests", broker="memory://", set_as_current=False)
    app.conf.result_expires = None
    app.conf.timezone = "UTC"
    app.conf.beat_schedule = {
        name: {"task": f"tests.{name}", "schedule": every} for name, every in schedule.items()
    }
    return app


@pytest.fixture
def make() -> Iterator:
    made: list[Recording] = []

    def scheduler(app: Celery) -> Recording:
        made.append(Recording(app))
        return made[-1]

    yield scheduler
    for one in made:
        one.close()
        one._finalize.cancel()


def overdue() -> None:
    """Every job was last run an hour ago."""
    for task in PeriodicTask.objects.all():
        task.last_run_at = task.date_changed - timedelta(hours=1)
        task.no_changes = True
        task.save()


def run_out() -> None:
    Lease.objects.update(expires_at="2000-01-01T00:00Z")


def turn(scheduler: Recording) -> list[str]:
    """What it sends until it would wait."""
    for _ in range(20):
        if scheduler.tick():
            break
    sent, scheduler.sent = scheduler.sent, []
    return sorted(sent)


def test_entries_of_the_code_are_copied_into_the_table(make):
    make(make_app(quick=5.0, nightly=crontab(hour=3)))

    rows = PeriodicTask.objects.order_by("name").values_list("name", "task", "description", "enabled")
    assert list(rows) == [
        ("nightly", "tests.nightly", FROM_CODE, True),
        ("quick", "tests.quick", FROM_CODE, True),
    ]


def test_entries_deleted_from_the_code_are_deleted_from_the_table_and_staffs_own_stay(make):
    make(make_app(quick=5.0, old=5.0))
    every = IntervalSchedule.objects.create(every=9, period="seconds")
    PeriodicTask.objects.create(name="by hand", task="tests.hand", interval=every)
    PeriodicTask.objects.create(name="noted", task="tests.hand", interval=every, description="my own")

    make(make_app(quick=5.0))

    assert set(PeriodicTask.objects.values_list("name", flat=True)) == {"quick", "by hand", "noted"}


def test_a_job_that_staff_switched_off_stays_off_after_a_restart(make):
    make(make_app(quick=5.0))
    PeriodicTask.objects.filter(name="quick").update(enabled=False)
    overdue()

    assert turn(make(make_app(quick=5.0))) == []
    assert not PeriodicTask.objects.get(name="quick").enabled


def test_of_two_schedulers_one_sends(make):
    app = make_app(quick=5.0, other=60.0)
    PeriodicTask.objects.all().delete()
    first, second = make(app), make(app)
    overdue()
    for one in (first, second):
        one._initial_read = True

    assert turn(first) == ["tests.other", "tests.quick"]
    assert turn(second) == []
    assert second.tick() == LOOP_S
    assert Lease.objects.get(name=LEASE).holder == first._holder


def test_what_the_last_holder_ran_does_not_run_again_after_a_takeover(make):
    app = make_app(hourly=3600.0)
    first, standby = make(app), make(app)
    overdue()
    for one in (first, standby):
        one._initial_read = True
        assert one.schedule
    assert turn(first) == ["tests.hourly"]
    assert turn(standby) == []

    run_out()  # the first one was killed: it could write nothing more

    assert turn(standby) == []
    assert Lease.objects.get(name=LEASE).holder == standby._holder


def test_what_the_last_holder_did_not_run_is_run_once_after_a_takeover(make):
    app = make_app(hourly=3600.0)
    first, standby = make(app), make(app)
    assert turn(first) == []
    overdue()
    run_out()

    assert turn(standby) == ["tests.hourly"]
    assert turn(standby) == []
    assert turn(first) == []


def test_closing_gives_the_lease_to_the_next_one_at_once(make):
    app = make_app(quick=5.0)
    first, second = make(app), make(app)
    first.tick()
    assert second.tick() == LOOP_S

    first.close()

    second.tick()
    assert Lease.objects.get(name=LEASE).holder == second._holder


def test_the_lease_lives_longer_than_several_turns_of_the_loop():
    assert timedelta(seconds=3 * LOOP_S) <= beat.LEASE_TTL


def test_while_postgres_is_away_nothing_is_sent_and_afterwards_it_goes_on(make):
    scheduler = make(make_app(quick=5.0))
    overdue()
    connection.close()
    with postgres_switch() as postgres:
        postgres.off()
        assert scheduler.tick() == LOOP_S
        assert scheduler.sent == []
        postgres.on()
    scheduler._initial_read = True

    assert turn(scheduler) == ["tests.quick"]
    assert leases.renew(LEASE, scheduler._epoch, beat.LEASE_TTL)
