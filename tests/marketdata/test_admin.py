from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse

from marketdata import cache
from marketdata.admin import ago
from marketdata.models import Fundamentals, Ticker, Upstream, UpstreamState
from tests.factories import (
    make_daily_bar,
    make_minute_bar,
    make_quote,
    make_staff,
    make_subscription,
    make_ticker,
    make_user,
)

pytestmark = pytest.mark.django_db
MINUTE = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _empty_redis():
    cache.client().flushdb()


@pytest.fixture
def staff(client):
    user = make_staff()
    client.force_login(user)
    return user


def page_of(client, model, **query):
    return client.get(reverse(f"admin:marketdata_{model}_changelist"), query).content.decode()


def listed(client, model, **query):
    response = client.get(reverse(f"admin:marketdata_{model}_changelist"), query)
    return [str(row) for row in response.context["cl"].result_list]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    ("model", "queries"),
    [
        ("ticker", 6),  # session, user, choices of two filters, count, rows with quote and watchers
        ("quote", 5),  # session, user, choices of a filter, count, rows
        ("minutebar", 4),  # session, user, count, rows
        ("dailybar", 4),
        ("fundamentals", 5),  # the choices of a filter besides
        ("upstream", 5),  # the choices of a filter besides
    ],
)
def test_each_list_costs_the_same_queries_for_any_length(
    client, staff, model, queries, rows, django_assert_num_queries
):
    for number in range(rows):
        ticker = make_ticker(f"A{number}")
        make_quote(ticker)
        make_minute_bar(ticker, MINUTE)
        make_daily_bar(ticker, MINUTE.date())
        make_upstream(shard=str(number))
        make_fundamentals(ticker)

    with django_assert_num_queries(queries):
        client.get(reverse(f"admin:marketdata_{model}_changelist"))


def make_fundamentals(ticker, **figures):
    return Fundamentals.objects.create(
        ticker=ticker,
        as_of=date(2025, 12, 31),
        figures=figures or {"eps_ttm": "6.42"},
        provider="simulator",
        simulated=True,
        loaded_at=MINUTE,
    )


def make_upstream(**fields):
    values = {
        "shard": "0",
        "provider": "replay",
        "state": UpstreamState.OPEN,
        "holder": "host:1",
        "epoch": 7,
        "since": MINUTE,
        "reported_at": MINUTE,
        **fields,
    }
    return Upstream.objects.create(**values)


def test_a_ticker_shows_its_price_its_watchers_and_whether_it_streams(client, staff):
    ibm, _other = make_ticker("IBM"), make_ticker("MSFT")
    make_quote(ibm, "187.32")
    for _ in range(2):
        make_subscription(make_user(), ibm)
    make_subscription(make_user(), ibm, dormant=True)
    make_subscription(make_user(), ibm, ends_at=datetime.now(UTC) - timedelta(minutes=1))
    cache.client().hset(cache.STREAMING_KEY, "IBM", "0")
    cache.client().hset(cache.BEATS_KEY, "0", str(time.time() + 600))  # alive, however long the page takes

    page = page_of(client, "ticker")

    assert ">187.32</a>" in page
    assert f'?ticker__id__exact={ibm.pk}">2</a>' in page
    assert page.count("icon-yes.svg") == 3  # both are active, one streams


def test_tickers_are_found_by_any_spelling_and_by_name(client, staff):
    make_ticker("BRK.B", name="Berkshire Hathaway")
    make_ticker("IBM")

    assert listed(client, "ticker", q="brk/b") == ["BRK.B"]
    assert listed(client, "ticker", q="brk") == ["BRK.B"]
    assert listed(client, "ticker", q="berks") == ["BRK.B"]


