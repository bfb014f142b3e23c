from __future__ import annotations

import io
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from core import clock
from core.redis import client
from dashboard import simulation
from dashboard.management.commands.simulatecosts import figures_of, must_be_throwaway, scenario_of
from dashboard.simulation import accelerated, naive_requests, people_come
from dashboard.whatif import Scenario
from marketdata.models import ProviderCall
from subscriptions.models import Subscription

SMALL = Scenario(users=30, tickers_per_user=4, unique_tickers=12, batch=5, usd_per_request=Decimal("0.01"))
FIXED = {
    "users", "tickers", "days", "requests_shared", "requests_unshared", "saving_percent", "cost_shared",
    "cost_unshared",
}  # fmt: skip


@pytest.fixture
def empty(settings):
    settings.DEMO_SYMBOLS = []
    client().flushdb()


@pytest.mark.django_db(transaction=True)
def test_each_wanted_ticker_is_bought_once_in_its_lifetime(empty) -> None:
    run = simulation.run(SMALL, periods=3, seed=1)

    assert run.complaints == []
    assert (run.wanted, run.symbols_asked, run.requests) == (12, 36, 9)
    assert (run.requests_alone, run.requests_alone_batched) == (120, 30)
    assert run.quotes_read == 3 * 3 * simulation.READERS * 4
    assert run.report.total.calls == ProviderCall.objects.count() == 9


@pytest.mark.django_db(transaction=True)
def test_twice_as_many_people_buy_no_more(empty) -> None:
    run = simulation.run(replace(SMALL, users=60), periods=2, seed=1)

    assert (run.symbols_asked, run.requests, run.requests_alone) == (24, 6, 240)


@pytest.mark.django_db(transaction=True)
def test_a_longer_life_of_a_quote_is_kept_to(empty) -> None:
    run = simulation.run(replace(SMALL, ttl_s=60), periods=2, seed=1)

    assert (run.complaints, run.symbols_asked) == ([], 24)


@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_is_told(empty, monkeypatch) -> None:
    monkeypatch.setattr(simulation, "_in_ledger", lambda: 1_000)

    assert simulation.run(SMALL, periods=1, seed=1).complaints == [
        "the ledger has other calls than the provider"
    ]


@pytest.mark.django_db(transaction=True)
def test_figures_are_what_was_counted_multiplied_to_the_days(empty) -> None:
    scenario = replace(SMALL, days=2)

    figures, baseline = figures_of(scenario, simulation.run(scenario, periods=2, seed=1))

    assert set(figures) >= FIXED
    assert (figures["requests_shared"], figures["requests_unshared"]) == (1770 * 2 * 3, 1770 * 2 * 120)
    assert (figures["saving_percent"], figures["saving_percent_by_sharing_alone"]) == (97.5, 90.0)
    assert (figures["cost_shared"], figures["cost_unshared"]) == (106.2, 4248.0)
    assert baseline["requests_shared_by_arithmetic"] == figures["requests_shared"]


@pytest.mark.django_db
def test_people_get_different_tickers_of_their_own(empty) -> None:
    import random  # noqa: PLC0415 -- only here

    found = people_come(SMALL, random.Random(1))

    assert {len(set(one)) for one in found} == {4}
    assert Subscription.objects.count() == 120


def test_keys_in_redis_age_with_the_clock() -> None:
    client().flushdb()
    client().set("short", 1, px=4_000)
    client().set("long", 1, px=60_000)
    client().set("for ever", 1)

    with accelerated(SMALL) as (_, tick):
        before = clock.now()
        tick(simulation.polling.BEAT)
        passed = clock.now() - before

    assert passed == simulation.polling.BEAT
    assert client().get("short") is None
    assert client().pttl("long") <= 55_000
    assert client().ttl("for ever") == -1


def test_the_naive_way_asks_for_everybody() -> None:
    with accelerated(SMALL) as (provider, _):
        assert naive_requests(provider, [["A", "B", "C"], ["A"]], 1) == 4
        assert naive_requests(provider, [["A", "B", "C"], ["A"]], 2) == 3


def test_time_is_real_again_afterwards() -> None:
    real = clock.now

    with accelerated(SMALL):
        assert clock.now is not real
    assert clock.now is real


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("users", 0), ("days", 0), ("ttl", 0), ("ttl", 7), ("batch", 0), ("tickers_per_user", 21), ("periods", 0),
        ("overlap", -1.0), ("price_per_request", Decimal(-1)), ("price_per_request", Decimal("nan")),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(option, value) -> None:
    usual = {
        "users": 1, "tickers_per_user": 1, "unique_tickers": 1, "days": 1, "ttl": 15, "closed_ttl": 300, "batch": 1,
        "periods": 1, "overlap": 0.0, "price_per_request": Decimal(0),
    }  # fmt: skip

    with pytest.raises(CommandError, match=f"--{option.replace('_', '-')}"):
        scenario_of({**usual, option: value})


def test_it_never_writes_people_into_a_real_database(settings, tmp_path) -> None:
    settings.DATA_DIR = tmp_path / "var"

    with pytest.raises(CommandError, match="throw-away servers only"):
        must_be_throwaway()


@pytest.mark.timeout(180)
def test_the_command_prints_the_keys_that_are_promised() -> None:
    said = io.StringIO()

    call_command("simulatecosts", users=20, tickers_per_user=3, periods=1, json=True, stdout=said)

    printed = json.loads(said.getvalue().splitlines()[-1])
    assert set(printed) == {"name", "figures", "baseline", "ratio", "machine", "correct"}
    assert (printed["name"], printed["correct"]) == ("simulatecosts", True)
    assert set(printed["figures"]) >= FIXED
    assert printed["ratio"]["unshared_vs_shared"] == (
        printed["figures"]["requests_unshared"] / printed["figures"]["requests_shared"]
    )
    assert "3,456.98 -> 43.27" in said.getvalue()  # as the what-if page rounds it
    assert "Saved: 98.7 % as written, 98.75 % with months throughout." in said.getvalue()
