from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts import keys, tickets
from accounts.credentials import Login, by_api_keys, by_sessions, still_valid
from accounts.models import ApiKey, User
from tests.accounts.hostile import HOSTILE_KEYS
from tests.accounts.keys import make_api_key
from tests.factories import make_ticker, make_user
from tests.outages import redis_away

pytestmark = pytest.mark.django_db

ME = "/api/v1/me/"
KEYS = "/api/v1/me/api-keys/"
TICKETS = "/api/v1/me/stream-tickets/"
WATCHLIST = "/api/v1/watchlist/"


@pytest.fixture
def alice():
    return make_user("alice", tier="pro")


@pytest.fixture
def page(alice):
    """Alice in her browser."""
    browser = Client()
    browser.force_login(alice)
    return browser


@pytest.fixture
def robot(alice):
    """A program of Alice's."""
    return program(make_api_key(alice)[1])


def program(text):
    return Client(headers={"Authorization": f"Api-Key {text}"}, enforce_csrf_checks=True)


def post(client, url, body=None, **headers):
    return client.post(url, json.dumps(body or {}), content_type="application/json", headers=headers)


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


# --- who am I


@pytest.mark.parametrize("who", ["page", "robot"])
def test_me_tells_the_account_and_its_limits(who, alice, request):
    response = request.getfixturevalue(who).get(ME)

    assert response.status_code == 200
    assert response.json() == {
        "id": str(alice.pk),
        "email": "alice@example.com",
        "username": "alice",
        "tier": "pro",
        "time_zone": "America/New_York",
        "limits": {
            "max_tickers": 10,
            "max_connections": 20,
            "max_api_keys": 5,
            "max_alerts": 100,
            "max_channels": 5,
            "fastest": "live",
            "personas": ["basic", "buffett", "lynch"],
            "analyses_per_hour": 20,
        },
    }
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("url", [ME, KEYS, f"{KEYS}1/", TICKETS])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_a_visitor_gets_nothing(url, method):
    response = getattr(Client(), method)(url)

    assert problem(response) == (401, "not_authenticated")
    assert response["WWW-Authenticate"] == 'Api-Key realm="Onetape"'


def patch(client, body):
    return client.patch(ME, json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("who", ["page", "robot"])
def test_a_time_zone_is_changed_and_told(who, alice, request):
    client = request.getfixturevalue(who)

    response = patch(client, {"time_zone": "Europe/Berlin"})

    assert (response.status_code, response.json()["time_zone"]) == (200, "Europe/Berlin")
    assert client.get(ME).json()["time_zone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    "zone",
    ["", "Berlin", "europe/berlin", "../../etc/passwd", "/etc/localtime", "localtime", "UTC+1", None, 5, True, [], {},
     "Europe/Berlin\x00", "x" * 41, "Ｅurope/Berlin"],
)  # fmt: skip
def test_what_is_no_time_zone_changes_nothing(page, alice, zone):
    response = patch(page, {"time_zone": zone})

    assert problem(response) == (400, "validation_error")
    assert response.json()["errors"][0]["attr"] == "time_zone"
    alice.refresh_from_db()
    assert alice.time_zone == "America/New_York"


def test_nothing_else_of_an_account_is_changed_here(page, alice):
    before = User.objects.values().get()

    response = patch(
        page, {"tier": "expert", "email": "x@example.com", "is_staff": True, "id": "1", "username": "x"}
    )

    assert response.status_code == 200
    assert User.objects.values().get() == before


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"null", b'"x"'])
def test_a_body_that_is_no_object_changes_nothing(page, alice, body):
    response = page.generic("PATCH", ME, body, "application/json")

    assert response.status_code in {200, 400}
    assert (response.status_code == 200) is (body == b"")


# --- entering with a key


def test_a_key_enters_the_whole_api_without_a_csrf_token(robot):
    make_ticker("IBM")

    assert post(robot, WATCHLIST, {"symbol": "IBM"}).status_code == 201
    assert [row["symbol"] for row in robot.get(WATCHLIST).json()["results"]] == ["IBM"]


def test_a_key_costs_one_query(robot, django_assert_num_queries):
    robot.get(ME)

    with django_assert_num_queries(1):
        robot.get(ME)


@pytest.mark.parametrize("spelling", ["Api-Key {}", "api-key {}", "API-KEY   {} "])
def test_the_scheme_is_written_as_one_likes(spelling, alice):
    text = make_api_key(alice)[1]

    assert Client(headers={"Authorization": spelling.format(text)}).get(ME).status_code == 200


def test_a_key_goes_before_a_session(alice):
    browser = Client(headers={"Authorization": f"Api-Key {make_api_key(alice)[1]}"})
    browser.force_login(make_user("bob"))

    assert browser.get(ME).json()["username"] == "alice"


def test_a_wrong_key_is_not_saved_by_a_session(page):
    response = page.get(ME, headers={"Authorization": f"Api-Key {ApiKey.make_text()}"})

    assert problem(response) == (401, "invalid_api_key")
    assert response["WWW-Authenticate"] == 'Api-Key realm="Onetape"'


