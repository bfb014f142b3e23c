from __future__ import annotations

from pathlib import Path

import pytest

from core.bundled import Bundle
from core.embedded import servers
from core.embedded.postgres import Postgres
from core.embedded.redis import Redis
from core.processes import StartError


def test_a_socket_folder_of_somebody_elses_making_is_refused(short_tmp):
    (short_tmp / "elsewhere").mkdir()
    (short_tmp / "run").symlink_to(short_tmp / "elsewhere")

    with pytest.raises(StartError, match="belongs to somebody else"):
        servers.make_folders(Bundle(short_tmp))


def test_an_open_socket_folder_is_closed_to_others(short_tmp):
    (short_tmp / "run").mkdir(mode=0o777)

    servers.make_folders(Bundle(short_tmp))

    assert (short_tmp / "run").stat().st_mode & 0o777 == 0o700


def test_when_one_server_fails_the_other_does_not_stay(short_tmp):
    bundle = Bundle(short_tmp)
    servers.make_folders(bundle)
    good, bad = Redis(bundle), Postgres(bundle, {"max_connections": "many"})

    with pytest.raises(StartError, match="postgres ended at its start"):
        servers.start([good, bad])

    assert not good.is_ready(0)


def test_a_long_log_is_set_aside(short_tmp, monkeypatch):
    monkeypatch.setattr(servers, "LOG_LIMIT", 10)
    log = Path(short_tmp / "log" / "redis.log")
    log.parent.mkdir()
    log.write_text("x" * 20)

    servers.make_folders(Bundle(short_tmp))

    assert not log.exists()
    assert log.with_suffix(".log.1").exists()
