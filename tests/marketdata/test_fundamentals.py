from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from config.celery import app
from core import clock
from core.redis import client
from marketdata import fundamentals, models, tasks
from marketdata.company import FIGURES
from marketdata.errors import Kind, NotFound, PlanLocked, ProviderDown
from marketdata.models import ProviderCall
from marketdata.providers import registry
from marketdata.providers.base import AssetClass
from marketdata.providers.simulator import Simulator
from tests.factories import make_subscription, make_ticker, make_user
from tests.marketdata.telling import Telling, figures

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
D = Decimal


class Watch:
    """What the clock says, to be set."""

    def __init__(self) -> None:
        self.now = NOW


@pytest.fixture
def at(monkeypatch):
    watch = Watch()
    monkeypatch.setattr(clock, "now", lambda: watch.now)
    return watch


@pytest.fixture(autouse=True)
def provider(at):
    client().flushall()
    telling = Telling()
    telling.told["AAPL"] = figures()
    with registry.override(telling):
        yield telling


@pytest.fixture
def apple():
    return make_ticker("AAPL")


def known(symbol="AAPL"):
    return fundamentals.of([symbol])[symbol]


def load_again():
    client().flushall()
    return fundamentals.load("AAPL")


# --- loading


def test_what_a_provider_tells_is_known_exactly(provider, apple):
    provider.told["AAPL"] = figures(eps_ttm="6.4200", fcf_ttm="98767000000", roe="-0.0312", beta="0")

    assert fundamentals.load("AAPL")

    assert (known().provider, known().simulated, known().loaded_at) == ("telling", False, NOW)
    assert known().figures == provider.told["AAPL"]
    row = models.Fundamentals.objects.get()
    assert row.figures == {"eps_ttm": "6.42", "fcf_ttm": "98767000000", "roe": "-0.0312", "beta": "0"}


def test_nothing_is_known_of_what_was_never_loaded(apple):
    assert fundamentals.of(["AAPL", "MSFT"]) == {}


def test_nothing_is_asked_twice_a_day(provider, apple, at):
    assert [fundamentals.load("AAPL"), fundamentals.load("AAPL")] == [True, False]

    assert provider.asked == ["AAPL"]


def test_of_an_unknown_ticker_nothing_is_asked(provider):
    assert not fundamentals.load("AAPL")

    assert provider.asked == []


@pytest.mark.parametrize(
    ("failure", "lasts"),
    [
        (NotFound("no"), fundamentals.ASKED_FOR),
        (PlanLocked("no"), fundamentals.ASKED_FOR),
        (ProviderDown("no"), fundamentals.FAILED_FOR),
    ],
)
def test_a_failure_that_may_pass_is_asked_again_sooner(provider, apple, failure, lasts):
    provider.failure = failure

    assert not fundamentals.load("AAPL")

    (key,) = client().keys("*fundamentals:asked:AAPL")
    assert abs(client().ttl(key) - lasts.total_seconds()) < 60
    assert fundamentals.of(["AAPL"]) == {}


def test_the_first_provider_without_figures_is_followed_by_the_next(apple):
    empty, full = Telling(name="empty"), Telling(name="full")
    full.told["AAPL"] = figures()

    with registry.override(empty, full):
        assert fundamentals.load("AAPL")
        assert known().provider == "full"


def test_a_provider_without_the_capability_is_not_asked(apple, provider):
    provider.capabilities = Telling("OTHER").capabilities.__class__(
        label="Bare", asset_classes=frozenset({AssetClass.STOCK}), max_symbols_per_request=1
    )

    assert not fundamentals.load("AAPL")

    assert provider.asked == []


# --- what makes sense


def test_senseless_figures_are_left_out_and_the_others_kept(provider, apple, caplog):
    provider.told["AAPL"] = figures(
        eps_ttm="NaN", fcf_ttm="Infinity", cash="1E+19", shares="0", total_debt="-1", beta="1.2"
    )

    assert fundamentals.load("AAPL")

    assert known().figures == figures(beta="1.2")
    assert "AAPL: senseless shares, eps_ttm, fcf_ttm, cash, total_debt" in caplog.text


def test_the_largest_figure_and_tiny_parts_are_kept(provider, apple):
    provider.told["AAPL"] = figures(cash="1000000000000000000", beta="0.1234567891234", roe="1E-30")

    assert fundamentals.load("AAPL")

    told = known().figures
    assert (told.cash, told.beta, told.roe) == (D(10) ** 18, D("0.123456789"), D(0))


@pytest.mark.parametrize(
    "told",
    [
        figures("MSFT"),
        figures(as_of=date(2026, 3, 4)),
        figures(eps_ttm="NaN"),
    ],
    ids=["of another company", "of the future", "without a figure"],
)
def test_an_answer_that_cannot_be_is_none(provider, apple, told):
    provider.told["AAPL"] = told

    assert not fundamentals.load("AAPL")

    assert fundamentals.of(["AAPL"]) == {}


# --- which figures are kept


def test_newer_figures_replace_older_ones_whole(provider, apple):
    provider.told["AAPL"] = figures(eps_ttm="6", beta="1")
    fundamentals.load("AAPL")
    provider.told["AAPL"] = figures(as_of=date(2026, 2, 28), eps_ttm="7")

    assert load_again()

    assert known().figures == figures(as_of=date(2026, 2, 28), eps_ttm="7")