def test_tickers_are_filtered_by_the_state_of_their_quote_and_by_watchers(client, staff):
    fresh, expired, halted, none = (make_ticker(name) for name in ("FRESH", "EXPIRED", "HALTED", "NONE"))
    make_quote(fresh)
    make_quote(expired, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    make_quote(halted, halted=True)
    make_subscription(make_user(), none)

    assert listed(client, "ticker", quote="none") == ["NONE"]
    assert listed(client, "ticker", quote="fresh") == ["FRESH", "HALTED"]
    assert listed(client, "ticker", quote="expired") == ["EXPIRED"]
    assert listed(client, "ticker", quote="halted") == ["HALTED"]
    assert listed(client, "ticker", watched="yes") == ["NONE"]
    assert listed(client, "ticker", watched="no") == ["EXPIRED", "FRESH", "HALTED"]


def test_a_new_ticker_gets_the_canonical_symbol_and_an_old_one_keeps_it(client, staff):
    fields = {"name": "Berkshire", "asset_class": "stock", "currency": "USD", "is_active": "on"}

    bad = client.post(reverse("admin:marketdata_ticker_add"), {"symbol": "АAPL", **fields})
    client.post(reverse("admin:marketdata_ticker_add"), {"symbol": "brk/b", **fields})
    ticker = Ticker.objects.get()
    url = reverse("admin:marketdata_ticker_change", args=[ticker.pk])
    client.post(url, {"symbol": "OTHER", **fields, "name": "Berkshire Hathaway"})

    ticker.refresh_from_db()
    assert "look-alikes" in bad.content.decode()
    assert (ticker.symbol, ticker.name) == ("BRK.B", "Berkshire Hathaway")


def test_a_ticker_is_never_deleted(client, staff):
    ticker = make_ticker("IBM")
    url = reverse("admin:marketdata_ticker_delete", args=[ticker.pk])

    assert client.post(url, {"post": "yes"}).status_code == 403
    assert "delete_selected" not in page_of(client, "ticker")


def test_a_ticker_leads_to_its_quote_bars_and_watchers(client, staff):
    ticker = make_ticker("IBM")
    make_quote(ticker)
    make_minute_bar(ticker, MINUTE)
    make_daily_bar(ticker, MINUTE.date())
    make_subscription(make_user(), ticker)

    page = client.get(reverse("admin:marketdata_ticker_change", args=[ticker.pk])).content.decode()

    for name in ("marketdata_minutebar", "marketdata_dailybar", "subscriptions_subscription"):
        url = f"{reverse(f'admin:{name}_changelist')}?ticker__id__exact={ticker.pk}"
        assert url in page
        assert client.get(url).context["cl"].result_count == 1
    assert client.get(reverse("admin:marketdata_quote_change", args=[ticker.pk])).status_code == 200


def test_a_ticker_without_a_quote_has_a_page(client, staff):
    ticker = make_ticker("IBM")

    assert client.get(reverse("admin:marketdata_ticker_change", args=[ticker.pk])).status_code == 200


@pytest.mark.parametrize("model", ["quote", "minutebar", "dailybar", "fundamentals"])
def test_rows_of_the_tape_are_found_by_symbol_linked_and_read_only(client, staff, model):
    rows = {}
    for symbol in ("BRK.B", "IBM"):
        ticker = make_ticker(symbol)
        rows["quote"] = make_quote(ticker)
        rows["minutebar"] = make_minute_bar(ticker, MINUTE)
        rows["dailybar"] = make_daily_bar(ticker, date(2026, 1, 5))
        rows["fundamentals"] = make_fundamentals(ticker)

    page = page_of(client, model, q="brk-b")

    brk = Ticker.objects.get(symbol="BRK.B")
    assert reverse("admin:marketdata_ticker_change", args=[brk.pk]) in page
    assert len(listed(client, model, q="brk-b")) == 1
    assert listed(client, model, q="No such!") == []
    assert client.get(reverse(f"admin:marketdata_{model}_add")).status_code == 403
    url = reverse(f"admin:marketdata_{model}_change", args=[rows[model].pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"volume": 1}).status_code == 403


def test_figures_of_a_company_are_a_table_in_plain_numbers(client, staff):
    ticker = make_ticker("IBM")
    make_fundamentals(ticker, roe="-0.0312", cash="30300000000", forgotten="7")

    page = client.get(reverse("admin:marketdata_fundamentals_change", args=[ticker.pk])).content.decode()

    rows = re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td></tr>", page)
    assert rows == [("cash", "30,300,000,000"), ("roe", "-0.0312")]
    assert "2 of 21" in page_of(client, "fundamentals")


def test_a_ticker_leads_to_its_fundamentals_where_it_has_any(client, staff):
    ibm, other = make_ticker("IBM"), make_ticker("MSFT")
    make_fundamentals(ibm)

    pages = [
        client.get(reverse("admin:marketdata_ticker_change", args=[one.pk])).content.decode()
        for one in (ibm, other)
    ]

    assert [page.count("fundamentals of 2025-12-31 by simulator") for page in pages] == [1, 0]


def test_upstream_tells_how_long_ago_it_was_heard(client, staff):
    make_upstream(last_error="refused", reported_at=datetime.now(UTC) - timedelta(seconds=70))

    page = page_of(client, "upstream")

    assert "refused" in page
    assert 70 <= int(re.search(r"(\d+) s ago", page)[1]) < 120
    assert "never" in page


def test_a_short_while_is_told_in_seconds(monkeypatch):
    monkeypatch.setattr("django.utils.timezone.now", lambda: MINUTE)

    assert [ago(MINUTE - timedelta(seconds=seconds)) for seconds in (-1, 7, 119)] == [
        "0 s ago", "7 s ago", "119 s ago",
    ]  # fmt: skip


def test_a_long_silence_is_told_in_minutes():
    assert ago(datetime.now(UTC) - timedelta(minutes=5, seconds=1)) == "5\xa0minutes ago"
