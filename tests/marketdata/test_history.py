from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from core import clock
from core.redis import client
from marketdata import cache, history, lookup
from marketdata.errors import NotFound, ProviderDown, RateLimited
from marketdata.history import Journal, Outcome, Patience, Wish, Work
from marketdata.models import CorporateAction, DailyBar, MinuteBar
from marketdata.providers import registry
from marketdata.providers.base import Interval
from marketdata.providers.replay import Replay
from marketdata.quotes import Bar
from tests.factories import make_quote, make_subscription, make_ticker, make_user
from tests.marketdata.acting import Acting, split

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 14, 30, 42, tzinfo=UTC)
TODAY = datetime(2026, 3, 2, tzinfo=UTC)


class Daily(Acting):
    """Has a bar for the first day of each month, of as many years as it is told; fails when a test says so."""

    def __init__(self, years: int = 30) -> None:
        super().__init__(name="daily")
        self.first = datetime(2026 - years, 1, 1, tzinfo=UTC)
        self.failures: list[Exception] = []
        self.unknown: set[str] = set()

    async def fetch_bars(self, symbol, interval, start, end):
        self.bar_requests.append((symbol, interval, start, end))
        if self.failures:
            raise self.failures.pop(0)
        if symbol in self.unknown:
            raise NotFound
        step = timedelta(days=30) if interval is Interval.DAY else timedelta(hours=6)
        moments, moment = [], self.first
        while moment < end:
            moments += [moment] if moment >= start else []
            moment += step
        return [Bar(symbol, moment, *[Decimal(10)] * 4, 1000) for moment in moments]


@pytest.fixture(autouse=True)
def provider(monkeypatch, settings, tmp_path) -> Iterator[Daily]:
    client().flushall()
    cache.forget_memory()
    settings.DEMO_SYMBOLS, settings.DATA_DIR = [], tmp_path
    monkeypatch.setattr(clock, "now", lambda: NOW)
    daily = Daily()
    with registry.override(daily):
        yield daily


