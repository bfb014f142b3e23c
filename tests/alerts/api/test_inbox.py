from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from alerts.models import Notification
from core import clock
from tests.factories import make_user

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
INBOX = "/api/v1/notifications/"


@pytest.fixture(autouse=True)
def _at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def alice(client):
    user = make_user("alice")
    client.force_login(user)
    return user


def make_notification(user, **fields):
    return Notification.objects.create(
        user=user, **{"title": "IBM", "scheduled_at": NOW, "created_at": NOW, **fields}
    )


def post(client, url, body=None):
    return client.post(url, json.dumps({} if body is None else body), content_type="application/json")


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def ids(response):
    return [row["id"] for row in response.json()["results"]]


def test_the_inbox_is_the_newest_first_and_ones_own(client, alice):
    old, new = make_notification(alice, read_at=NOW), make_notification(alice)
    make_notification(make_user("bob"))
    make_notification(alice, created_at=NOW - timedelta(days=31))

    response = client.get(INBOX)

    assert (ids(response), response.json()["unread"]) == ([new.pk, old.pk], 1)
    assert [ids(client.get(f"{INBOX}?unread={word}")) for word in ("true", "1", "false")] == [
        [new.pk], [new.pk], [old.pk],
    ]  # fmt: skip
    assert client.get(f"{INBOX}{new.pk}/").json() == response.json()["results"][0]


def test_what_came_since_is_the_oldest_first_page_after_page(client, alice):
    rows = [make_notification(alice).pk for _ in range(5)]

    first = client.get(f"{INBOX}?since={rows[0]}&limit=3")
    second = client.get(first.json()["next"])

    assert (ids(first), ids(second), second.json()["next"]) == (rows[1:4], rows[4:], None)


def test_one_is_read_and_stays_so(client, alice, monkeypatch):
    row = make_notification(alice)

    first = post(client, f"{INBOX}{row.pk}/read/")
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(hours=1))
    again = post(client, f"{INBOX}{row.pk}/read/")

    assert [one.json()["read_at"] for one in (first, again)] == ["2026-03-04T15:00:00.000Z"] * 2


def test_some_or_all_are_read(client, alice):
    rows = [make_notification(alice).pk for _ in range(4)]
    foreign = make_notification(make_user("bob")).pk

    assert post(client, f"{INBOX}read-all/", {"ids": [*rows[:2], foreign]}).json() == {"read": 2, "unread": 2}
    assert client.generic("POST", f"{INBOX}read-all/", b"", "application/json").json() == {
        "read": 2,
        "unread": 0,
    }
    assert Notification.objects.get(pk=foreign).read_at is None


@pytest.mark.parametrize(
    "wrong", [[], "1", None, [True], ["x"], {"a": 1}, [0], [2**63 - 1, -1], list(range(1, 502))]
)
def test_ids_that_cannot_be_read_nothing(client, alice, wrong):
    make_notification(alice)

    response = post(client, f"{INBOX}read-all/", {"ids": wrong})

    assert problem(response) == (400, "validation_error")
    assert Notification.objects.get().read_at is None


@pytest.mark.parametrize("body", [b"[]", b"5", b"true", b'"x"', b"null", b"{", b"[" * 1000])
def test_a_body_that_is_no_object_reads_nothing(client, alice, body):
    make_notification(alice)

    response = client.generic("POST", f"{INBOX}read-all/", body, "application/json")

    assert 400 <= response.status_code < 500
    assert response["Content-Type"] == "application/problem+json"
    assert Notification.objects.get().read_at is None


@pytest.mark.parametrize(
    "query",
    ["unread=x", "unread=", "since=x", "since=-1", "since=１", "since=" + "9" * 30, "since=%00", "cursor=x"],
)
def test_a_query_that_cannot_be_is_a_problem(client, alice, query):
    assert problem(client.get(f"{INBOX}?{query}"))[0] in {400, 404}


@pytest.mark.parametrize("rows", [1, 4])
def test_the_inbox_costs_the_same_queries_for_any_length(client, alice, rows, django_assert_num_queries):
    for _ in range(rows):
        make_notification(alice)

    with django_assert_num_queries(4):  # session, user, notifications, count of unread
        assert len(ids(client.get(INBOX))) == rows


def every_url(number):
    yield "get", f"{INBOX}{number}/"
    yield "post", f"{INBOX}{number}/read/"


def test_another_users_notification_is_as_good_as_missing(client, alice):
    row = make_notification(make_user("bob"))

    for (method, foreign), (_, missing) in zip(every_url(row.pk), every_url(2**40), strict=True):
        headers = {"X-Request-ID": "0" * 32}
        answers = [getattr(client, method)(url, headers=headers) for url in (foreign, missing)]
        assert problem(answers[0]) == (404, "not_found")
        assert answers[0].content == answers[1].content
    assert Notification.objects.get().read_at is None


@pytest.mark.parametrize("number", ["0", "-1", str(2**63), "9" * 200, "9" * 5000, "x", "%00"])
def test_an_id_that_cannot_be_is_a_404(client, alice, number):
    assert [problem(getattr(client, method)(url))[0] for method, url in every_url(number)] == [404, 404]


def test_a_visitor_gets_nothing():
    row = make_notification(make_user("bob"))
    urls = [*every_url(row.pk), ("get", INBOX), ("post", f"{INBOX}read-all/")]

    answers = [getattr(Client(), method)(url) for method, url in urls]

    assert {problem(answer) for answer in answers} == {(401, "not_authenticated")}
