"""What `manage.py up` does before the supervisor takes over: servers, migrations, demo data."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import NoReturn

import psycopg
import redis
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from core import clock, roles
from core.addresses import Refused, parse
from core.embedded import servers
from core.embedded.postgres import Postgres
from core.embedded.redis import Redis
from core.models import Lease
from core.processes import StartError, bound_to_parent, leftovers, stop_all, take_lock, write_record
from core.supervisor import READY_PATIENCE_S, STOP_SIGNALS, Plan, say

LOOK_EVERY_S = 0.1
EVERY_INTERFACE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 -- known, not bound
SETTINGS_CHECKS = ["marketdata", "alerts"]  # by name: the core imports no app above it


@dataclass(frozen=True)
class Address:
    """Where the pages will be."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return (
            f"http://[{self.host}]:{self.port}/" if ":" in self.host else f"http://{self.host}:{self.port}/"
        )

    @property
    def public_url(self) -> str:
        """With which links begin while nobody has said where people open the pages: all interfaces are no name."""
        here = f"http://localhost:{self.port}"
        if self.is_loopback or self.host in EVERY_INTERFACE:
            return here
        try:
            return parse(self.url).origin
        except Refused:
            return here  # such as an address with its interface, which no link can hold

    @property
    def is_loopback(self) -> bool:
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    def must_be_free(self) -> None:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(found[0], found[1]) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(found[4])
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StartError(
                f"cannot listen on {self.host} port {self.port}: {reason}; choose with --port or --bind"
            ) from error


def launch(address: Address, *, demo: bool, shards: int = 1) -> NoReturn:
    """Start servers, prepare the database, then become the supervisor. StartError says why not."""
    since, bundle = clock.now(), settings.BUNDLE
    must_pass_checks()
    servers.make_folders(bundle)
    lock = take_lock(bundle.lock)
    stop_all(leftovers(bundle.record))
    address.must_be_free()
    must_reach_configured_servers()
    wanted = bundled_servers()
    say(f"starting, with the data in {bundle.data}")
    running = servers.start(wanted)
    try:
        plan = Plan(
            record=str(bundle.record),
            servers=[server.process() for server in wanted],
            pids={server.name: child.pid for server, child in zip(wanted, running, strict=True)},
            first=roles.first_roles(address.host, address.port, shards),
            later=roles.later_roles(shards),
            url=address.url,
            address=[address.host, address.port],
        )
        write_record(bundle.record, {p.name: (plan.pids[p.name], p.stop_signal) for p in plan.servers})
        plan.notes = prepare_database(demo=demo and address.is_loopback)
        plan.watcher = fork_watcher(since)
        become_supervisor(plan, lock)
    except BaseException:
        servers.stop(running)
        raise


def must_pass_checks() -> None:
    """Those of the settings, which every role relies on; all checks would import every page."""
    for found in run_checks(tags=SETTINGS_CHECKS):
        if found.is_serious():
            raise StartError(one_line(f"{found.msg} {found.hint or ''}"))


def must_reach_configured_servers() -> None:
    """Those somebody else runs; without a pool and its patience, so that the reason is told at once."""
    if settings.DATABASE_URL:
        try:
            psycopg.connect(**connection.get_connection_params()).close()
        except psycopg.OperationalError as error:
            raise StartError(f"the database of DATABASE_URL cannot be used: {one_line(error)}") from error
    if settings.BUNDLE.redis_url != settings.REDIS_URL:
        try:
            with redis.Redis.from_url(
                settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2
            ) as client:
                client.ping()
        except (ValueError, redis.RedisError) as error:
            raise StartError(f"the server of REDIS_URL cannot be used: {one_line(error)}") from error


def one_line(error: object) -> str:
    return " ".join(str(error).split())


def bundled_servers() -> list[servers.Server]:
    """Those no address is configured for; Redis first, as it starts while PostgreSQL is being prepared."""
    wanted: list[servers.Server] = []
    if settings.BUNDLE.redis_url == settings.REDIS_URL:
        wanted.append(Redis(settings.BUNDLE))
    if not settings.DATABASE_URL:
        wanted.append(Postgres(settings.BUNDLE))
    return wanted


def prepare_database(*, demo: bool) -> str:
    """Migrate, and fill an empty database; returns what the demo data wants said (its passwords)."""
    call_command("migrate", verbosity=0, interactive=False)
    call_command("loadprices", if_empty=True, stdout=io.StringIO())
    call_command("loadmodels", if_needed=True, stdout=io.StringIO(), stderr=io.StringIO())
    if not settings.DATABASE_URL:
        # Nobody else uses this server: a lease that an ended run still holds would only delay the tape.
        Lease.objects.filter(expires_at__gt=clock.now()).update(expires_at=clock.now())
    if not demo or get_user_model().objects.exists():
        return ""
    said = io.StringIO()
    with transaction.atomic():
        call_command("loaddemo", stdout=said)
    return said.getvalue()


def fork_watcher(since: datetime) -> int:
    """A child that ends with 0 when the first quote is stored; forked, as a new Django takes 1.5 s."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend
    bind = bound_to_parent(signal.SIGKILL)
    pid = os.fork()
    if pid:
        return pid
    bind()
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os._exit(0 if quote_arrives(since, READY_PATIENCE_S) else 1)


def quote_arrives(since: datetime, patience_s: float) -> bool:
    # By name: the core imports no app above it.
    quotes = apps.get_model("marketdata", "Quote").objects.filter(received_at__gte=since)
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if quotes.exists():
                return True
        except DatabaseError:
            connection.close()
        time.sleep(LOOK_EVERY_S)
    return False


def become_supervisor(plan: Plan, lock: int) -> NoReturn:
    """Replace this program, so that no idle Django stays in memory; children and lock stay ours."""
    reader, writer = os.pipe()
    os.write(writer, plan.to_json().encode())
    os.close(writer)
    for handle in (reader, lock):
        os.set_inheritable(handle, True)
    # Until the supervisor listens, a Ctrl-C waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    os.chdir(settings.BASE_DIR)
    sys.stdout.flush()
    argv = [sys.executable, "-m", "core.supervisor", str(reader)]
    os.execve(argv[0], argv, environment_of(Address(*plan.address)))  # noqa: S606 -- no shell is wanted


def environment_of(address: Address) -> dict[str, str]:
    """Of all children: what this program was given, and what only it knows."""
    environment = {**os.environ, "DATA_DIR": str(settings.DATA_DIR)}
    if not (os.environ.get("PUBLIC_URL") or os.environ.get("PUBLIC_URL_FILE")):
        environment["PUBLIC_URL"] = address.public_url
    return environment
