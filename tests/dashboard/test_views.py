from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client

from subscriptions import watchlist
from tests.factories import make_quote, make_staff, make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(client: Client):
    """A free user with room for five tickers, logged in."""
    user = make_user("alice")
    client.force_login(user)
    return user


def text(answer) -> str:
    return answer.content.decode()


def rows(answer) -> list[str]:
    return re.findall(r'<tr class="row" data-symbol="([^"]+)"', text(answer))


def watched(user) -> set[str]:
    return {row.ticker.symbol for row in watchlist.watched(user)}


# --- the start page


def test_a_visitor_sees_the_demo_prices_and_how_to_sign_up(client: Client) -> None:
    make_quote(make_ticker("AAPL"), "589.58")
    make_ticker("MSFT")
    make_ticker("NVDA")

    answer = client.get("/")

    assert sorted(rows(answer)) == ["AAPL", "MSFT"]
    assert "589.58" in text(answer)
    assert "/account/signup/" in text(answer)
    assert "/account/login/" in text(answer)


def test_the_start_page_stands_without_tickers(client: Client) -> None:
    assert "No demo prices yet" in text(client.get("/"))


# --- the watchlist


def test_a_visitor_is_asked_to_log_in(client: Client) -> None:
    make_ticker("AAPL")

    assert client.get("/watchlist/").url == "/account/login/?next=/watchlist/"
    for path in ["/watchlist/add/", "/watchlist/sample/", "/watchlist/AAPL/remove/"]:
        assert client.post(path).url.startswith("/account/login/")


def test_an_empty_watchlist_teaches(client: Client, alice) -> None:
    answer = text(client.get("/watchlist/"))

    assert "Watch your first ticker" in answer
    assert "Load a sample: AAPL, MSFT, IBM" in answer
    assert "0 of 5 tickers" in answer


def test_a_row_shows_price_change_source_and_age(client: Client, alice) -> None:
    ticker = make_ticker("AAPL", name="Apple Inc.")
    make_quote(
        ticker,
        "589.58",
        change=Decimal("21.48"),
        change_percent=Decimal("3.7812"),
        volume=50_673_412,
        provider="replay",
        replay_date=date(2012, 3, 14),
    )
    make_subscription(alice, ticker)

    answer = text(client.get("/watchlist/"))

    for shown in [
        "Apple Inc.",
        "589.58",
        "+21.48",
        "+3.78\u2009%",
        "50.67\u2009M",
        "Replay of 14 Mar 2012",
        "1 of 5 tickers",
    ]:
        assert shown in answer


def test_a_ticker_without_a_price_says_since_when_it_is_asked_for(client: Client, alice) -> None:
    make_subscription(alice, make_ticker("NVDA"))

    assert "No price yet, asked" in text(client.get("/watchlist/"))


def test_the_page_carries_the_same_quotes_for_its_scripts(client: Client, alice) -> None:
    ticker = make_ticker("AAPL")
    make_quote(ticker, "589.58")
    make_subscription(alice, ticker)

    found = re.search(
        r'<script id="payload" type="application/json">(.*?)</script>', text(client.get("/watchlist/"))
    )

    payload = json.loads(found[1])
    assert [(one["symbol"], one["price"]) for one in payload["quotes"]] == [("AAPL", "589.58")]


def test_dormant_tickers_are_kept_and_said_to_be_above_the_plan(client: Client, alice) -> None:
    make_subscription(alice, make_ticker("AAPL"))
    make_subscription(alice, make_ticker("NVDA"), dormant=True)

    answer = client.get("/watchlist/")

    assert rows(answer) == ["AAPL"]
    assert "Kept, but above your plan" in text(answer)
    assert 'data-symbol-dormant="NVDA"' in text(answer)


def test_nobody_sees_what_others_watch(client: Client, alice) -> None:
    make_subscription(make_user("bob"), make_ticker("AAPL"))

    assert rows(client.get("/watchlist/")) == []


@pytest.mark.parametrize("count", [1, 3])
def test_the_watchlist_costs_the_same_queries_for_any_length(
    count, client: Client, alice, django_assert_num_queries
) -> None:
    for _ in range(count):
        ticker = make_ticker()
        make_quote(ticker)
        make_subscription(alice, ticker)

    # session, user, watchlist, alerts, quotes, spark lines, places in use
    with django_assert_num_queries(7):
        client.get("/watchlist/")