class Waiting:
    """Remembers what it was told and how long it waited, and does not."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.waited: list[float] = []
        self.patience = Patience(self.waited.append, self.told.append)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def run(tmp_path, waiting):
    def run(*symbols, **wish):
        tickers = list(history.tickers_of(symbols, wanted=False, everything=not symbols))
        work = Work(Wish(**wish), Journal(tmp_path / "journal"), waiting.patience)
        return work.run(tickers, lambda _: None)

    return run


def outcomes(report):
    return {outcome.value: count for outcome, count in report.by_outcome.items() if count}


def test_bars_are_asked_for_newest_first_in_stretches_that_touch(provider, run):
    make_ticker("AAPL")

    report = run("AAPL", back=timedelta(days=12 * 366))

    spans = [(start, end) for _, _, start, end in provider.bar_requests]
    assert [end for _, end in spans] == [TODAY, spans[0][0], spans[1][0]]
    assert spans[-1][0] == TODAY - timedelta(days=12 * 366)
    assert (outcomes(report), report.rows) == ({"loaded": 1}, DailyBar.objects.count())
    assert report.rows > 140


def test_a_ticker_that_is_younger_is_asked_until_nothing_comes(provider, run):
    provider.first = datetime(2024, 1, 1, tzinfo=UTC)
    make_ticker("NEW")

    run("NEW", back=timedelta(days=20 * 366))

    assert len(provider.bar_requests) == 2


def test_what_was_done_is_passed_over_by_the_next_run(provider, run):
    for symbol in ("A", "B"):
        make_ticker(symbol)
    run("A")

    report = run("A", "B")

    assert outcomes(report) == {"loaded": 1, "passed_over": 1}
    assert [symbol for symbol, *_ in provider.bar_requests] == ["A", "B"]


def test_more_years_than_were_done_are_loaded(provider, run):
    make_ticker("A")
    run("A", back=timedelta(days=366))

    assert outcomes(run("A", back=timedelta(days=3 * 366))) == {"loaded": 1}
    assert outcomes(run("A", back=timedelta(days=366))) == {"passed_over": 1}
    assert outcomes(run("A", back=timedelta(days=366), again=True)) == {"loaded": 1}


def test_a_week_later_everything_is_loaded_again(provider, run, monkeypatch, tmp_path):
    make_ticker("A")
    run("A")
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=7, seconds=1))

    assert outcomes(run("A")) == {"loaded": 1}
    assert len((tmp_path / "journal").read_text().splitlines()) == 1


def test_a_database_that_lost_its_bars_gets_them_again(provider, run):
    make_ticker("A")
    run("A")
    DailyBar.objects.all().delete()

    assert outcomes(run("A")) == {"loaded": 1}


def test_a_ticker_without_bars_is_not_asked_all_the_time(provider, run):
    provider.unknown = {"A"}
    make_ticker("A")

    assert outcomes(run("A")) == {"unknown": 1}
    assert outcomes(run("A")) == {"passed_over": 1}


def test_a_crash_in_the_middle_costs_one_ticker(provider, run, tmp_path):
    for symbol in ("A", "B", "C"):
        make_ticker(symbol)
    provider.failures = []
    real = provider.fetch_bars

    async def killed(symbol, *rest):
        if symbol == "B":
            raise KeyboardInterrupt
        return await real(symbol, *rest)

    provider.fetch_bars = killed
    with pytest.raises(KeyboardInterrupt):
        run()
    with (tmp_path / "journal").open("a") as file:
        file.write('{"symbol": "C", "inter')  # cut off while it was written
    provider.fetch_bars = real

    assert outcomes(run()) == {"loaded": 2, "passed_over": 1}
    assert [symbol for symbol, *_ in provider.bar_requests] == ["A", "B", "C"]


def test_one_failure_does_not_stop_the_others(provider, run):
    for symbol in ("A", "B", "C"):
        make_ticker(symbol)
    provider.failures = [ProviderDown("secret detail")]

    report = run()

    assert outcomes(report) == {"loaded": 2, "failed": 1}
    assert report.failures == {"A": "transient"}
    assert not report.gave_up
    assert outcomes(run()) == {"loaded": 1, "passed_over": 2}


def test_many_failures_in_a_row_end_the_work(provider, run):
    for number in range(history.GIVE_UP_AFTER + 5):
        make_ticker(f"A{number}")
    provider.failures = [ProviderDown()] * 100

    report = run()

    assert (report.tickers, report.gave_up) == (history.GIVE_UP_AFTER, True)


def test_a_rate_limit_is_waited_for_and_told(provider, run, waiting, monkeypatch):
    make_ticker("A")
    at = NOW + timedelta(minutes=5)
    provider.failures = [RateLimited(retry_at=at)]
    now = [NOW]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    waiting.patience = Patience(
        lambda seconds: (
            waiting.waited.append(seconds),
            now.__setitem__(0, now[0] + timedelta(seconds=seconds)),
        ),
        waiting.told.append,
    )
    client().flushall()

    report = run("A")

    assert outcomes(report) == {"loaded": 1}
    assert waiting.told[0] == "waiting until 14:35 UTC: rate-limited"
    assert report.waited_s == sum(waiting.waited) >= 300


def test_a_rate_limit_of_days_is_not_waited_for(provider, run, waiting):
    make_ticker("A")
    make_ticker("B")
    provider.failures = [RateLimited(retry_at=NOW + timedelta(hours=25))]

    report = run()

    assert (report.tickers, report.gave_up, waiting.waited) == (1, True, [])
    assert report.failures == {"A": "no provider may be asked again before 2026-03-03 15:30 UTC"}


def test_actions_come_along_once_a_day(provider, run):
    make_ticker("AAPL")
    provider.actions = [split(date(2020, 8, 31))]

    report = run("AAPL", actions=True)
    run("AAPL", actions=True)

    assert CorporateAction.objects.count() == 1
    assert report.rows == 1 + DailyBar.objects.count()
    assert len(provider.action_requests) == 1


def test_minutes_are_loaded_too(provider, run):
    provider.first = datetime(2026, 1, 1, tzinfo=UTC)
    make_ticker("AAPL")

    run("AAPL", interval=Interval.MINUTE, back=timedelta(days=10))

    assert [interval for _, interval, *_ in provider.bar_requests] == [Interval.MINUTE] * 2
    assert MinuteBar.objects.count() == 40
    assert DailyBar.objects.count() == 0


def test_a_replayed_ticker_ends_with_the_day_before_the_replayed_one(run):
    ticker = make_ticker("AAPL")
    make_quote(ticker, replay_date=date(2005, 3, 1))
    with registry.override(Replay(now=lambda: NOW)):
        run("AAPL", back=timedelta(days=5 * 366), actions=True)

    assert DailyBar.objects.order_by("-day").first().day == date(2005, 2, 28)
    assert CorporateAction.objects.count() == 5


def test_a_replayed_ticker_that_nobody_has_seen_yet_is_loaded_all_the_same(run):
    make_ticker("AAPL")
    with registry.override(Replay()):
        report = run("AAPL")
    lookup.fetcher.close()

    assert outcomes(report) == {"loaded": 1}
    assert DailyBar.objects.count() > 1000


def test_which_tickers(provider):
    for symbol in ("A", "B", "C"):
        make_ticker(symbol)
    make_ticker("GONE", is_active=False)
    make_subscription(make_user(), make_ticker("W"))

    def chosen(*symbols, **which):
        return [ticker.symbol for ticker in history.tickers_of(symbols, **which)]

    assert chosen("B", "A", wanted=False, everything=False) == ["A", "B"]
    assert chosen("B", wanted=True, everything=False) == ["B", "W"]
    assert chosen(wanted=False, everything=True) == ["A", "B", "C", "W"]


# --- The command


def command(*args):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("loadhistory", *args, stdout=out, stderr=err)
        code = 0
    except SystemExit as stopped:
        code = stopped.code
    return code, out.getvalue(), err.getvalue()


def test_the_command_reports_in_words(provider):
    make_ticker("BRK.B")

    code, out, err = command("brk-b", "--years", "2")

    assert (code, err) == (0, "")
    assert out.startswith(
        f"1 tickers: 1 loaded, 0 loaded before, 0 without bars, 0 failed; {DailyBar.objects.count()} rows written, in"
    )


def test_the_command_reports_as_json(provider):
    make_ticker("A")

    code, out, _ = command("--all", "--json")
    report = json.loads(out)

    assert code == 0
    assert (report["asked"], report["tickers"], report["by_outcome"]["loaded"]) == (1, 1, 1)
    assert (report["failures"], report["gave_up"]) == ({}, False)


def test_a_failure_makes_the_exit_code(provider):
    make_ticker("A")
    make_ticker("B")
    provider.failures = [ProviderDown()]

    code, out, err = command("--all")

    assert code == 1
    assert "1 loaded" in out
    assert err == "A: transient\n"


def test_ctrl_c_says_that_it_can_go_on(provider, monkeypatch):
    make_ticker("A")

    async def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(provider, "fetch_bars", stopped)
    code, out, err = command("--all")

    assert (code, out) == (130, "")
    assert err == "\nStopped. Started again, it goes on here.\n"


def test_minutes_are_loaded_as_far_back_as_they_are_kept(provider, settings):
    settings.MINUTE_BARS_DAYS = 5
    make_ticker("A")

    command("A", "--interval", "1min")

    ((_, _, start, end),) = provider.bar_requests
    assert end - start == timedelta(days=5)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Name tickers, or --wanted, or --all"),
        (("NOSUCH",), "There is no ticker NOSUCH."),
        (("no such",), "plain|only|form"),
        (("A", "--years", "0"), "number of years"),
        (("A", "--interval", "2min"), "invalid"),
    ],
)
def test_what_makes_no_sense_is_refused(provider, args, message):
    with pytest.raises(CommandError, match=message):
        call_command("loadhistory", *args)


def test_the_outcomes_are_words():
    assert [outcome.value for outcome in Outcome] == ["loaded", "passed_over", "unknown", "failed"]
