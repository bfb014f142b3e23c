from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from core.processes import (
    Process,
    StartError,
    leftovers,
    spawn,
    start_ticks,
    stop_all,
    take_lock,
    write_record,
)
from tests.core.conftest import wait_gone

SLEEP = [sys.executable, "-c", "import signal; print(1, flush=True); signal.pause()"]
PARENT = """
import sys
from core.processes import Process, spawn
child = spawn(Process("child", sys.argv[1:]))
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def sleeper():
    child = spawn(Process("sleeper", SLEEP))
    child.stdout.readline()
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_ends_with_its_parent_however_that_ends(run, number):
    parent = run("-c", PARENT, *SLEEP)
    pid = int(parent.line(""))

    parent.signal(number)

    assert wait_gone(pid)


def test_ctrl_c_in_the_terminal_does_not_reach_the_child_directly(sleeper):
    assert os.getpgid(sleeper.pid) != os.getpgid(0)


def test_a_missing_program_is_one_clear_line():
    with pytest.raises(StartError, match=r"^web cannot be started: .*No such file"):
        spawn(Process("web", ["/nowhere/daphne"]))


def test_the_second_lock_on_the_same_data_is_refused_by_name(tmp_path):
    handle = take_lock(tmp_path / "up.lock")

    with pytest.raises(StartError, match=rf"already running on .* \(process {os.getpid()}\)"):
        take_lock(tmp_path / "up.lock")
    os.close(handle)
    os.close(take_lock(tmp_path / "up.lock"))


def test_leftovers_are_found_and_stopped(tmp_path, sleeper):
    write_record(tmp_path / "up.json", {"sleeper": (sleeper.pid, signal.SIGTERM)})

    assert leftovers(tmp_path / "up.json") == {sleeper.pid: signal.SIGTERM}
    stop_all(leftovers(tmp_path / "up.json"))

    assert sleeper.wait(30) == -signal.SIGTERM
    assert leftovers(tmp_path / "up.json") == {}


def test_a_reused_pid_is_no_leftover(tmp_path, sleeper):
    note = tmp_path / "up.json"
    write_record(note, {"sleeper": (sleeper.pid, signal.SIGTERM)})
    note.write_text(note.read_text().replace(start_ticks(sleeper.pid), "1"))

    assert leftovers(note) == {}


def test_a_leftover_that_ignores_the_signal_is_ended_with_force():
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        stop_all({child.pid: signal.SIGTERM}, patience_s=0.1)

        assert child.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("text", ["", "{", "null"])
def test_a_spoilt_note_means_no_leftovers(tmp_path, text):
    (tmp_path / "up.json").write_text(text)

    assert leftovers(tmp_path / "up.json") == {}