# --- adding


def test_adding_takes_any_spelling(client: Client, alice) -> None:
    make_ticker("BRK.B")

    assert client.post("/watchlist/add/", {"symbol": "brk/b"}).url == "/watchlist/"
    assert watched(alice) == {"BRK.B"}


def test_adding_goes_back_to_where_it_was_asked(client: Client, alice) -> None:
    make_ticker("AAPL")
    there = {"symbol": "AAPL", "next": "/tickers/AAPL/"}
    elsewhere = {"symbol": "AAPL", "next": "https://example.com/"}

    assert client.post("/watchlist/add/", there).url == "/tickers/AAPL/"
    assert client.post("/watchlist/add/", elsewhere).url == "/watchlist/"


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("ZZZZ", "There is no ticker ZZZZ in the directory"),
        ("АAPL", "plain letters A to Z only"),
        ("", "Enter a ticker symbol"),
    ],
)
def test_what_cannot_be_added_is_said_at_the_field(symbol, said, client: Client, alice) -> None:
    answer = client.post("/watchlist/add/", {"symbol": symbol})

    assert answer.status_code == 400
    assert said in text(answer)
    assert 'aria-invalid="true"' in text(answer)


def test_above_the_limit_nothing_is_added_and_the_way_out_is_named(client: Client, alice) -> None:
    for _ in range(5):
        make_subscription(alice, make_ticker())
    make_ticker("NVDA")

    answer = client.post("/watchlist/add/", {"symbol": "NVDA"})

    assert answer.status_code == 403
    assert "Remove a ticker or change your plan" in text(answer)
    assert "NVDA" not in watched(alice)


def test_the_sample_fills_an_empty_list(client: Client, alice) -> None:
    for symbol in ["AAPL", "MSFT", "IBM", "GOOG"]:
        make_ticker(symbol)

    assert client.post("/watchlist/sample/").url == "/watchlist/"
    assert watched(alice) == {"AAPL", "MSFT", "IBM"}


def test_a_sample_that_does_not_fit_is_refused_as_a_whole(client: Client, alice) -> None:
    for _ in range(4):
        make_subscription(alice, make_ticker())
    for symbol in ["AAPL", "MSFT", "IBM"]:
        make_ticker(symbol)

    answer = client.post("/watchlist/sample/", follow=True)

    assert "AAPL" not in watched(alice)
    assert "Remove a ticker or change your plan" in text(answer)


# --- removing


def test_removing_can_be_undone_without_a_script(client: Client, alice) -> None:
    make_subscription(alice, make_ticker("AAPL"))

    answer = client.post("/watchlist/AAPL/remove/", follow=True)

    assert watched(alice) == set()
    assert "AAPL removed" in text(answer)
    assert '<input type="hidden" name="symbol" value="AAPL">' in text(answer)


def test_removing_what_is_not_watched_says_nothing(client: Client, alice) -> None:
    make_ticker("AAPL")

    assert "AAPL removed" not in text(client.post("/watchlist/AAPL/remove/", follow=True))
    assert client.post("/watchlist/NOPE/remove/").status_code == 404


def test_acts_need_a_post_and_a_token(alice) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    for path in ["/watchlist/add/", "/watchlist/sample/", "/watchlist/AAPL/remove/"]:
        assert strict.get(path).status_code == 405
        assert strict.post(path).status_code == 403


@pytest.mark.parametrize(
    "target", ["foo", "watchlist", "", "//example.com/", "/\\example.com", "javascript:alert(1)"]
)
def test_what_is_no_address_here_leads_to_the_watchlist(target, client: Client, alice) -> None:
    make_ticker("AAPL")

    for path in ["/watchlist/add/", "/watchlist/AAPL/remove/"]:
        assert client.post(path, {"symbol": "AAPL", "next": target}).url == "/watchlist/"


def test_removing_takes_any_spelling(client: Client, alice) -> None:
    make_subscription(alice, make_ticker("BRK.B"))

    assert "BRK.B removed" in text(client.post("/watchlist/brk-b/remove/", follow=True))
    assert watched(alice) == set()


