from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.urls import reverse

from marketdata import pricebook
from marketdata.models import Cause, Price, ProviderCall
from marketdata.providers import registry
from marketdata.providers.simulator import Simulator
from tests.factories import make_staff

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _march(monkeypatch):
    monkeypatch.setattr("core.clock.now", lambda: NOW)


@pytest.fixture
def vendor(monkeypatch):
    """A vendor with a bill; the plan may be changed."""
    capabilities = replace(Simulator().capabilities, simulated=False, plan="algo-trader-plus")
    vendor = SimpleNamespace(name="alpaca", capabilities=capabilities)
    monkeypatch.setattr(registry, "configured_names", lambda: ["alpaca"])
    monkeypatch.setattr(registry, "make", lambda _: vendor)
    return vendor


def choose(vendor, plan) -> None:
    vendor.capabilities = replace(vendor.capabilities, plan=plan)


def entered(**fields) -> Price:
    values = {"provider": "alpaca", "unit": "request", "usd": Decimal("0.01"), "valid_from": NOW, **fields}
    return Price.objects.create(**values)


def bill(moment=NOW) -> list[tuple[str, Decimal]]:
    book = pricebook.book_of(moment, moment + timedelta(seconds=1))
    return [(line.plan, line.usd) for line in book.fees()]


def test_a_provider_without_bills_costs_nothing_by_lines_of_its_own(settings) -> None:
    settings.MARKETDATA_PROVIDERS = ["simulator"]

    pricebook.load()

    assert {(row.provider, row.unit, row.usd) for row in Price.objects.all()} == {
        ("simulator", unit, Decimal(0)) for unit in ("request", "credit", "symbol", "symbol_minute")
    }


def test_a_plan_is_billed_by_the_month_and_its_calls_are_free(vendor) -> None:
    pricebook.load()

    assert bill() == [("algo-trader-plus", Decimal(99))]
    assert set(Price.objects.exclude(unit="month").values_list("plan", "usd")) == {
        ("algo-trader-plus", Decimal(0))
    }


def test_the_fee_counts_from_the_first_of_the_month(vendor) -> None:
    pricebook.load()

    assert Price.objects.get(unit="month").valid_from == datetime(2026, 3, 1, tzinfo=UTC)


def test_loading_again_changes_nothing(vendor) -> None:
    assert pricebook.load().added == 5
    assert pricebook.load() == pricebook.Loaded(added=0, ended=0)


def test_what_an_operator_entered_stays(vendor) -> None:
    entered(plan="algo-trader-plus", unit="month", usd=Decimal(80))

    pricebook.load()

    assert bill() == [("algo-trader-plus", Decimal(80))]


def test_another_plan_ends_the_fee_of_the_one_before(vendor, monkeypatch) -> None:
    pricebook.load()
    monkeypatch.setattr("core.clock.now", lambda: NOW + timedelta(days=60))
    choose(vendor, "basic")

    report = pricebook.load()

    assert (report.added, report.ended) == (5, 1)
    assert bill(NOW + timedelta(days=61)) == [("basic", Decimal(0))]
    assert Price.objects.get(plan="algo-trader-plus", unit="month").valid_to == NOW + timedelta(days=60)


def test_an_operators_own_fee_of_another_plan_is_not_ended(vendor) -> None:
    entered(plan="broker-special", unit="month", usd=Decimal(10), valid_from=NOW - timedelta(days=9))

    assert pricebook.load().ended == 0


def test_a_plan_without_a_published_price_stays_unpriced(vendor) -> None:
    vendor.name = "alpaca"
    choose(vendor, "one-that-nobody-knows")

    report = pricebook.load()

    assert report.unknown == ["alpaca one-that-nobody-knows: its price is not published"]
    assert not Price.objects.exists()


def test_a_vendor_without_its_key_does_not_stop_the_load(vendor, monkeypatch) -> None:
    def make(_):
        raise ImproperlyConfigured("ALPACA_KEY_ID is empty")

    monkeypatch.setattr(registry, "make", make)

    assert pricebook.load().unknown == ["alpaca: ALPACA_KEY_ID is empty"]


def test_the_first_start_leaves_a_book_that_has_a_line_alone(vendor) -> None:
    entered()

    call_command("loadprices", "--if-empty")

    assert Price.objects.count() == 1


def test_the_command_tells_what_it_did(vendor) -> None:
    said = io.StringIO()

    call_command("loadprices", "--json", stdout=said)

    assert json.loads(said.getvalue()) == {"added": 5, "ended": 0, "unknown": []}


def test_only_lines_that_are_valid_in_the_window_are_read() -> None:
    day = timedelta(days=1)
    entered(plan="over", valid_from=NOW - 2 * day, valid_to=NOW)
    entered(plan="now", valid_from=NOW - day)
    entered(plan="later", valid_from=NOW + day)

    book = pricebook.book_of(NOW, NOW + day)

    assert [line.plan for line in book.lines] == ["now"]


