"""The scripts write numbers exactly as the server does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from playwright.sync_api import Page

from dashboard import formats
from dashboard.moments import ago_words
from dashboard.phases import payload_of
from dashboard.rows import age_of, row_of
from marketdata.calendar import NEW_YORK
from marketdata.models import Ticker
from marketdata.payload import quote_payload
from tests.providers import make_quote

PRICES = [
    "589.58",
    "1234567.89",
    "32.775",
    "32.765",
    "0.1234",
    "0.99995",
    "0.00001234",
    "1",
    "1.005",
    "-3.5",
    "99999999.999",
]
CHANGES = ["21.48", "-1.785", "0", "-0.004", "0.005", "-0.005", "0.0049", "1234.5", "150", "-99.995"]
VOLUMES = [0, 1, 999, 99_999, 100_000, 104_999, 105_000, 50_673_412, 9_876_543_210, 99_999_999_999]
AGES_MS = [
    -5,
    0,
    40,
    440,
    9_940,
    9_960,
    10_400,
    59_999,
    60_000,
    3_599_000,
    3_600_000,
    172_799_000,
    172_800_000,
]
DAYS = [date(2012, 3, 14), date(2012, 9, 4), date(2026, 12, 31)]

TWIN = """async ([name, values, more]) => {
  const formats = await import("/static/js/format.js");
  return values.map((value) => formats[name](value, ...more));
}"""


def twin(page: Page, name: str, values: list, *more: int) -> list[str]:
    page.goto("/credits/")
    return page.evaluate(TWIN, [name, values, list(more)])


def test_prices_and_changes_are_written_alike(page: Page) -> None:
    prices, changes = [Decimal(text) for text in PRICES], [Decimal(text) for text in CHANGES]

    assert twin(page, "price", PRICES) == [formats.price(value) for value in prices]
    assert twin(page, "price", PRICES, 4) == [formats.price(value, 4) for value in prices]
    assert twin(page, "signed", CHANGES) == [formats.signed(value) for value in changes]
    assert twin(page, "signed", CHANGES, 4) == [formats.signed(value, 4) for value in changes]
    assert twin(page, "percent", CHANGES) == [formats.percent(value) for value in changes]
    assert twin(page, "direction", CHANGES) == [formats.direction(value) for value in changes]
    assert twin(page, "price", [None]) == [formats.price(None)]


def test_volumes_ages_and_days_are_written_alike(page: Page) -> None:
    assert twin(page, "volume", VOLUMES) == [formats.volume(value) for value in VOLUMES]
    assert twin(page, "age", AGES_MS) == [formats.age(timedelta(milliseconds=ms)) for ms in AGES_MS]
    assert twin(page, "day", [day.isoformat() for day in DAYS]) == [formats.day(day) for day in DAYS]


AGO = """async (ages) => {
  const { agoWords } = await import("/static/js/ages.js");
  return ages.map(agoWords);
}"""


def test_how_long_ago_is_written_alike(page: Page) -> None:
    page.goto("/credits/")
    now = datetime.now(UTC)

    assert page.evaluate(AGO, AGES_MS) == [ago_words(now - timedelta(milliseconds=ms), now) for ms in AGES_MS]


AGE = """async ([payload, market, moments]) => {
  const [words, phases, clock, quote] = await Promise.all(
    ["words", "phases", "clock", "quote"].map((name) => import(`/static/js/${name}.js`)));
  phases.setPhases(payload);
  return moments.map((moment) => {
    clock.setServerTime(moment);
    const { state, words: said, notes } = words.tableAge([quote.fromPayload({ ...market, e: 0, n: 0 })]);
    return [state, said, notes];
  });
}"""


def test_an_open_page_says_what_the_server_would_say_when_the_market_closes_and_opens(page: Page) -> None:
    friday = datetime(2026, 7, 17, 12, tzinfo=NEW_YORK)
    moments = [friday + timedelta(hours=hours) for hours in (1, 5, 10, 30, 50, 67, 70)]
    quote = make_quote("AAPL", provider="alpaca", as_of=friday, received_at=friday)
    payload = quote_payload(quote) | {"stale": False}

    page.goto("/credits/")
    shown = page.evaluate(
        AGE, [payload_of(friday), payload, [round(one.timestamp() * 1000) for one in moments]]
    )

    ages = [age_of([row_of(Ticker(symbol="AAPL"), quote, moment)], moment) for moment in moments]
    assert [tuple(one) for one in shown] == [(age.state, age.words, age.notes) for age in ages]
    assert len({age.words for age in ages}) == 5
