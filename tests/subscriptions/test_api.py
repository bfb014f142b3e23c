from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from django.test import Client

from marketdata import cache
from subscriptions.models import Subscription
from tests.factories import make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db

WATCHLIST = "/api/v1/watchlist/"
LOOK_ALIKES = [
    "АAPL",
    "A" * 100,
    "AA\x07PL",
    "AA\u200bPL",
    "\ufeffAAPL\u0000",
    "🚀",
    "..",
    "../../etc",
    "AAPL%0d%0a",
]


@pytest.fixture(autouse=True)
def _nothing_remembered():
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def alice(client):
    user = make_user("alice")
    client.force_login(user)
    return user


def post(client, body, **headers):
    return client.post(WATCHLIST, body, content_type="application/json", headers=headers)


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def symbols_of(user):
    return sorted(Subscription.objects.filter(user=user).values_list("ticker__symbol", flat=True))


def test_watching_adds_the_ticker_and_answers_with_its_quote(client, alice):
    make_quote(make_ticker("IBM", name="IBM Corp."), "187.32")

    response = post(client, {"symbol": "ibm"})

    assert response.status_code == 201
    (row,) = response.json()["results"]
    assert (row["symbol"], row["name"], row["dormant"]) == ("IBM", "IBM Corp.", False)
    assert row["quote"]["price"] == "187.32"
    assert symbols_of(alice) == ["IBM"]


def test_watching_again_is_fine_and_adds_nothing(client, alice):
    make_ticker("BRK.B")
    post(client, {"symbol": "BRK.B"})

    responses = [post(client, {"symbol": spelling}) for spelling in ("brk-b", "BRK/B")]

    assert [response.status_code for response in responses] == [200, 200]
    assert symbols_of(alice) == ["BRK.B"]


def test_the_watchlist_tells_what_is_watched_and_how_much_room_there_is(client, alice):
    for symbol in ("IBM", "^GSPC"):
        make_ticker(symbol)
        post(client, {"symbol": symbol})

    body = client.get(WATCHLIST).json()

    assert [row["symbol"] for row in body["results"]] == ["IBM", "^GSPC"]
    assert {row["quote"]["reason"] for row in body["results"]} == {"no_data_yet"}
    assert (body["tier"], body["limit"], body["in_use"], body["next"]) == ("free", 5, 2, None)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_watchlist_costs_the_same_queries_for_any_length(client, alice, rows, django_assert_num_queries):
    for number in range(rows):
        make_quote(make_ticker(f"A{number}"))
    post(client, {"symbols": [f"A{number}" for number in range(rows)]})
    cache.forget_memory()

    with django_assert_num_queries(5):  # session, user, rows, quotes, count
        assert len(client.get(WATCHLIST).json()["results"]) == rows


def test_over_the_limit_nothing_is_added(client, alice):
    for number in range(7):
        make_ticker(f"A{number}")
    post(client, {"symbols": ["A0", "A1", "A2", "A3"]})

    response = post(client, {"symbols": ["A4", "A5"]})

    assert problem(response) == (403, "tier_limit")
    assert response.json()["errors"][0]["attr"] == "symbols"
    assert "5 tickers" in response.json()["detail"]
    assert symbols_of(alice) == ["A0", "A1", "A2", "A3"]


def test_an_unknown_or_inactive_ticker_is_a_404_and_nothing_is_added(client, alice):
    make_ticker("IBM")
    make_ticker("OLD", is_active=False)

    assert problem(post(client, {"symbols": ["IBM", "ZZZZ"]})) == (404, "not_found")
    assert problem(post(client, {"symbol": "OLD"})) == (404, "not_found")
    assert symbols_of(alice) == []


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_a_bad_spelling_is_a_400(client, alice, text):
    response = post(client, {"symbol": text})

    assert problem(response) == (400, "invalid_symbol")
    assert response.json()["errors"][0]["attr"] == "symbol"