def test_restated_figures_of_the_same_period_replace_the_first_ones(provider, apple):
    fundamentals.load("AAPL")
    provider.told["AAPL"] = figures(eps_ttm="6.4")

    assert load_again()

    assert known().figures.eps_ttm == D("6.4")


def test_older_figures_do_not_replace_newer_ones(provider, apple):
    fundamentals.load("AAPL")
    provider.told["AAPL"] = figures(as_of=date(2025, 9, 30), eps_ttm="1")

    assert not load_again()

    assert known().figures == figures()


def test_real_figures_replace_invented_ones_also_if_older(apple):
    invented, real = Telling(name="invented", simulated=True), Telling(name="real")
    invented.told["AAPL"] = figures()
    real.told["AAPL"] = figures(as_of=date(2025, 6, 30), eps_ttm="5")
    with registry.override(invented):
        assert fundamentals.load("AAPL")
        assert known().simulated

    with registry.override(real, invented):
        assert load_again()
        assert (known().provider, known().simulated) == ("real", False)


def test_invented_figures_never_replace_real_ones_while_a_real_provider_covers_the_ticker(apple):
    invented, real = Telling(name="invented", simulated=True), Telling(name="real")
    newer = figures(as_of=date(2026, 2, 28))
    with registry.override(real, invented):
        assert fundamentals.keep(apple, figures(), "real", simulated=False)
        assert not fundamentals.keep(apple, newer, "invented", simulated=True)
    with registry.override(invented):
        assert fundamentals.keep(apple, newer, "invented", simulated=True)


def test_beside_real_prices_invented_figures_are_not_known(apple):
    bare = Telling(name="bare")
    with registry.override(bare):
        fundamentals.keep(apple, figures(), "invented", simulated=True)

        assert fundamentals.of(["AAPL"]) == {}


def test_what_a_dismissed_invention_left_is_not_known(apple, settings):
    fundamentals.keep(apple, figures(), "simulator", simulated=True)
    with registry.override(Telling(name="other", simulated=True)):
        settings.MARKETDATA_PROVIDERS = ["simulator"]
        assert known().provider == "simulator"
        settings.MARKETDATA_PROVIDERS = ["replay"]
        assert fundamentals.of(["AAPL"]) == {}


# --- the simulator in its place


def test_with_invented_prices_alone_figures_are_there_at_once(apple, at):
    with registry.override(Simulator(now=lambda: at.now)):
        assert fundamentals.load("AAPL")

        assert (known().provider, known().simulated, known().figures.as_of) == (
            "simulator", True, date(2025, 12, 31),
        )  # fmt: skip
        assert [name for name in FIGURES if getattr(known().figures, name) is None] == []
    call = ProviderCall.objects.get()
    assert (call.provider, call.endpoint, call.symbols, call.outcome) == (
        "simulator", "fundamentals", ["AAPL"], Kind.OK,
    )  # fmt: skip


# --- tasks


def queued():
    found = []
    for entry in client().lrange("celery:slow", 0, -1):
        body = json.loads(base64.b64decode(json.loads(entry)["body"]))
        found.append((json.loads(entry)["headers"]["task"], body[0]))
    return sorted(found)


def test_wanted_tickers_are_queued_for_whom_nothing_was_asked_today(settings, provider, apple):
    settings.DEMO_SYMBOLS = []
    make_subscription(make_user("ada"), make_ticker("MSFT"))
    make_subscription(make_user("bob"), apple)
    fundamentals.load("AAPL")

    tasks.load_fundamentals()

    assert queued() == [("marketdata.load_fundamentals_of", ["MSFT"])]


def test_a_ticker_that_is_opened_gets_its_figures(provider, apple):
    tasks.load_bars("AAPL")
    assert ("marketdata.load_fundamentals_of", ["AAPL"]) in queued()

    client().flushall()
    tasks.load_fundamentals_of("AAPL")
    tasks.load_bars("AAPL")
    assert [name for name, _ in queued()] == ["marketdata.load_actions_of"]


def test_no_more_than_a_handful_is_queued_at_once(monkeypatch):
    monkeypatch.setattr(fundamentals, "QUEUED_AT_ONCE", 2)

    fundamentals.ask_for(["A", "B", "C"])

    assert [arguments for _, arguments in queued()] == [["A"], ["B"]]


def test_a_queue_that_is_away_is_no_error(monkeypatch):
    from kombu.exceptions import OperationalError  # noqa: PLC0415

    def refuse(symbol):
        raise OperationalError

    monkeypatch.setattr(tasks.load_fundamentals_of, "delay", refuse)

    fundamentals.ask_for(["AAPL"])


def test_the_task_loads(provider, apple):
    tasks.load_fundamentals_of("AAPL")

    assert known().figures == figures()


def test_it_is_looked_at_every_hour():
    entries = [
        one for one in app.conf.beat_schedule.values() if one["task"] == "marketdata.load_fundamentals"
    ]

    assert entries == [
        {"task": "marketdata.load_fundamentals", "schedule": timedelta(hours=1).total_seconds()}
    ]
