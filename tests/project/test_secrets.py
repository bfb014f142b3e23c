"""A key must never be seen: not in a log, an error, the ledger, a page or a task, however the vendor behaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from types import MappingProxyType

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from core import clock, http
from core.redis import client as redis
from marketdata import cache, lookup, metering, tasks
from marketdata.models import ProviderCall
from marketdata.providers import attempts, registry
from marketdata.providers.base import Provider
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.alpha_vantage import AlphaVantageStandIn
from marketdata.standins.base import Asked, Fault, Reply, StandIn
from marketdata.standins.finnhub import FinnhubStandIn
from marketdata.standins.massive import MassiveStandIn
from tests.contracts.vendors.case import KEY, SECRET
from tests.contracts.vendors.secrets import assert_untold
from tests.factories import make_staff, make_ticker

pytestmark = pytest.mark.django_db(transaction=True)

# Each vendor's stand-in, its base URL, and every setting that holds a secret.
VENDORS = MappingProxyType({
    "alpaca": (AlpacaStandIn, "ALPACA_DATA_URL", "", {"ALPACA_KEY_ID": KEY, "ALPACA_SECRET_KEY": SECRET}),
    "massive": (MassiveStandIn, "MASSIVE_URL", "", {"MASSIVE_API_KEY": KEY}),
    "finnhub": (FinnhubStandIn, "FINNHUB_URL", "/api/v1", {"FINNHUB_API_KEY": KEY}),
    "alpha_vantage": (AlphaVantageStandIn, "ALPHA_VANTAGE_URL", "", {"ALPHA_VANTAGE_API_KEY": KEY}),
})  # fmt: skip
SHOUT = f"key {KEY} secret {SECRET}"
HTML = {"Content-Type": "text/html"}
# What a vendor says that repeats our key wherever it can.
ECHOES = {
    "401": Reply({"error": SHOUT, "message": SHOUT, "Error Message": SHOUT}, 401, {"X-Key": KEY}),
    "403": Reply({"error": SHOUT, "status": SHOUT}, 403),
    "404": Reply(SHOUT.encode(), 404),
    "429": Reply({"error": SHOUT}, 429, {"Retry-After": KEY, "X-RateLimit-Reset": KEY}),
    "500": Reply(SHOUT.encode(), 500, HTML),
    "HTML with 200": Reply(f"<h1>{SHOUT}</h1>".encode(), 200, HTML),
    "JSON with 200": Reply({"error": SHOUT, "Information": SHOUT, "Error Message": SHOUT, "status": "ERROR"}),
    "a list": Reply([SHOUT, {SHOUT: SHOUT}]),
    "truncated": Reply(f'{{"key": "{SHOUT}'.encode()),
    "a symbol": Reply(
        {"AAPL": SHOUT, "tickers": [SHOUT], "results": [SHOUT], "c": SHOUT, "Global Quote": {"05. price": SHOUT}}
    ),
    "a redirect": Reply(b"", 302, {"Location": f"http://127.0.0.1:1/?key={KEY}&secret={SECRET}"}),
}  # fmt: skip
PAGES = ("marketdata_providers", "marketdata_providercall_changelist", "marketdata_upstream_changelist")


@dataclass
class Side:
    """One vendor on both sides, and every error that an adapter has raised."""

    standin: StandIn
    provider: Provider
    errors: list[Exception] = field(default_factory=list)


@pytest.fixture(params=VENDORS)
def side(request, caplog) -> Iterator[Side]:
    caplog.set_level(logging.DEBUG)
    redis().flushall()
    cache.forget_memory()
    make, url, root, secrets = VENDORS[request.param]
    patch = pytest.MonkeyPatch()
    with make(key=KEY, secret=SECRET).in_thread() as standin:
        for name, value in {**secrets, url: standin.url + root}.items():
            patch.setattr(settings, name, value)
        provider = registry.make(request.param)
        with registry.override(provider):
            yield Side(standin, provider)
            lookup.fetcher.close()
    patch.undo()


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_staff())
    make_ticker("AAPL")
    return client


def directly(side: Side) -> None:
    """Each operation of the adapter, as a script of an operator's would ask it."""

    async def ask_all() -> None:
        now = clock.now()
        start = now - timedelta(days=3)
        asked = (
            side.provider.fetch_quotes(["AAPL"]),
            *(
                side.provider.fetch_bars("AAPL", one, start, now)
                for one in side.provider.capabilities.intervals
            ),
            side.provider.fetch_actions("AAPL", start.date(), now.date()),
            side.provider.search("apple"),
        )
        with metering.collecting():
            for one in asked:
                try:
                    await one
                except Exception as error:  # noqa: BLE001 -- whatever it is, it must tell nothing
                    side.errors.append(error)
        await http.close_client()

    asyncio.run(ask_all())


