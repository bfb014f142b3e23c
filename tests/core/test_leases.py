from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, connections, transaction

from core import leases
from core.models import Lease

pytestmark = pytest.mark.django_db(transaction=True)

LONG = timedelta(seconds=60)
# An end in the past: the lease has run out as soon as it is given.
GONE = timedelta(seconds=-1)


def other_session() -> psycopg.Connection:
    """A connection that is not Django's, as another process would have."""
    found = connection.settings_dict
    return psycopg.connect(
        dbname=found["NAME"], user=found["USER"], host=found["HOST"], port=found["PORT"] or None
    )


def in_thread(function, *args):
    """In a thread of its own, with a connection of its own."""

    def call():
        try:
            return function(*args)
        finally:
            connections.close_all()

    pool = ThreadPoolExecutor(1)
    future = pool.submit(call)
    pool.shutdown(wait=False)
    return future


def until_somebody_waits_for_a_lock() -> None:
    with other_session() as session:
        session.autocommit = True
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%core_lease%'"
            " AND datname = current_database()"
        )
        while session.execute(waiting).fetchone() is None:
            session.execute("SELECT pg_sleep(0.005)")


def test_a_second_contender_waits_until_the_lease_runs_out():
    first = leases.take("tape:0/1", "a", LONG)

    assert leases.take("tape:0/1", "b", LONG) is None
    assert Lease.objects.get().holder == "a"
    assert Lease.objects.get().epoch == first


def test_a_holder_cannot_take_its_own_lease_twice():
    leases.take("tape:0/1", "a", LONG)

    assert leases.take("tape:0/1", "a", LONG) is None


def test_epochs_rise_over_all_names():
    epochs = [leases.take(name, "a", LONG) for name in ("tape:0/2", "tape:1/2", "beat")]

    assert epochs == sorted(set(epochs))


def test_a_holder_that_nobody_replaced_may_renew_late_and_a_replaced_one_may_not():
    late = leases.take("tape:0/1", "a", GONE)
    assert leases.renew("tape:0/1", late, GONE)

    newer = leases.take("tape:0/1", "b", LONG)

    assert newer > late
    assert not leases.renew("tape:0/1", late, LONG)
    assert leases.renew("tape:0/1", newer, LONG)


def test_epochs_rise_above_what_another_store_has_seen():
    first = leases.take("tape:0/1", "a", GONE)

    leases.rise_above(first + 1000)
    second = leases.take("tape:0/1", "a", GONE)
    leases.rise_above(first)

    assert second > first + 1000
    assert leases.take("tape:0/1", "a", GONE) > second


def test_renewing_makes_the_lease_longer_by_the_servers_clock():
    epoch = leases.take("beat", "a", timedelta(seconds=1))
    before = Lease.objects.get().expires_at

    assert leases.renew("beat", epoch, LONG)

    assert Lease.objects.get().expires_at - before > timedelta(seconds=58)


def test_a_release_lets_the_next_in_at_once():
    first = leases.take("beat", "a", LONG)
    leases.release("beat", first)

    assert leases.take("beat", "b", LONG) > first
    assert not leases.renew("beat", first, LONG)


def test_releasing_what_somebody_else_holds_changes_nothing():
    old = leases.take("beat", "a", GONE)
    new = leases.take("beat", "b", LONG)

    leases.release("beat", old)

    assert leases.renew("beat", new, LONG)


def test_a_released_lease_can_be_read_like_any_row():
    leases.release("beat", leases.take("beat", "a", LONG))

    assert [lease.holder for lease in Lease.objects.all()] == ["a"]


def test_racing_contenders_give_each_epoch_one_owner():
    granted: list[tuple[int, str]] = []
    lock = threading.Lock()

    def contend(holder: str) -> None:
        mine = 0
        while mine < 10:
            epoch = leases.take("race", holder, LONG)
            if epoch is None:
                continue
            mine += 1
            with transaction.atomic():
                assert leases.hold("race", epoch)
                with lock:
                    granted.append((epoch, holder))
            leases.release("race", epoch)

    for future in [in_thread(contend, holder) for holder in "abcd"]:
        future.result(45)

    epochs = [epoch for epoch, _ in granted]
    assert epochs == sorted(set(epochs))
    assert len(granted) == 40