@pytest.mark.parametrize("path", ["/watchlist/A%00/remove/", "/watchlist/%D0%90APL/remove/"])
def test_removing_what_is_no_symbol_is_a_404(path, client: Client, alice) -> None:
    assert client.post(path).status_code == 404


# --- one ticker


def test_another_spelling_leads_to_the_canonical_page(client: Client, alice) -> None:
    assert client.get("/tickers/brk-b/").url == "/tickers/BRK.B/"
    assert client.get("/tickers/BRK/B/").url == "/tickers/BRK.B/"


def test_an_unknown_ticker_says_so_and_offers_a_search(client: Client, alice) -> None:
    answer = client.get("/tickers/ZZZZ/")

    assert answer.status_code == 404
    assert "There is no ticker ZZZZ" in text(answer)
    assert 'role="search"' in text(answer)


def test_what_is_no_symbol_is_a_clear_400(client: Client, alice) -> None:
    answer = client.get("/tickers/%D0%90APL/")

    assert answer.status_code == 400
    assert "This is not a ticker symbol" in text(answer)
    assert "plain letters A to Z only" in text(answer)


def test_visitors_may_open_the_demo_tickers_only(client: Client) -> None:
    make_ticker("AAPL")
    make_ticker("NVDA")

    assert "Sign up to watch AAPL" in text(client.get("/tickers/AAPL/"))
    assert client.get("/tickers/NVDA/").url == "/account/login/?next=/tickers/NVDA/"


# --- the picture of a ticker


@pytest.mark.parametrize("symbol", ["A%00", "%D0%90APL", "ZZZZ", "AAPL"])
def test_a_picture_of_nothing_is_a_404(symbol, client: Client) -> None:
    make_ticker("AAPL")  # without a price yet

    assert client.get(f"/charts/{symbol}.svg").status_code == 404


def test_anybody_may_keep_the_picture_of_a_demo_ticker(client: Client) -> None:
    make_quote(make_ticker("AAPL"))

    answer = client.get("/charts/aapl.svg")

    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert answer["Cache-Control"] == "public, max-age=30"
    assert "Vary" not in answer


def test_other_pictures_are_for_people_with_an_account_only(client: Client) -> None:
    make_quote(make_ticker("NVDA"))
    assert client.get("/charts/NVDA.svg").status_code == 404

    client.force_login(make_user("alice"))
    answer = client.get("/charts/NVDA.svg")

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, max-age=30"


# --- search without a script


def test_search_lists_what_matches(client: Client, alice) -> None:
    make_ticker("AAPL", name="Apple Inc.")
    make_ticker("MSFT", name="Microsoft Corporation")

    answer = text(client.get("/tickers/?q=micro"))

    assert "/tickers/MSFT/" in answer
    assert "/tickers/AAPL/" not in answer
    assert "Nothing matches zzz" in text(client.get("/tickers/?q=zzz"))


def test_a_search_for_what_cannot_be_a_name_finds_nothing(client: Client) -> None:
    assert client.get("/tickers/?q=A%00").status_code == 200


def test_what_was_searched_for_is_escaped(client: Client) -> None:
    assert "<script>x" not in text(client.get("/tickers/?q=%3Cscript%3Ex"))


# --- the frame


@pytest.mark.parametrize(
    "path", ["/", "/tickers/", "/credits/", "/account/login/", "/account/signup/", "/nothing"]
)
def test_no_page_has_inline_style_or_script_or_another_host(path, client: Client) -> None:
    answer = text(client.get(path))

    assert " style=" not in answer
    assert "<style" not in answer
    assert not re.search(r"<script(?![^>]*(?:src=|application/json))", answer)
    assert not re.search(r'(?:src|<link[^>]*href)="(?:https?:)?//', answer)


def test_only_staff_sees_the_administration(client: Client, alice) -> None:
    assert "/admin/" not in text(client.get("/watchlist/"))

    client.force_login(make_staff())

    assert "/admin/" in text(client.get("/watchlist/"))


def test_the_credits_carry_the_notices_that_licences_ask_for(client: Client) -> None:
    answer = text(client.get("/credits/"))

    assert "TradingView Lightweight Charts" in answer
    assert "https://www.tradingview.com/" in answer
    assert "SIL Open Font License" in answer
