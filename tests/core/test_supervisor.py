from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from core.processes import Process
from core.supervisor import LONGEST_DELAY_S, Child, Plan
from tests.core.conftest import wait_gone

# As `manage.py up` does: start the servers, then become the supervisor that adopts them.
LAUNCH = """
import os, sys
from core.processes import spawn
from core.supervisor import Plan
plan = Plan.from_json(sys.argv[1])
plan.pids = {server.name: spawn(server).pid for server in plan.servers}
reader, writer = os.pipe()
os.write(writer, plan.to_json().encode())
os.close(writer)
os.set_inheritable(reader, True)
os.execv(sys.executable, [sys.executable, "-m", "core.supervisor", str(reader)])
"""
# Says its name and pid, and on SIGTERM that it leaves.
ROLE = """
import os, signal, sys
name, journal = sys.argv[1:]
def leave(*_):
    open(journal, "a").write(name + " left\\n")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
open(journal, "a").write(name + " started\\n")
print("pid", os.getpid(), flush=True)
while True:
    signal.pause()
"""
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


@pytest.fixture
def journal(tmp_path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def role(journal):
    def make(name: str, **options) -> Process:
        return Process(name, [sys.executable, "-c", ROLE, name, str(journal)], **options)

    return make


@pytest.fixture
def supervise(run, tmp_path):
    return lambda **plan: run("-c", LAUNCH, Plan(record=str(tmp_path / "up.json"), **plan).to_json())


def said_in(running, log: Path) -> str:
    """What a server has written as soon as it has: from then on it hears signals."""
    running.until(lambda: log.exists() and log.read_text().endswith("\n"))
    return log.read_text().strip()


def pid_in(line: str) -> int:
    return int(line.rsplit(" ", 1)[1])


def test_a_killed_role_is_started_again_and_said(supervise, role):
    running = supervise(first=[role("web")])
    first = pid_in(running.line("web      | pid"))

    os.kill(first, signal.SIGKILL)

    assert "web ended (SIGKILL); starting it again in 1 s" in running.line("ended")
    assert pid_in(running.line("web      | pid")) != first


def test_a_killed_server_is_started_again(supervise, role, tmp_path):
    running = supervise(servers=[role("redis", log=str(tmp_path / "redis.log"))], first=[role("web")])
    running.line("web      | pid")
    log = tmp_path / "redis.log"

    os.kill(pid_in(said_in(running, log)), signal.SIGKILL)

    running.line("redis ended (SIGKILL); starting it again in 1 s")


def test_a_role_that_fails_at_once_is_started_later_each_time(supervise):
    running = supervise(first=[Process("tape", [sys.executable, "-c", "raise SystemExit('no lease')"])])

    assert running.line("no lease") == "tape     | no lease"
    assert "(exit code 1); starting it again in 1 s" in running.line("ended")
    assert "(exit code 1); starting it again in 2 s" in running.line("ended")


def test_the_delay_doubles_up_to_half_a_minute_and_a_steady_life_resets_it():
    child = Child(Process("web", []))
    delays = []
    for _ in range(7):
        child.schedule()
        delays.append(child.delay_s)

    assert delays == [1, 2, 4, 8, 16, 30, LONGEST_DELAY_S]

    child.since -= 61
    child.schedule()

    assert child.delay_s == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_roles_then_servers_with_exit_code_0(supervise, role, journal, tmp_path, number):
    running = supervise(servers=[role("redis", log=str(tmp_path / "log"))], first=[role("web")])
    running.line("web      | pid")
    said_in(running, tmp_path / "log")

    running.signal(number)

    assert running.wait() == 0
    assert journal.read_text().splitlines()[-2:] == ["web left", "redis left"]


def test_a_second_signal_ends_what_does_not_leave(supervise):
    running = supervise(first=[Process("web", [sys.executable, "-c", STUBBORN])])
    running.line("deaf")

    running.signal(signal.SIGINT)
    running.line("stopping")
    running.until(lambda: running.signal(signal.SIGINT) or running.process.poll() is not None)

    assert running.wait() == 1


def test_the_same_wish_to_stop_arriving_twice_is_not_a_second_one(supervise, role, journal):
    running = supervise(first=[role("web")])
    running.line("web      | pid")

    # All at once for the supervisor, however long it takes to send them here.
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCONT):
        running.signal(number)

    assert running.wait() == 0
    assert journal.read_text().splitlines()[-1] == "web left"


def test_children_end_when_the_supervisor_is_killed_outright(supervise, role, tmp_path):
    log = tmp_path / "redis.log"
    running = supervise(servers=[role("redis", log=str(log))], first=[role("web")])
    pids = [pid_in(running.line("web      | pid")), pid_in(said_in(running, log))]

    running.signal(signal.SIGKILL)

    assert all(wait_gone(pid) for pid in pids)


def test_the_rest_starts_after_the_address_was_announced(supervise, role):
    running = supervise(
        first=[role("web")], later=[role("beat")], url="http://127.0.0.1:1/", notes="alice / secret"
    )

    running.line("alice / secret")
    running.line("Onetape runs at http://127.0.0.1:1/")
    running.line("beat     | pid")


def test_a_plan_survives_its_journey():
    plan = Plan(record="r", servers=[Process("redis", ["r"], log="l", stop_signal=2)], pids={"redis": 1})

    assert Plan.from_json(plan.to_json()) == plan
