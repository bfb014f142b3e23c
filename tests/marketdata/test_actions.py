from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from config.celery import app
from core import clock
from core.redis import client
from marketdata import actions, cache, tasks
from marketdata.errors import NotFound, ProviderDown
from marketdata.models import CorporateAction, Ticker
from marketdata.providers import registry
from marketdata.providers.replay import Replay
from tests.factories import make_quote, make_subscription, make_ticker, make_user
from tests.marketdata.acting import Acting, dividend, rename, split
from tests.providers import Scripted

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
TODAY = NOW.date()
D = Decimal


class Watch:
    """What the clock says, to be set."""

    def __init__(self) -> None:
        self.now = NOW


@pytest.fixture
def at(monkeypatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(clock, "now", lambda: watch.now)
    return watch


@pytest.fixture(autouse=True)
def provider(at) -> Iterator[Acting]:
    client().flushall()
    cache.forget_memory()
    acting = Acting()
    with registry.override(acting):
        yield acting


@pytest.fixture
def apple() -> Ticker:
    return make_ticker("AAPL")


def rows():
    found = CorporateAction.objects.order_by("kind", "ex_date", "special")
    return [
        (row.kind, row.ex_date, row.special, row.amount or row.split_to or row.new_symbol) for row in found
    ]


def test_what_a_provider_tells_becomes_rows(provider, apple):
    provider.actions = [
        replace(dividend(date(2026, 2, 9)), pay_date=date(2026, 2, 12)),
        dividend(date(2026, 2, 9), "3", special=True),
        split(date(2020, 8, 31)),
    ]

    assert actions.load("AAPL") == 3

    assert rows() == [
        ("dividend", date(2026, 2, 9), False, D("0.24")),
        ("dividend", date(2026, 2, 9), True, D(3)),
        ("split", date(2020, 8, 31), False, D(4)),
    ]
    row = CorporateAction.objects.get(amount="0.24")
    assert (row.provider, row.loaded_at, row.pay_date, row.currency) == (
        "acting",
        NOW,
        date(2026, 2, 12),
        "USD",
    )


def test_a_provider_is_asked_for_thirty_years_back_and_one_ahead(provider, apple):
    actions.load("AAPL")

    (request,) = provider.action_requests
    assert request == ("AAPL", TODAY - timedelta(days=30 * 366), TODAY + timedelta(days=366))


def test_nobody_is_asked_twice_a_day(provider, apple):
    actions.load("AAPL")
    actions.load("AAPL")

    assert len(provider.action_requests) == 1


def test_a_provider_that_is_down_is_asked_again_soon(provider, apple):
    provider.failure = ProviderDown()

    assert actions.load("AAPL") == 0

    assert 0 < client().ttl("cache:1:actions:asked:AAPL") <= actions.FAILED_FOR.total_seconds()


def test_a_symbol_that_the_provider_does_not_know_is_asked_tomorrow(provider, apple):
    provider.failure = NotFound()

    assert actions.load("AAPL") == 0

    assert client().ttl("cache:1:actions:asked:AAPL") > actions.FAILED_FOR.total_seconds()


def test_a_second_provider_is_asked_where_the_first_is_down(provider, apple):
    second = Acting(name="second")
    provider.failure, second.actions = ProviderDown(), [dividend(date(2026, 2, 9))]
    with registry.override(provider, second):
        assert actions.load("AAPL") == 1

    assert CorporateAction.objects.get().provider == "second"


def test_a_symbol_without_a_ticker_or_a_provider_is_no_error(apple):
    assert actions.load("NONE") == 0
    with registry.override(Scripted()):
        assert actions.load("AAPL") == 0


def test_the_same_answer_again_changes_nothing(apple):
    told = [dividend(date(2026, 2, 9)), split(date(2020, 8, 31))]

    assert actions.keep(apple, "acting", told) == 2
    assert actions.keep(apple, "acting", told) == 0
    assert CorporateAction.objects.count() == 2


def test_a_restated_amount_is_corrected(apple):
    actions.keep(apple, "acting", [dividend(date(2026, 2, 9))])

    assert actions.keep(apple, "acting", [dividend(date(2026, 2, 9), "0.25")]) == 1

    assert rows() == [("dividend", date(2026, 2, 9), False, D("0.25"))]


def test_a_date_that_was_moved_does_not_count_twice(apple):
    actions.keep(apple, "acting", [split(date(2020, 8, 28))])

    assert actions.keep(apple, "acting", [split(date(2020, 8, 31))]) == 1 + 1
    assert rows() == [("split", date(2020, 8, 31), False, D(4))]

    actions.keep(apple, "second", [split(date(2020, 8, 30))])
    assert rows() == [("split", date(2020, 8, 30), False, D(4))]


def test_an_answer_without_a_kind_or_without_the_early_years_proves_nothing(apple):
    actions.keep(apple, "acting", [split(date(2014, 6, 9)), split(date(2020, 8, 31))])

    actions.keep(apple, "second", [split(date(2020, 8, 31)), dividend(date(2026, 2, 9))])
    actions.keep(apple, "second", [])

    assert [row[:2] for row in rows()] == [
        ("dividend", date(2026, 2, 9)),
        ("split", date(2014, 6, 9)),
        ("split", date(2020, 8, 31)),
    ]


def by_hand(ticker, action):
    row = CorporateAction(
        ticker=ticker,
        kind=action.kind.value,
        ex_date=action.ex_date,
        provider=actions.OPERATOR,
        loaded_at=NOW,
        **{name: getattr(action, name) for name in actions.FACTS},
    )
    row.save()
    return row


def test_what_an_operator_corrected_wins(apple):
    by_hand(apple, dividend(date(2026, 2, 9), "0.99"))

    assert actions.keep(apple, "acting", [dividend(date(2026, 2, 9)), dividend(date(2025, 11, 10))]) == 1

    assert rows() == [
        ("dividend", date(2025, 11, 10), False, D("0.24")),
        ("dividend", date(2026, 2, 9), False, D("0.99")),
    ]


def test_a_date_that_an_operator_corrected_hides_the_provider_s(apple):
    actions.keep(apple, "acting", [split(date(2020, 8, 28)), split(date(2014, 6, 9))])
    by_hand(apple, split(date(2020, 8, 31)))

    actions.keep(apple, "acting", [split(date(2020, 8, 28)), split(date(2014, 6, 9))])

    assert [row[1] for row in rows()] == [date(2014, 6, 9), date(2020, 8, 31)]


@pytest.mark.parametrize(
    "nonsense",
    [
        dividend(date(2026, 2, 9), "-1"),
        dividend(date(2026, 2, 9), "NaN"),
        split(date(2026, 2, 9), 0, 4),
        replace(split(date(2026, 2, 9)), split_to=None),
        rename(date(2026, 2, 9), "not a symbol"),
        rename(date(2026, 2, 9), ""),
    ],
    ids=str,
)
def test_one_bad_line_does_not_cost_the_others(apple, nonsense):
    assert actions.keep(apple, "acting", [nonsense, dividend(date(2025, 11, 10))]) == 1

    assert [row[1] for row in rows()] == [date(2025, 11, 10)]


def test_an_amount_with_endless_digits_is_known_again(apple):
    told = [dividend(date(2026, 2, 9), "0.3333333333333333")]

    assert actions.keep(apple, "acting", told) == 1
    assert actions.keep(apple, "acting", told) == 0
    assert CorporateAction.objects.get().amount == D("0.33333333")


def test_the_real_actions_of_the_replay_are_loaded(apple):
    with registry.override(Replay()):
        assert actions.load("AAPL") == 5


def test_a_replayed_ticker_does_not_know_its_future(apple):
    make_quote(apple, replay_date=date(2012, 8, 10))
    with registry.override(Replay()):
        actions.load("AAPL")

    assert [row.ex_date for row in actions.visible(apple)] == [
        date(2012, 8, 9),
        date(2005, 2, 28),
        date(2000, 6, 21),
    ]


# --- Renames


def test_a_rename_puts_the_new_ticker_in_the_place_of_the_old_one():
    old = make_ticker("FB", name="Meta Platforms", sector="Communication")

    actions.keep(old, "acting", [rename(TODAY, "META", symbol="FB")])

    old.refresh_from_db()
    new = Ticker.objects.get(symbol="META")
    assert (old.is_active, new.is_active) == (False, True)
    assert (new.name, new.sector, new.exchange) == (old.name, old.sector, old.exchange)
    assert actions.successor(old) == new
    assert actions.successor(new) is None


def test_an_announced_rename_waits_for_its_day(at):
    old = make_ticker("FB")
    day = TODAY + timedelta(days=3)
    actions.keep(old, "acting", [rename(day, "META", symbol="FB")])
    assert Ticker.objects.get(symbol="FB").is_active
    assert actions.follow_due() == 0

    # In New York that day has not begun yet.
    at.now = datetime(day.year, day.month, day.day, 3, 0, tzinfo=UTC)
    assert actions.follow_due() == 0
    at.now = datetime(day.year, day.month, day.day, 6, 0, tzinfo=UTC)
    assert actions.follow_due() == 1
    assert actions.follow_due() == 0

    assert not Ticker.objects.get(symbol="FB").is_active


def test_a_ticker_that_an_operator_made_active_again_stays_so(at):
    old, told = make_ticker("FB"), [rename(TODAY, "META", symbol="FB")]
    actions.keep(old, "acting", told)
    Ticker.objects.filter(pk=old.pk).update(is_active=True)

    at.now += timedelta(days=1)
    actions.keep(old, "acting", told)
    actions.follow_due()

    assert Ticker.objects.get(symbol="FB").is_active


def test_an_old_rename_does_not_retire_a_symbol_that_another_company_may_have():
    old = make_ticker("FB")

    actions.keep(old, "acting", [rename(date(2022, 6, 9), "META", symbol="FB")])

    assert Ticker.objects.get(symbol="FB").is_active
    assert not Ticker.objects.filter(symbol="META").exists()


def test_a_provider_that_is_asked_for_the_new_symbol_may_tell_the_rename():
    meta, told = make_ticker("META", name="Meta Platforms"), [rename(date(2022, 6, 9), "META", symbol="FB")]

    assert actions.keep(meta, "acting", told) == 1
    assert actions.keep(meta, "acting", told) == 0

    old = Ticker.objects.get(symbol="FB")
    assert (old.name, old.is_active, actions.successor(old)) == ("Meta Platforms", False, meta)


def test_a_chain_of_renames_leads_to_the_last_name(at):
    first = make_ticker("A")
    actions.keep(first, "acting", [rename(TODAY, "B", symbol="A")])
    at.now += timedelta(days=10)
    actions.keep(Ticker.objects.get(symbol="B"), "acting", [rename(at.now.date(), "C", symbol="B")])

    assert actions.successor(Ticker.objects.get(symbol="A")).symbol == "C"


def test_renames_in_a_circle_lead_nowhere(at):
    a, b = make_ticker("A"), make_ticker("B")
    for old, new in ((a, "B"), (b, "A")):
        by_hand(old, rename(TODAY, new, symbol=old.symbol))
    Ticker.objects.update(is_active=False)

    assert actions.successor(Ticker.objects.get(symbol="A")) is None


# --- When


def queued(name):
    key = f"{app.conf.broker_transport_options['global_keyprefix']}slow"
    messages = [json.loads(raw) for raw in client().lrange(key, 0, -1)]
    assert all(message["headers"]["expires"] for message in messages)
    return sorted(
        json.loads(base64.b64decode(message["body"]))[0][0]
        for message in messages
        if message["headers"]["task"] == name
    )


def test_the_periodic_job_asks_for_each_wanted_ticker_that_was_not_asked_for_today(settings, apple):
    settings.DEMO_SYMBOLS = []
    make_subscription(make_user(), apple)
    make_subscription(make_user(), make_ticker("MSFT"))
    make_ticker("UNWANTED")
    actions.load("MSFT")

    tasks.load_actions()

    assert queued("marketdata.load_actions_of") == ["AAPL"]


def test_a_ticker_that_is_opened_gets_its_actions(apple):
    tasks.load_bars("AAPL")
    assert queued("marketdata.load_actions_of") == ["AAPL"]

    client().flushall()
    tasks.load_actions_of("AAPL")
    tasks.load_bars("AAPL")
    assert queued("marketdata.load_actions_of") == []
