from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from dashboard.ticker_history import RECENT_ACTIONS, RECENT_DAYS
from dashboard.ticker_page import TickerView
from marketdata.models import CorporateAction
from tests.factories import make_daily_bar, make_quote, make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db

REPLAYED = date(2012, 3, 14)


def view(ticker, user=None) -> TickerView:
    return TickerView.of(ticker, user, datetime.now(UTC))


def replayed(ticker, price: str = "589.58", change: str = "21.48", percent: str = "3.7812"):
    return make_quote(
        ticker,
        price,
        previous_close=Decimal("568.10"),
        change=Decimal(change),
        change_percent=Decimal(percent),
        low=Decimal("575.40"),
        high=Decimal("594.72"),
        provider="replay",
        replay_date=REPLAYED,
    )


def test_one_sentence_sums_up_the_day() -> None:
    up, down, flat, none = (make_ticker(symbol) for symbol in ["UP", "DOWN", "FLAT", "NONE"])
    replayed(up)
    replayed(down, "560.00", "-8.10", "-1.4258")
    replayed(flat, "568.10", "0", "0")

    assert view(up).summary == "UP rose 3.78\u2009% today, from 568.10 to 589.58."
    assert view(down).summary == "DOWN fell 1.43\u2009% today, from 568.10 to 560.00."
    assert view(flat).summary == "FLAT is unchanged today at 568.10."
    assert view(none).summary == "NONE has no price yet."


def test_the_table_ends_before_the_day_that_is_being_replayed() -> None:
    ticker = make_ticker()
    replayed(ticker)
    for days in range(-2, RECENT_DAYS + 5):
        make_daily_bar(ticker, REPLAYED - timedelta(days=days))

    days = [bar.start.date() for bar in view(ticker).past.recent]

    assert days[0] == REPLAYED - timedelta(days=1)
    assert len(days) == RECENT_DAYS


def test_it_counts_who_watches_and_knows_whether_i_do() -> None:
    ticker = make_ticker()
    alice, bob, dora = make_user(), make_user(), make_user()
    make_subscription(alice, ticker)
    make_subscription(bob, ticker, ends_at=datetime.now(UTC) + timedelta(minutes=5))
    make_subscription(dora, ticker, dormant=True)

    assert view(ticker).watchers == 2
    assert [view(ticker, one).watching for one in (alice, bob, dora, None)] == [True, False, False, False]


def test_facts_have_their_figures_or_a_dash() -> None:
    ticker, bare = make_ticker(), make_ticker()
    replayed(ticker)

    facts = {fact.label: [text for _, text in fact.parts] for fact in view(ticker).facts}

    assert facts["Previous close"] == ["568.10"]
    assert facts["Day"] == ["575.40", "594.72"]
    assert facts["Bid"] == ["\u2014"]
    assert {text for fact in view(bare).facts for _, text in fact.parts} == {"\u2014"}


def test_it_says_what_kind_of_feed_this_is() -> None:
    ticker = make_ticker()
    replayed(ticker)

    assert "Real daily bars" in view(ticker).feed
    assert view(make_ticker()).feed == ""


def test_the_page_of_a_ticker_costs_few_queries(client, django_assert_num_queries) -> None:
    ticker = make_ticker("AAPL")
    replayed(ticker)
    client.force_login(make_user())

    # session, user, ticker, quote, watching, watchers, actions, recent days, alerts here and all, places in use
    with django_assert_num_queries(11):
        assert client.get("/tickers/AAPL/").status_code == 200


def act(ticker, kind: str, ex_date: date, **fields) -> None:
    CorporateAction.objects.create(
        ticker=ticker, kind=kind, ex_date=ex_date, provider="alpaca", loaded_at=datetime.now(UTC), **fields
    )


def test_dividends_and_splits_are_told_newest_first() -> None:
    ticker = make_ticker()
    today = datetime.now(UTC).date()
    act(ticker, "split", date(2020, 8, 31), split_from=1, split_to=4)
    act(ticker, "split", date(2019, 8, 30), split_from=50, split_to=1)
    act(ticker, "dividend", date(2024, 2, 9), amount="0.24")
    act(ticker, "dividend", date(2024, 2, 9), amount="0.0625", special=True, currency="GBP")
    act(ticker, "rename", today + timedelta(days=5), new_symbol="NEXT")

    lines = [(line.kind, line.what, line.ahead) for line in view(ticker).past.lines]

    assert lines == [
        ("New name", "NEXT", True),
        ("Special dividend", "0.0625 GBP", False),
        ("Dividend", "0.24 USD", False),
        ("Split", "4:1", False),
        ("Split", "1:50", False),
    ]


def test_only_the_newest_actions_are_listed_and_none_of_a_replay_s_future() -> None:
    ticker = make_ticker()
    replayed(ticker)
    for days in range(-3, 20):
        act(ticker, "dividend", REPLAYED - timedelta(days=days), amount="1")

    lines = view(ticker).past.lines

    assert len(lines) == RECENT_ACTIONS
    assert lines[0].day == REPLAYED
    assert not any(line.ahead for line in lines)


def test_days_before_a_split_are_shown_in_todays_shares(still) -> None:
    ticker = make_ticker()
    today = datetime.now(UTC).date()
    act(ticker, "split", today - timedelta(days=1), split_from=1, split_to=4)
    for days, close in ((1, "101"), (2, "400")):
        make_daily_bar(ticker, today - timedelta(days=days), close)

    assert [bar.close for bar in view(ticker).past.recent] == [101, 100]


def test_a_ticker_that_was_renamed_leads_to_its_new_name(client) -> None:
    old = make_ticker("FB", is_active=False)
    make_ticker("META")
    act(old, "rename", date(2022, 6, 9), new_symbol="META")
    client.force_login(make_user())

    page = client.get("/tickers/FB/").content.decode()

    assert 'FB is <a href="/tickers/META/">META</a> now.' in page
    assert "FB is <a" not in client.get("/tickers/META/").content.decode()


def test_a_ticker_without_actions_says_so(client) -> None:
    make_ticker("NONE")
    client.force_login(make_user())

    page = client.get("/tickers/NONE/").content.decode()

    assert "Dividends and splits" in page
    assert "None known of NONE." in page