def test_a_revoked_key_and_one_of_a_deactivated_user_are_as_good_as_unknown(alice):
    revoked, other = make_api_key(alice, revoked_at=timezone.now())[1], make_api_key(make_user("bob"))[1]
    User.objects.filter(username="bob").update(is_active=False)

    answers = [program(text).get(ME) for text in (revoked, other, ApiKey.make_text())]

    assert [problem(answer) for answer in answers] == [(401, "invalid_api_key")] * 3
    assert len({answer.json()["detail"] for answer in answers}) == 1


@pytest.mark.parametrize("text", HOSTILE_KEYS.values(), ids=HOSTILE_KEYS.keys())
def test_a_hostile_key_is_a_401_without_a_query(text, django_assert_num_queries):
    client = Client(raise_request_exception=False)
    header = f"Api-Key {text}".encode("utf-8", "surrogatepass").decode("latin-1")

    with django_assert_num_queries(0):
        response = client.get(ME, HTTP_AUTHORIZATION=header)

    assert problem(response) == (401, "invalid_api_key")


@pytest.mark.parametrize("header", ["", "Api-Key", "Basic YTpi", "Bearer x", "\x00", "Api-Key,Api-Key"])
def test_another_header_is_a_problem_and_no_failure(header):
    response = Client(raise_request_exception=False).get(ME, HTTP_AUTHORIZATION=header)

    assert problem(response)[0] == 401


@pytest.mark.parametrize("name", ["api_key", "apiKey", "token", "x"])
@pytest.mark.parametrize("url", [ME, "/api/v1/quotes/"])
def test_a_key_in_an_address_is_refused_and_not_logged(name, url, alice, caplog):
    text = make_api_key(alice)[1]
    caplog.set_level(logging.DEBUG)

    response = Client().get(url, {name: text, "symbols": "AAPL"})

    assert problem(response) == (401, "invalid_api_key")
    assert text not in response.content.decode() + caplog.text


# --- keys


def test_a_new_key_is_shown_once_and_works(page, alice):
    response = post(page, KEYS, {"name": "  my robot "})

    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    made = response.json()
    assert list(made) == ["id", "name", "prefix", "created_at", "last_used_at", "key"]
    assert (made["name"], made["last_used_at"]) == ("my robot", None)
    assert made["key"].startswith(f"ot_{made['prefix']}_")
    assert program(made["key"]).get(ME).json()["username"] == "alice"
    listed = page.get(KEYS)
    assert [row["id"] for row in listed.json()["results"]] == [made["id"]]
    assert made["key"] not in listed.content.decode()


def test_only_the_hash_of_a_key_is_kept(alice):
    made = keys.make_key(alice, "robot")

    stored = ApiKey.objects.values().get()

    assert made.text not in json.dumps(stored, default=str) + repr(made)
    assert made.text[12:] not in json.dumps(stored, default=str)
    assert list(by_api_keys([made.text])) == [made.text]


def test_the_list_tells_when_a_key_was_used_and_no_hash(page, robot):
    robot.get(ME)

    (row,) = page.get(KEYS).json()["results"]

    assert set(row) == {"id", "name", "prefix", "created_at", "last_used_at"}
    assert row["last_used_at"].endswith("Z")


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_for_any_length(page, alice, rows, django_assert_num_queries):
    for _ in range(rows):
        make_api_key(alice)

    with django_assert_num_queries(3):  # session, user, keys
        assert len(page.get(KEYS).json()["results"]) == rows


