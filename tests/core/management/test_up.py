"""`manage.py up` as a person runs it: real servers, real roles, a data folder of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from core.bundled import Bundle
from tests.core.conftest import Running, wait_gone
from tests.journeys.served import free_port

pytestmark = pytest.mark.timeout(400)

FOREIGN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")


def up(data: Path, port: int, *options: str, **environment: str) -> Running:
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    argv = [sys.executable, "manage.py", "up", "--port", str(port), *options]
    return Running(argv, env={**inherited, "DATA_DIR": str(data), **environment})


def failure(running: Running) -> tuple[int, list[str]]:
    """Exit code and everything it said."""
    with running:
        code = running.wait(120)
    return code, running.rest()


def pids(data: Path) -> dict[str, int]:
    return {name: row[0] for name, row in json.loads(Bundle(data).record.read_text()).items()}


@pytest.fixture(scope="module")
def site():
    """(data folder, port, the running program) of one installation shared by the tests that do not end it."""
    with tempfile.TemporaryDirectory(prefix="onetape-", dir="/tmp") as folder:
        port = free_port()
        with up(Path(folder), port) as running:
            running.line("Onetape runs at", within_s=150)
            yield Path(folder), port, running


def test_the_address_is_printed_when_the_pages_answer(site):
    _, port, running = site

    assert f"Onetape runs at http://127.0.0.1:{port}/" in running.said("Onetape runs at")
    assert "warning" not in running.said()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
        assert answer.status == 200


def test_the_demo_passwords_stand_right_above_the_address(site):
    said = site[2].said().split("Onetape runs at")[0]

    assert said.rstrip().count("@") >= 4


def test_a_second_one_on_the_same_data_is_refused_in_one_line(site):
    data, _, running = site

    code, lines = failure(up(data, free_port()))

    assert code != 0
    assert lines == [f"CommandError: up: already running on {data} (process {running.process.pid})"]


def test_a_taken_port_is_refused_in_one_line(site, short_tmp):
    port = site[1]

    code, lines = failure(up(short_tmp, port))

    assert code != 0
    assert [f"cannot listen on 127.0.0.1 port {port}: address already in use" in line for line in lines] == [
        True
    ]


@pytest.mark.parametrize("name", ["redis", "postgres", "worker"])
def test_what_is_killed_comes_back(site, name):
    data, _, running = site
    running.until(lambda: name in pids(data))
    killed = pids(data)[name]

    os.kill(killed, signal.SIGKILL)

    running.line(f"{name} ended (SIGKILL); starting it again in 1 s")
    running.until(lambda: pids(data).get(name, killed) != killed)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DEBUG": "perhaps"}, 'wrong setting: Environment variable "DEBUG" invalid'),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}, "Connection refused"),
        ({"REDIS_URL": "nonsense"}, "REDIS_URL"),
        ({"MARKETDATA_PROVIDERS": "nonsense"}, "up: MARKETDATA_PROVIDERS names 'nonsense'"),
        ({"REPLAY_SPEED": "1000"}, "up: REPLAY_SPEED is 1000"),
        ({"DEMO_SYMBOLS": "brk-b"}, "up: DEMO_SYMBOLS names 'brk-b'"),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "the server of REDIS_URL cannot be used"),
    ],
)
def test_a_wrong_setting_is_one_line_without_a_traceback(short_tmp, environment, words):
    code, lines = failure(up(short_tmp, free_port(), **environment))

    assert code != 0
    assert [words in line for line in lines] == [True], lines


def test_a_data_folder_that_cannot_be_written_is_one_line(short_tmp):
    (short_tmp / "file").touch()

    code, lines = failure(up(short_tmp / "file" / "var", free_port()))

    assert code != 0
    assert ["ot a directory" in line for line in lines] == [True], lines


def test_it_starts_again_after_everything_was_killed_and_ctrl_c_leaves_nothing(short_tmp):
    with up(short_tmp, free_port()) as first:
        first.line("Onetape runs at", within_s=150)
        for pid in [first.process.pid, *pids(short_tmp).values()]:
            os.kill(pid, signal.SIGKILL)

    with up(short_tmp, free_port()) as second:
        second.line("Onetape runs at", within_s=150)
        children = pids(short_tmp)
        second.signal(signal.SIGINT)

        assert second.wait(120) == 0
    assert set(children) >= {"redis", "postgres", "web", "tape"}
    assert all(wait_gone(pid, 0) for pid in children.values())
