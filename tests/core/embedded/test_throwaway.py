from __future__ import annotations

import os
import sys

import psycopg
from django.conf import settings

from core.embedded.throwaway import Throwaway, main


def test_throwaway_servers_leave_nothing_behind():
    with Throwaway(redis=False) as servers:
        assert "REDIS_URL" not in servers.environment
        host = str(servers.bundle.run_dir)
        with psycopg.connect(host=host, user="onetape", dbname="onetape") as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)

    assert not servers.folder.exists()


def test_a_command_runs_on_throwaway_servers_and_its_exit_code_is_kept():
    code = "import os; raise SystemExit(3 if '%2Frun' in os.environ['DATABASE_URL'] else 0)"

    assert main([sys.executable, "-c", code]) == 3


def test_the_tests_never_use_the_servers_of_the_user():
    host = settings.DATABASES["default"]["HOST"]

    assert host.startswith("/tmp/onetape-")
    assert settings.REDIS_URL.startswith("unix:///tmp/onetape-")
    assert str(settings.DATA_DIR).startswith("/tmp/onetape-")
    assert not os.environ.get("CELERY_BROKER_URL")