def test_unwatching_is_idempotent_for_known_tickers(client, alice):
    make_ticker("BRK.B")
    post(client, {"symbol": "BRK.B"})

    assert client.delete(f"{WATCHLIST}{quote('BRK/B', safe='')}/").status_code == 204
    assert client.delete(f"{WATCHLIST}brk-b/").status_code == 204
    assert symbols_of(alice) == []
    assert problem(client.delete(f"{WATCHLIST}ZZZZ/")) == (404, "not_found")
    assert problem(client.delete(f"{WATCHLIST}{quote('АAPL')}/")) == (400, "invalid_symbol")


def test_alice_bob_and_a_visitor_see_their_own(client, alice):
    make_ticker("IBM")
    post(client, {"symbol": "IBM"})
    bob, visitor = Client(), Client()
    bob.force_login(make_user("bob"))

    assert bob.get(WATCHLIST).json()["results"] == []
    assert bob.delete(f"{WATCHLIST}IBM/").status_code == 204
    assert symbols_of(alice) == ["IBM"]
    for response in (
        visitor.get(WATCHLIST),
        post(visitor, {"symbol": "IBM"}),
        visitor.delete(f"{WATCHLIST}IBM/"),
    ):
        assert problem(response) == (401, "not_authenticated")


def test_without_the_csrf_token_nothing_is_written(alice):
    make_ticker("IBM")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert problem(post(strict, {"symbol": "IBM"})) == (403, "csrf_failed")
    strict.get("/account/logout/")  # any page with a form sets the cookie
    token = strict.cookies["csrftoken"].value
    assert post(strict, {"symbol": "IBM"}, **{"X-CSRFToken": token}).status_code == 201


BODIES = {
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "text": b'"x"',
    "number": b"5",
    "true": b"true",
    "no symbol": b"{}",
    "symbol null": b'{"symbol": null}',
    "symbol number": b'{"symbol": 5}',
    "symbol bool": b'{"symbol": true}',
    "symbol list": b'{"symbol": ["IBM"]}',
    "symbol object": b'{"symbol": {"a": 1}}',
    "symbols text": b'{"symbols": "IBM"}',
    "symbols empty": b'{"symbols": []}',
    "symbols null": b'{"symbols": [null]}',
    "symbols nested": b'{"symbols": [["IBM"]]}',
    "symbols object": b'{"symbols": {"0": "IBM"}}',
    "101 symbols": json.dumps({"symbols": [f"A{n}" for n in range(101)]}).encode(),
    "1,000 arrays": b'{"symbol": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "100,000 arrays": b"[" * 100_000,
    "nan": b'{"symbol": NaN}',
    "overflow": b'{"symbol": 1e999}',
    "5,000 digits": b'{"symbol": ' + b"1" * 5000 + b"}",
    "null character": b'{"symbol": "IBM\\u0000"}',
    "lone surrogate": b'{"symbol": "\\ud800"}',
    "right to left": '{"symbol": "\u202eIBM"}'.encode(),
    "1 MB text": b'{"symbol": "' + b"x" * 1_000_000 + b'"}',
    "3 MB": b'{"symbol": "' + b"x" * 3_000_000 + b'"}',
    "invalid utf-8": b'{"symbol": "\xff"}',
    "utf-16": '{"symbol": "IBM"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"symbol": "IBM"}',
    "surplus": b'{"symbol": "ZZZZ", "user": "bob", "tier": "expert"}',
}
TYPES = [
    "application/json",
    "application/json; charset=utf-7",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain",
    "",
    "\u00fc/\u00fc",
]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_body_is_more_than_a_4xx_problem(client, alice, body, content_type):
    client.raise_request_exception = False
    make_ticker("IBM")

    response = client.generic("POST", WATCHLIST, body, content_type)

    assert 400 <= response.status_code < 500
    assert response["Content-Type"] == "application/problem+json"
    assert symbols_of(alice) == []


def test_of_duplicate_keys_the_last_one_counts(client, alice):
    make_ticker("IBM")

    assert (
        client.generic(
            "POST", WATCHLIST, b'{"symbol": "ZZZZ", "symbol": "IBM"}', "application/json"
        ).status_code
        == 201
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_the_whole_list_cannot_be_replaced(client, alice, method):
    assert problem(client.generic(method, WATCHLIST, b"{}", "application/json")) == (
        405,
        "method_not_allowed",
    )
