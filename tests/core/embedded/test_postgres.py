from __future__ import annotations

import os
import signal
import subprocess

import psycopg
import pytest

from core.bundled import Bundle
from core.embedded import servers
from core.embedded.identity import Identity, possible_identities
from core.embedded.postgres import Postgres
from core.processes import StartError
from tests.core.conftest import wait_gone

SMALL = {"shared_buffers": "32MB", "max_connections": "20"}


@pytest.fixture
def bundle(short_tmp):
    bundle = Bundle(short_tmp)
    servers.make_folders(bundle)
    return bundle


@pytest.fixture
def started():
    running = []
    yield running
    servers.stop(running)


def ask(bundle: Bundle, sql: str) -> str:
    with psycopg.connect(
        host=str(bundle.run_dir), user="onetape", dbname="onetape", autocommit=True
    ) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone()[0] if cursor.description else ""


def test_a_cluster_is_made_once_and_keeps_what_was_committed(bundle, started):
    first = servers.start([Postgres(bundle, SMALL)])
    ask(bundle, "CREATE TABLE kept AS SELECT 7 AS number")
    servers.stop(first)

    started += servers.start([Postgres(bundle, SMALL)])

    assert ask(bundle, "SELECT number FROM kept") == 7
    assert ask(bundle, "SHOW fsync") == "on"
    assert ask(bundle, "SHOW server_encoding") == "UTF8"
    assert ask(bundle, "SHOW listen_addresses") == ""
    assert bundle.run_dir.stat().st_mode & 0o777 == 0o700


def test_a_killed_server_leaves_data_that_the_next_start_recovers(bundle, started):
    first = servers.start([Postgres(bundle, SMALL)])
    ask(bundle, "CREATE TABLE kept AS SELECT 7 AS number")
    first[0].kill()
    first[0].wait()

    started += servers.start([Postgres(bundle, SMALL)])

    assert ask(bundle, "SELECT number FROM kept") == 7


def test_a_server_left_by_an_earlier_run_is_stopped(bundle, started):
    left = servers.start([Postgres(bundle, SMALL)])[0]

    started += servers.start([Postgres(bundle, SMALL)])

    assert wait_gone(left.pid)
    assert left.wait() == 0
    assert ask(bundle, "SELECT 1") == 1


def test_a_note_with_the_pid_of_another_process_is_not_believed(bundle, started):
    servers.stop(servers.start([Postgres(bundle, SMALL)]))
    with subprocess.Popen(["sleep", "60"]) as bystander:
        note = f"{bystander.pid}\n{bundle.postgres_data}\n1\n5432\n{bundle.run_dir}\n\n1 1\nready\n"
        (bundle.postgres_data / "postmaster.pid").write_text(note)

        started += servers.start([Postgres(bundle, SMALL)])

        assert bystander.poll() is None
        bystander.kill()
    assert ask(bundle, "SELECT 1") == 1


def test_an_interrupted_creation_is_begun_anew(bundle, started):
    half = bundle.data / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")

    started += servers.start([Postgres(bundle, SMALL)])

    assert ask(bundle, "SELECT 1") == 1
    assert not half.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice")
@pytest.mark.parametrize("number", [0, 1], ids=["user-namespace", "account"])
def test_as_root_it_runs_as_somebody_else_and_ends_with_its_parent(run, short_tmp, number):
    identity = possible_identities()[number]
    if not identity.runs("true"):
        pytest.skip("not permitted on this machine")
    short_tmp.chmod(0o755)
    parent = run("-c", PARENT, str(short_tmp), str(number))
    pid = int(parent.line("", within_s=200).split()[-1])

    parent.signal(signal.SIGKILL)

    assert wait_gone(pid)


PARENT = """
import sys
from pathlib import Path
from core.bundled import Bundle
from core.embedded import servers
from core.embedded.identity import possible_identities
from core.embedded.postgres import Postgres
bundle = Bundle(Path(sys.argv[1]))
servers.make_folders(bundle)
small = {"shared_buffers": "32MB", "max_connections": "20"}
server = Postgres(bundle, small, [possible_identities()[int(sys.argv[2])]])
child, = servers.start([server])
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice")
def test_as_root_without_a_way_out_the_refusal_names_them(bundle):
    with pytest.raises(StartError, match=r"refuses to run as root.*ordinary user.*DATABASE_URL"):
        Postgres(bundle, identities=[Identity(prefix=("false",))])


def test_a_setting_it_refuses_is_told_in_its_own_words(bundle):
    with pytest.raises(StartError, match=r"postgres ended at its start: .*max_connections"):
        servers.start([Postgres(bundle, {"max_connections": "many"})])


def test_data_of_another_version_is_refused(bundle):
    server = Postgres(bundle, SMALL)
    server.prepare()
    (bundle.postgres_data / "PG_VERSION").write_text("9\n")

    with pytest.raises(StartError, match="was made by PostgreSQL 9, this is"):
        servers.start([server])