def through_everything(side: Side, staff: Client) -> list[object]:
    """All that can be seen afterwards of a price that was asked for, of bars that were loaded and of a test call."""
    told: list[object] = [lookup.get_quotes(["AAPL"])]
    for task in (tasks.load_bars, tasks.load_actions_of):
        done = task.apply(args=["AAPL"])
        told += [done, done.result, done.traceback, done.kwargs, task.__dict__]
    out = StringIO()
    with suppress(SystemExit):
        call_command("doctor", stdout=out)
    test_call = reverse("admin:marketdata_provider_test", args=[side.provider.name])
    answers = [staff.post(test_call, follow=True), *(staff.get(reverse(f"admin:{name}")) for name in PAGES)]
    row = ProviderCall.objects.first()
    if row is not None:
        answers.append(staff.get(reverse("admin:marketdata_providercall_change", args=[row.pk])))
    paths = (
        "/status/",
        "/readyz",
        "/metrics",
        "/api/v1/quotes/?symbols=AAPL",
        "/api/v1/tickers/AAPL/",
        "/api/v1/tickers/NONE/",
    )
    answers += [staff.get(path) for path in paths]
    assert {answer.status_code for answer in answers} <= {200, 404, 503}
    told += [answer.content.decode() for answer in answers]
    rows = list(ProviderCall.objects.values())
    return [*told, out.getvalue(), rows, json.dumps(attempts.recent())]


def assert_nothing_told(side: Side, staff: Client, caplog: pytest.LogCaptureFixture) -> None:
    directly(side)
    told = through_everything(side, staff)

    assert_untold(*told, *side.errors)
    for record in caplog.records:
        assert_untold(record.getMessage(), record.args, caplog.handler.format(record))
        if record.exc_info:
            assert_untold(record.exc_info[1])
    stored = {key: redis().dump(key) for key in redis().scan_iter()}
    assert [
        key for key, value in stored.items() if KEY.encode() in key + value or SECRET.encode() in value
    ] == []


@pytest.mark.parametrize("echo", ECHOES)
def test_a_vendor_that_repeats_our_key_makes_nobody_else_repeat_it(echo, side, staff, caplog):
    async def respond(asked: Asked, fault: Fault | None) -> Reply:
        return ECHOES[echo]

    side.standin.respond = respond

    assert_nothing_told(side, staff, caplog)
    assert side.standin.asked


@pytest.mark.parametrize(
    "fault", [Fault.UNAUTHORIZED, Fault.DROPPED, Fault.TRUNCATED_GZIP, Fault.BAD_GATEWAY, None]
)
def test_the_vendors_own_faults_and_good_answers_tell_nothing(fault, side, staff, caplog):
    if fault is not None:
        side.standin.fail(fault)

    assert_nothing_told(side, staff, caplog)
    assert side.standin.asked


def test_a_fault_in_an_adapter_whose_text_has_the_key_tells_nothing(side, staff, caplog, monkeypatch):
    async def broken(*args, **named):
        raise KeyError(f"https://vendor.example/?apikey={KEY}&secret={SECRET}")

    monkeypatch.setattr(http, "get", broken)
    told = through_everything(side, staff)

    assert_untold(*told, *(caplog.handler.format(record) for record in caplog.records))
    assert "KeyError at" in caplog.text


def test_no_setting_with_a_key_is_shown_by_djangos_own_error_page(side, rf):
    from django.views.debug import get_exception_reporter_filter  # noqa: PLC0415 -- only here

    shown = get_exception_reporter_filter(rf.get("/")).get_safe_settings()

    assert_untold(shown)