def test_more_keys_than_the_tier_has_are_refused(page, alice):
    for _ in range(5):
        make_api_key(alice)

    response = post(page, KEYS, {"name": "sixth"})

    assert problem(response) == (403, "api_key_limit")
    assert "room for 5 API keys" in response.json()["detail"]
    page.delete(f"{KEYS}{ApiKey.objects.first().pk}/")
    assert post(page, KEYS, {"name": "sixth"}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_twelve_who_make_keys_at_once_get_what_the_tier_has(alice):
    together = Barrier(12)

    def come(_):
        browser = Client()
        browser.force_login(alice)
        together.wait(timeout=60)
        try:
            return post(browser, KEYS, {"name": "robot"}).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as people:
        answers = sorted(people.map(come, range(12)))

    assert answers == [201] * 5 + [403] * 7
    assert ApiKey.objects.count() == 5


NAMES = {
    "missing": {},
    "empty": {"name": ""},
    "blank": {"name": "  "},
    "null": {"name": None},
    "number": {"name": ["x"]},
    "null character": {"name": "a\x00b"},
    "81 characters": {"name": "x" * 81},
}


@pytest.mark.parametrize("body", NAMES.values(), ids=NAMES.keys())
def test_a_key_needs_a_name(page, body):
    response = post(page, KEYS, body)

    assert problem(response) == (400, "validation_error")
    assert response.json()["errors"][0]["attr"] == "name"
    assert not ApiKey.objects.exists()


def test_what_else_is_sent_with_a_name_is_ignored(page, alice):
    bob = make_user("bob")

    post(
        page,
        KEYS,
        {"name": "robot", "hash": "0" * 64, "prefix": "mine", "user": str(bob.pk), "id": 777_777_777},
    )

    key = ApiKey.objects.get()
    assert key.user == alice
    assert (len(key.prefix), key.hash == "0" * 64, key.pk == 777_777_777) == (8, False, False)


def test_a_revoked_key_lets_nobody_in_and_revoking_again_is_fine(page, alice):
    key, text = make_api_key(alice)
    assert program(text).get(ME).status_code == 200

    assert [page.delete(f"{KEYS}{key.pk}/").status_code for _ in range(2)] == [204, 204]

    assert problem(program(text).get(ME)) == (401, "invalid_api_key")
    assert page.get(KEYS).json()["results"] == []
    first = ApiKey.objects.get().revoked_at
    page.delete(f"{KEYS}{key.pk}/")
    assert ApiKey.objects.get().revoked_at == first


@pytest.mark.parametrize("number", ["0", str(2**63), "9" * 200])
def test_a_key_that_is_not_there_is_a_404(page, number):
    assert problem(page.delete(f"{KEYS}{number}/")) == (404, "not_found")


def test_bob_neither_sees_nor_revokes_alices_key(alice):
    key, text = make_api_key(alice)
    bob = Client()
    bob.force_login(make_user("bob"))

    assert problem(bob.delete(f"{KEYS}{key.pk}/")) == (404, "not_found")
    assert bob.get(KEYS).json()["results"] == []
    assert program(text).get(ME).status_code == 200


def test_a_key_neither_makes_nor_revokes_keys(robot):
    key = ApiKey.objects.get()

    assert problem(post(robot, KEYS, {"name": "another"})) == (403, "session_required")
    assert problem(robot.delete(f"{KEYS}{key.pk}/")) == (403, "session_required")
    assert [row["id"] for row in robot.get(KEYS).json()["results"]] == [key.pk]


def test_a_session_makes_no_key_without_the_csrf_token(alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert problem(post(strict, KEYS, {"name": "robot"})) == (403, "csrf_failed")
    assert problem(post(strict, TICKETS)) == (403, "csrf_failed")


def test_who_makes_and_revokes_keys_in_a_loop_fills_no_table(alice, monkeypatch):
    monkeypatch.setattr(keys, "REVOKED_KEPT", 3)

    for number in range(10):
        made = keys.make_key(alice, str(number))
        keys.revoke(alice, made.row.pk)

    assert list(ApiKey.objects.order_by("pk").values_list("name", flat=True)) == ["6", "7", "8", "9"]


def test_a_smaller_plan_keeps_its_keys_and_makes_no_more(page, alice):
    texts = [make_api_key(alice)[1] for _ in range(4)]
    User.objects.update(tier="free")

    assert problem(post(page, KEYS, {"name": "one more"})) == (403, "api_key_limit")
    assert len(by_api_keys(texts)) == 4


# --- tickets


@pytest.mark.parametrize("who", ["page", "robot"])
def test_a_ticket_stands_for_who_asked_as_long_as_that_lasts(who, alice, request):
    client = request.getfixturevalue(who)

    response = post(client, TICKETS)

    assert (response.status_code, response.json()["expires_in"]) == (201, 60)
    assert "no-store" in response["Cache-Control"]
    ticket = response.json()["ticket"]
    (login,) = tickets.redeem([ticket]).values()
    assert (login.user_id, login.tier) == (alice.pk, "pro")
    assert list(still_valid([login]).values()) == [alice]
    if who == "page":
        assert by_sessions([login.session_key]) == {login.session_key: login}
        client.logout()
    else:
        assert login.api_key_id == ApiKey.objects.get().pk
        ApiKey.objects.all().revoke(timezone.now())
    assert still_valid([login]) == {}


def test_without_redis_a_ticket_is_a_503(page):
    with redis_away():
        response = post(page, TICKETS)

    assert problem(response) == (503, "unavailable")
    assert response["Retry-After"] == "5"


# --- secrets


def test_no_secret_is_in_a_log_an_answer_or_a_text_of_an_object(page, alice, caplog):
    caplog.set_level(logging.DEBUG)
    text = post(page, KEYS, {"name": "robot"}).json()["key"]
    client = program(text)
    answers = [
        client.get(ME),
        client.get("/api/v1/tickers/ZZZZ/"),
        post(client, KEYS, {"name": "x"}),
        post(client, TICKETS),
        client.delete(f"{KEYS}1/"),
        program(text[:-1] + "!").get(ME),
    ]
    session = page.session.session_key

    said = "".join(answer.content.decode() for answer in answers) + caplog.text
    said += repr(by_api_keys([text]).values()) + repr(by_sessions([session]).values())
    said += repr(Login(alice.pk, "pro", session_key=session)) + repr(ApiKey.objects.get())

    assert [secret for secret in (text, text[12:-1], ApiKey.hash_of(text), session) if secret in said] == []