# -- the administration


@pytest.fixture
def staff(client):
    client.force_login(make_staff())
    return client


def form(**fields):
    return {
        "provider": "alpaca", "plan": "", "endpoint": "", "unit": "request", "usd": "0.02", "note": "",
        "valid_from_0": "2026-03-01", "valid_from_1": "00:00", "valid_to_0": "", "valid_to_1": "", **fields,
    }  # fmt: skip


def add(client, **fields):
    return client.post(reverse("admin:marketdata_price_add"), form(**fields))


def test_a_line_can_be_entered(staff) -> None:
    add(staff)

    assert Price.objects.get().usd == Decimal("0.02")


@pytest.mark.parametrize("start", ["2026-01-01", "2026-02-01", "2026-03-01", "2027-01-01"])
def test_two_prices_for_the_same_time_are_refused_with_the_reason(staff, start) -> None:
    entered(valid_from=datetime(2026, 2, 1, tzinfo=UTC))

    page = add(staff, valid_from_0=start)

    assert Price.objects.count() == 1
    assert "The book has another price for this: $0.01 from 2026-02-01 00:00" in page.content.decode()


def test_a_line_may_follow_another_in_the_same_moment(staff) -> None:
    entered(valid_from=datetime(2026, 2, 1, tzinfo=UTC), valid_to=datetime(2026, 3, 1, tzinfo=UTC))
    entered(valid_from=datetime(2026, 5, 1, tzinfo=UTC))

    add(staff, valid_to_0="2026-05-01", valid_to_1="00:00")

    assert Price.objects.count() == 3


def test_a_more_special_line_is_no_second_price(staff) -> None:
    entered(valid_from=datetime(2026, 2, 1, tzinfo=UTC))

    add(staff, endpoint="quotes")

    assert Price.objects.count() == 2


def test_a_line_may_be_changed_in_its_place(staff) -> None:
    row = entered(valid_from=datetime(2026, 3, 1, tzinfo=UTC))

    staff.post(reverse("admin:marketdata_price_change", args=[row.pk]), form(usd="0.03"))

    row.refresh_from_db()
    assert row.usd == Decimal("0.03")


def listed(client, model, **query):
    response = client.get(reverse(f"admin:marketdata_{model}_changelist"), query)
    return list(response.context["cl"].result_list)


def test_the_book_can_be_seen_as_it_was(staff) -> None:
    old = entered(valid_from=datetime(2025, 1, 1, tzinfo=UTC), valid_to=datetime(2026, 1, 1, tzinfo=UTC))
    new = entered(valid_from=datetime(2026, 1, 1, tzinfo=UTC))

    assert listed(staff, "price", as_of="2025-06-01") == [old]
    assert listed(staff, "price", as_of="2026-01-01") == [new]
    assert listed(staff, "price", as_of="now") == [new]
    assert len(listed(staff, "price", as_of="never")) == 2


def call(**fields) -> ProviderCall:
    values = {"at": NOW, "provider": "alpaca", "endpoint": "quotes", "cause": Cause.POLL, "outcome": "ok"}
    return ProviderCall.objects.create(**{**values, **fields})


def test_calls_are_listed_newest_first_and_found_by_what_happened(staff) -> None:
    first = call(symbols=["AAPL"])
    second = call(at=NOW + timedelta(seconds=1), outcome="rate_limited", symbols=list("ABCDE"))

    assert listed(staff, "providercall") == [second, first]
    assert listed(staff, "providercall", outcome="rate_limited") == [second]
    page = staff.get(reverse("admin:marketdata_providercall_changelist")).content.decode()
    assert "A, B, C, … (5)" in page


@pytest.mark.parametrize(
    ("units", "unit", "told"),
    [
        ("1", "request", "1 request"),
        ("13.005142", "symbol_minute", "13.005142 symbol minutes"),
        ("1500", "credit", "1,500 credits"),
    ],
)
def test_figures_of_a_call_have_their_units(staff, units, unit, told) -> None:
    call(units=Decimal(units), unit=unit, plan="basic", latency_ms=1234, bytes=2048)

    page = (
        staff.get(reverse("admin:marketdata_providercall_changelist")).content.decode().replace("\xa0", " ")
    )

    assert [f">{one}<" in page for one in (told, "alpaca basic", "1,234 ms", "2.0 KB")] == [True] * 4


def test_the_book_says_how_its_lines_are_written(staff) -> None:
    page = staff.get(reverse("admin:marketdata_price_add")).content.decode()

    assert "Its name as in MARKETDATA_PROVIDERS, in small letters: alpaca." in page


def test_nobody_can_change_what_was_bought(staff) -> None:
    row = call()

    assert staff.get(reverse("admin:marketdata_providercall_add")).status_code == 403
    assert staff.post(reverse("admin:marketdata_providercall_delete", args=[row.pk])).status_code == 403
