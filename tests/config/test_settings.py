"""What a wrong value does: every command names the variable in one line and does not start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from config.env import BROKERS, env
from tests.core.conftest import ROOT
from tests.servers import FOREIGN


def start(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return subprocess.run(
        [sys.executable, *argv],
        cwd=ROOT,
        env={**inherited, **environment},
        text=True,
        capture_output=True,
        check=False,
        timeout=200,
    )


WRONG = [
    ("TIME_FACTOR", "0"),
    ("TIME_FACTOR", "-1"),
    ("TIME_FACTOR", "nan"),
    ("TIME_FACTOR", "inf"),
    ("TIME_FACTOR", "fast"),
    ("DATABASE_URL", "sqlite:///x"),
    ("DATABASE_URL", "mysql://u:hidden@127.0.0.1/x"),
    ("DATABASE_URL", "postgres://127.0.0.1"),
    ("DATABASE_URL", "postgres://127.0.0.1:port/x"),
    ("EMAIL_URL", "mail.example.com"),
    ("EMAIL_URL", "pop3://u:hidden@mail.example.com"),
    ("EMAIL_URL", "smtp+tls://"),
    ("EMAIL_URL", "smtp://mail.example.com:port"),
    ("EMAIL_URL", "smtp://mail.example.com?timeout=long"),
    ("PUBLIC_URL", "example.com"),
    ("PUBLIC_URL", "https://u:hidden@example.com"),
    ("PUBLIC_URL", "https://example.com/onetape"),
    ("EGRESS_ALLOW", "hidden"),
    ("EGRESS_ALLOW", "10.0.0.0/8,hidden/8"),
    ("ALLOWED_HOSTS", ""),
    ("ALLOWED_HOSTS", " , "),
    ("CELERY_BROKER_URL", "nonsense://u:hidden@127.0.0.1"),
    ("CELERY_BROKER_URL", "unix:///run/redis.sock"),
    ("REDIS_URL", "http://127.0.0.1:6379"),
    ("REDIS_URL", "redis://[127.0.0.1"),
    ("SECRET_KEY_FILE", "/nope"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_stops_every_command_in_one_line(name, value):
    done = start("manage.py", "migrate", "--plan", **{name: value})

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("manage.py: wrong setting: ")
    assert name in line
    assert "hidden" not in line


@pytest.mark.parametrize(
    "argv",
    [["-m", "daphne", "-p", "0", "config.asgi:application"], ["-m", "celery", "-A", "config", "report"]],
)
def test_a_wrong_value_stops_the_other_programs_as_well(argv):
    done = start(*argv, ALLOWED_HOSTS="")

    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert "ALLOWED_HOSTS" in done.stderr.splitlines()[-1]


def test_a_file_with_a_secret_may_end_with_a_newline(tmp_path):
    (tmp_path / "key").write_text("from-a-file\n")
    show = "from config.settings import SECRET_KEY; print(repr(SECRET_KEY))"

    assert start("-c", show, SECRET_KEY_FILE=str(tmp_path / "key")).stdout == "'from-a-file'\n"


@pytest.mark.parametrize(
    ("url", "backend", "port", "tls", "ssl"),
    [
        ("consolemail://", "console", None, False, False),
        ("console://", "console", None, False, False),
        ("smtp://mail.example.com", "smtp", 25, False, False),
        ("smtp+tls://u:p@mail.example.com", "smtp", 587, True, False),
        ("smtp+tls://u:p@mail.example.com:25", "smtp", 25, True, False),
        ("smtp+ssl://u:p@mail.example.com", "smtp", 465, False, True),
        ("smtp+ssl://u:p@mail.example.com:1465", "smtp", 1465, False, True),
        ("submission://u:p@mail.example.com", "smtp", 587, True, False),
    ],
)
def test_mail_is_sent_as_the_address_says(monkeypatch, url, backend, port, tls, ssl):
    monkeypatch.setenv("EMAIL_URL", url)

    found = env.mail("EMAIL_URL", "")

    assert found["EMAIL_BACKEND"].split(".")[-2] == backend
    assert (found["EMAIL_PORT"], found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (port, tls, ssl)


def test_a_mail_server_that_hangs_does_not_hang_the_page(monkeypatch):
    monkeypatch.setenv("EMAIL_URL", "smtp://mail.example.com")

    assert 0 < env.mail("EMAIL_URL", "")["EMAIL_TIMEOUT"] <= 10


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "rediss://u:p@cache.example.com",
        "redis+socket:///run/redis.sock",
        "sentinel://a.example.com:26379;sentinel://b.example.com:26379",
        "amqp://guest@mq.example.com//",
    ],
)
def test_brokers_that_work_are_let_through(monkeypatch, url):
    monkeypatch.setenv("CELERY_BROKER_URL", url)

    assert env.address("CELERY_BROKER_URL", schemes=BROKERS) == url
