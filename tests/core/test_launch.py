from __future__ import annotations

import io
import os
import socket
from datetime import timedelta

import pytest

from core import clock, launch
from core.bundled import Bundle
from core.launch import Address
from core.models import Lease
from core.processes import StartError


@pytest.mark.parametrize(
    ("host", "url", "loopback"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/", True),
        ("localhost", "http://localhost:8000/", True),
        ("::1", "http://[::1]:8000/", True),
        ("0.0.0.0", "http://0.0.0.0:8000/", False),
        ("192.0.2.7", "http://192.0.2.7:8000/", False),
        ("stocks.example.com", "http://stocks.example.com:8000/", False),
    ],
)
def test_an_address_knows_its_url_and_whether_others_can_reach_it(host, url, loopback):
    address = Address(host, 8000)

    assert (address.url, address.is_loopback) == (url, loopback)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8234"),
        ("::1", "http://localhost:8234"),
        ("0.0.0.0", "http://localhost:8234"),
        ("::", "http://localhost:8234"),
        ("192.0.2.7", "http://192.0.2.7:8234"),
        ("2001:db8::7", "http://[2001:db8::7]:8234"),
        ("fe80::1%eth0", "http://localhost:8234"),
        ("stocks.example.com", "http://stocks.example.com:8234"),
    ],
)
def test_links_lead_to_where_the_pages_are(host, url, monkeypatch):
    for name in ("PUBLIC_URL", "PUBLIC_URL_FILE"):
        monkeypatch.delenv(name, raising=False)

    assert launch.environment_of(Address(host, 8234))["PUBLIC_URL"] == url


@pytest.mark.parametrize("name", ["PUBLIC_URL", "PUBLIC_URL_FILE"])
def test_links_lead_to_where_the_operator_says(name, monkeypatch):
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    monkeypatch.setenv(name, "https://stocks.example.com")

    environment = launch.environment_of(Address("127.0.0.1", 8234))

    assert (environment.get("PUBLIC_URL"), environment[name]) == (
        os.environ.get("PUBLIC_URL"),
        "https://stocks.example.com",
    )


def test_a_taken_port_is_refused_by_number():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(
            StartError, match=rf"cannot listen on 127.0.0.1 port {port}: address already in use"
        ):
            Address("127.0.0.1", port).must_be_free()

    Address("127.0.0.1", port).must_be_free()


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(StartError, match=r"cannot listen on 192.0.2.7 port 8000"):
        Address("192.0.2.7", 8000).must_be_free()


@pytest.mark.parametrize(
    ("database_url", "redis_url", "expected"),
    [
        ("", "", ["redis", "postgres"]),
        ("postgres://db.example.com/onetape", "", ["redis"]),
        ("", "redis://cache.example.com", ["postgres"]),
        ("postgres://db.example.com/onetape", "redis://cache.example.com", []),
    ],
)
def test_servers_are_bundled_only_where_no_address_is_set(
    settings, short_tmp, database_url, redis_url, expected
):
    settings.BUNDLE = Bundle(short_tmp)
    settings.DATABASE_URL = database_url
    settings.REDIS_URL = redis_url or settings.BUNDLE.redis_url

    assert [server.name for server in launch.bundled_servers()] == expected


@pytest.fixture
def commands(monkeypatch):
    """The management commands called, instead of running them."""
    called: list[str] = []

    def call(name: str, stdout: io.StringIO | None = None, **_: object) -> None:
        called.append(name)
        if stdout:
            stdout.write("alice / secret")

    monkeypatch.setattr(launch, "call_command", call)
    return called


@pytest.mark.django_db
def test_an_empty_database_gets_demo_data_and_its_passwords_are_handed_on(commands):
    assert launch.prepare_database(demo=True) == "alice / secret"
    assert commands == ["migrate", "loadprices", "loadmodels", "loaddemo"]


@pytest.mark.django_db
def test_no_demo_data_where_others_can_reach_the_pages(commands):
    assert launch.prepare_database(demo=False) == ""
    assert commands == ["migrate", "loadprices", "loadmodels"]


@pytest.mark.django_db
def test_a_database_with_people_gets_no_demo_data(commands, django_user_model):
    django_user_model.objects.create(email="alice@example.com", username="alice")

    assert launch.prepare_database(demo=True) == ""
    assert commands == ["migrate", "loadprices", "loadmodels"]


@pytest.mark.django_db
def test_a_lease_of_an_ended_run_does_not_delay_the_tape(commands, settings):
    settings.DATABASE_URL = ""
    Lease.objects.create(name="tape", holder="gone", epoch=1, expires_at=clock.now() + timedelta(hours=1))

    launch.prepare_database(demo=False)

    assert Lease.objects.get().expires_at <= clock.now()


@pytest.mark.django_db
def test_a_lease_in_a_database_that_others_share_is_left_alone(commands, settings):
    settings.DATABASE_URL = "postgres://db.example.com/onetape"
    Lease.objects.create(name="tape", holder="other", epoch=1, expires_at=clock.now() + timedelta(hours=1))

    launch.prepare_database(demo=False)

    assert Lease.objects.get().expires_at > clock.now()