def test_an_epoch_that_was_overtaken_while_it_waited_is_not_granted():
    leases.take("slow", "dead", GONE)
    with other_session() as session:
        session.execute("SELECT 1 FROM core_lease WHERE name = 'slow' FOR UPDATE")
        waiting = in_thread(leases.take, "slow", "late", LONG)
        until_somebody_waits_for_a_lock()
        # Meanwhile another holder comes, with a later epoch, and goes.
        session.execute(
            "UPDATE core_lease SET holder = 'quick', epoch = nextval('core_lease_epoch') WHERE name = 'slow'"
        )
        session.commit()
        quick = Lease.objects.get().epoch

    late = waiting.result(30)
    assert late is None or late > quick


def test_holding_keeps_a_takeover_out_until_the_transaction_ends():
    old = leases.take("tape:0/1", "a", GONE)
    with transaction.atomic():
        assert leases.hold("tape:0/1", old)
        taking = in_thread(leases.take, "tape:0/1", "b", LONG)
        until_somebody_waits_for_a_lock()
        assert not taking.done()

    assert taking.result(30) > old


def test_a_lease_that_went_to_somebody_else_cannot_be_held():
    old = leases.take("tape:0/1", "a", GONE)
    leases.take("tape:0/1", "b", LONG)

    with transaction.atomic():
        assert not leases.hold("tape:0/1", old)
        assert not leases.hold("never-taken", old)


@pytest.fixture
def dead_process() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    return process.pid


def test_a_machine_of_the_same_name_that_booted_apart_is_another_one(dead_process, monkeypatch, tmp_path):
    elsewhere = leases.holder_name().replace(f":{os.getpid()}:", f":{dead_process}:")
    assert leases.died_here(elsewhere)

    (tmp_path / "boot_id").write_text("another-boot\n")
    monkeypatch.setattr(leases, "BOOT_ID", tmp_path / "boot_id")

    assert not leases.died_here(elsewhere)


@pytest.mark.parametrize("unreadable", ["BOOT_ID", "PROCESS_IDS"])
def test_nobody_is_called_dead_where_the_machine_cannot_be_told(
    unreadable, dead_process, monkeypatch, tmp_path
):
    monkeypatch.setattr(leases, unreadable, tmp_path / "nothing")
    holder = leases.holder_name().replace(f":{os.getpid()}:", f":{dead_process}:")

    assert not leases.died_here(holder)


def test_the_longest_host_name_fits_the_column(monkeypatch):
    monkeypatch.setattr(leases.socket, "gethostname", lambda: "h" * 64)

    assert leases.take("tape:0/1", leases.holder_name(), LONG) is not None


def test_a_holder_that_died_on_this_machine_is_followed_at_once():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    dead = leases.holder_name().replace(f":{os.getpid()}:", f":{process.pid}:")
    first = leases.take("tape:0/1", dead, LONG)

    assert leases.died_here(dead)
    assert leases.take("tape:0/1", leases.holder_name(), LONG) > first


@pytest.mark.parametrize("holder", ["", "a", "elsewhere:1:abcd", "elsewhere/1:999999:abcd", "a:b:c"])
def test_a_holder_that_may_live_is_waited_for(holder):
    leases.take("tape:0/1", holder, LONG)

    assert not leases.died_here(holder)
    assert leases.take("tape:0/1", "b", LONG) is None


def test_a_living_holder_of_this_machine_is_waited_for():
    leases.take("tape:0/1", leases.holder_name(), LONG)

    assert leases.take("tape:0/1", leases.holder_name(), LONG) is None


def test_a_dead_process_that_its_parent_has_not_noticed_is_dead():
    child = subprocess.Popen([sys.executable, "-c", ""])
    holder = leases.holder_name().replace(f":{os.getpid()}:", f":{child.pid}:")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and left as it is

    assert leases.died_here(holder)
    child.wait()
