from __future__ import annotations

import json
import socket

import pytest
from django.core import mail
from django.test import Client

from alerts import channels
from alerts.deliveries.base import Outcome
from alerts.models import Channel, Delivery, Notification
from core import egress
from tests.factories import make_user, prove_address

pytestmark = pytest.mark.django_db

CHANNELS = "/api/v1/channels/"
EMAIL = {"kind": "email", "address": "alice@example.com"}
WEBHOOK = {"kind": "webhook", "address": "https://hooks.example.com/in/abcdef"}


PLACE = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("93.184.215.14", 443))


@pytest.fixture(autouse=True)
def _every_name_is_known(monkeypatch):
    """No name server is asked."""
    monkeypatch.setattr(egress, "_resolved", lambda *_: [PLACE])


@pytest.fixture
def alice(client):
    user = make_user("alice")
    prove_address(user)
    client.force_login(user)
    return user


def post(client, url, body=None):
    return client.post(url, json.dumps({} if body is None else body), content_type="application/json")


def patch(client, row, body):
    return client.patch(f"{CHANNELS}{row.pk}/", json.dumps(body), content_type="application/json")


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def fields_wrong(response):
    assert problem(response) == (400, "validation_error")
    return {error["attr"] for error in response.json()["errors"]}


def test_a_new_channel_is_told_whole(client, alice):
    response = post(
        client, CHANNELS, {**EMAIL, "name": "mail", "quiet_from": "22:00", "quiet_until": "07:30"}
    )

    assert response.status_code == 201
    told = response.json()
    assert told == {
        "id": Channel.objects.get().pk,
        "kind": "email",
        "name": "mail",
        "label": "alice@example.com",
        "is_enabled": True,
        "state": "untried",
        "lowest_priority": "low",
        "quiet_from": "22:00",
        "quiet_until": "07:30",
        "quiet_lets_critical": True,
        "digest_above": 10,
        "failover": None,
        "last_success_at": None,
        "last_error": "",
        "last_error_at": None,
        "failures_in_a_row": 0,
        "created_at": told["created_at"],
    }
    assert client.get(f"{CHANNELS}{told['id']}/").json() == told
    listed = client.get(CHANNELS).json()
    assert (listed["results"], listed["limit"], listed["in_use"], listed["next"]) == ([told], 3, 1, None)


def test_the_secret_of_a_webhook_is_told_once_and_its_address_never(client, alice):
    made = post(client, CHANNELS, WEBHOOK)
    secret = made.json()["secret"]
    row = Channel.objects.get()

    later = [
        client.get(CHANNELS),
        client.get(f"{CHANNELS}{row.pk}/"),
        patch(client, row, {"name": "robot"}),
        patch(client, row, {"name": None}),
    ]

    assert secret.startswith("whsec_")
    assert [secret in answer.content.decode() for answer in later] == [False] * 4
    assert ["/in/abcdef" in answer.content.decode() for answer in (made, *later)] == [False] * 5


def test_a_webhook_gets_another_secret(client, alice):
    first = post(client, CHANNELS, WEBHOOK).json()
    mail = post(client, CHANNELS, EMAIL).json()

    response = post(client, f"{CHANNELS}{first['id']}/secret/")

    assert response.status_code == 201
    assert response.json() == {"secret": Channel.objects.get(pk=first["id"]).secret}
    assert response.json()["secret"] != first["secret"]
    assert problem(post(client, f"{CHANNELS}{mail['id']}/secret/")) == (404, "not_found")


def test_over_the_limit_nothing_is_made(client, alice):
    for number in range(3):
        post(client, CHANNELS, {**EMAIL, "address": f"a{number}@example.com"})

    assert problem(post(client, CHANNELS, {**EMAIL, "address": "b@example.com"})) == (403, "channel_limit")
    assert Channel.objects.count() == 3


def test_a_channel_is_edited_and_switched(client, alice):
    post(client, CHANNELS, EMAIL)
    row = Channel.objects.get()

    edited = patch(client, row, {"name": "mail", "lowest_priority": "high", "digest_above": 0}).json()
    off = patch(client, row, {"is_enabled": False}).json()
    on = patch(client, row, {"is_enabled": True, "name": "post"}).json()

    assert (edited["name"], edited["lowest_priority"], edited["digest_above"]) == ("mail", "high", 0)
    assert (off["is_enabled"], off["name"]) == (False, "mail")
    assert (on["is_enabled"], on["name"]) == (True, "post")


def test_what_a_client_may_not_set_is_ignored(client, alice):
    post(client, CHANNELS, {**WEBHOOK, "secret": "mine", "state": "ok", "id": 777, "label": "x"})

    row = Channel.objects.get()
    assert (row.user, row.secret == "mine", row.state, row.pk == 777, row.label == "x") == (
        alice, False, "untried", False, False,
    )  # fmt: skip


def test_a_channel_can_be_made_switched_off(client, alice):
    assert fields_wrong(post(client, CHANNELS, {**WEBHOOK, "is_enabled": "no"})) == {"is_enabled"}
    told = post(client, CHANNELS, {**WEBHOOK, "is_enabled": False}).json()

    assert (told["is_enabled"], [row.is_enabled for row in Channel.objects.all()]) == (False, [False])


def test_a_field_that_nobody_knows_is_refused_and_nothing_is_changed(client, alice):
    made = post(client, CHANNELS, {**EMAIL, "nmae": "mail", "user": "bob"})
    told = post(client, CHANNELS, EMAIL).json()
    changed = client.patch(
        f"{CHANNELS}{told['id']}/", '{"name": "x", "is_enable": false}', content_type="application/json"
    )

    assert fields_wrong(made) == {"nmae", "user"}
    assert [error["code"] for error in made.json()["errors"]] == ["unknown"] * 2
    assert fields_wrong(changed) == {"is_enable"}
    assert client.get(f"{CHANNELS}{told['id']}/").json() == told


def test_the_answer_sent_back_changes_nothing(client, alice):
    told = post(client, CHANNELS, WEBHOOK).json()

    answer = patch(client, Channel.objects.get(), told)

    assert (answer.status_code, {**answer.json(), "secret": told["secret"]}) == (200, told)
    assert Channel.objects.get().secret == told["secret"]


def test_a_channel_keeps_its_kind(client, alice):
    post(client, CHANNELS, WEBHOOK)

    assert fields_wrong(patch(client, Channel.objects.get(), {"kind": "slack", "name": "x"})) == {"kind"}
    assert (Channel.objects.get().kind, Channel.objects.get().name == "x") == ("webhook", False)


def test_a_channel_is_removed(client, alice):
    post(client, CHANNELS, EMAIL)

    assert client.delete(f"{CHANNELS}{Channel.objects.get().pk}/").status_code == 204
    assert not Channel.objects.exists()


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.sent(), {"sent": True, "permanent": False, "error": ""}),
        (
            Outcome.retry("It did not answer."),
            {"sent": False, "permanent": False, "error": "It did not answer."},
        ),
        (Outcome.permanent("Gone."), {"sent": False, "permanent": True, "error": "Gone."}),
    ],
)
def test_a_test_tells_how_it_went(client, alice, monkeypatch, outcome, told):
    post(client, CHANNELS, EMAIL)
    row = Channel.objects.get()
    monkeypatch.setattr(channels.dispatch, "send", lambda *_: outcome)

    response = post(client, f"{CHANNELS}{row.pk}/test/")

    found = response.json()
    row.refresh_from_db()
    assert response.status_code == 200
    assert found.pop("channel")["state"] == row.state
    assert found == told


def test_a_channel_that_is_tried_again_and_again_is_a_429(client, alice, monkeypatch):
    post(client, CHANNELS, EMAIL)
    monkeypatch.setattr(channels.dispatch, "send", lambda *_: Outcome.sent())
    url = f"{CHANNELS}{Channel.objects.get().pk}/test/"

    answers = [post(client, url) for _ in range(channels.TESTS_PER_MINUTE + 1)]

    assert [answer.status_code for answer in answers] == [200] * channels.TESTS_PER_MINUTE + [429]
    assert problem(answers[-1]) == (429, "throttled")


def test_an_address_that_nobody_has_confirmed_is_not_tried_but_asked_again(client, alice):
    made = post(client, CHANNELS, {**EMAIL, "address": "bob@example.org"}).json()
    url = f"{CHANNELS}{made['id']}/"

    assert (made["state"], made["last_error"]) == ("unconfirmed", "")
    assert problem(post(client, f"{url}test/")) == (409, "unconfirmed")
    assert problem(post(client, f"{url}confirmation/")) == (429, "throttled")
    Notification.objects.all().delete()
    told = post(client, f"{url}confirmation/").json()
    assert told == {"sent": True, "error": "", "channel": client.get(url).json()}
    assert [sent.to for sent in mail.outbox] == [["bob@example.org"]] * 2


def test_a_channel_that_needs_no_confirmation_is_not_asked(client, alice):
    made = post(client, CHANNELS, EMAIL).json()

    told = post(client, f"{CHANNELS}{made['id']}/confirmation/").json()

    assert told == {"sent": False, "error": "This channel needs no confirmation.", "channel": made}
    assert mail.outbox == []


def test_another_users_channel_stands_in_for_nobody(client, alice):
    foreign = Channel.objects.create(
        user=make_user("bob"), kind="email", name="x", address="b@x.com", label="b"
    )
    post(client, CHANNELS, EMAIL)
    row = Channel.objects.get(user=alice)

    assert fields_wrong(patch(client, row, {"failover": foreign.pk})) == {"failover"}
    assert fields_wrong(patch(client, row, {"failover": row.pk})) == {"failover"}


def every_url(number):
    one = f"{CHANNELS}{number}/"
    yield "get", one, None
    yield "patch", one, {"name": "mine"}
    yield "delete", one, None
    yield "post", f"{one}test/", None
    yield "post", f"{one}confirmation/", None
    yield "post", f"{one}secret/", None


def call(client, method, url, body):
    headers = {"X-Request-ID": "0" * 32}
    return client.generic(method.upper(), url, json.dumps(body or {}), "application/json", headers=headers)


def test_another_users_channel_is_as_good_as_missing(client, alice):
    row = channels.create(make_user("bob"), WEBHOOK)
    before = Channel.objects.values().get()

    for (method, foreign, body), (_, missing, _) in zip(every_url(row.pk), every_url(2**40), strict=True):
        answers = [call(client, method, url, body) for url in (foreign, missing)]
        assert problem(answers[0]) == (404, "not_found")
        assert answers[0].content == answers[1].content
    assert Channel.objects.values().get() == before
    assert client.get(CHANNELS).json()["results"] == []
    assert (Notification.objects.count(), Delivery.objects.count()) == (0, 0)


@pytest.mark.parametrize("number", ["0", "-1", str(2**63), "9" * 200, "9" * 5000, "x"])
def test_an_id_that_cannot_be_is_a_404(client, alice, number):
    assert {problem(call(client, *one))[0] for one in every_url(number)} == {404}


def test_a_visitor_gets_nothing():
    row = channels.create(make_user("bob"), WEBHOOK)
    urls = [*every_url(row.pk), ("get", CHANNELS, None), ("post", CHANNELS, EMAIL)]

    assert {problem(call(Client(), *one)) for one in urls} == {(401, "not_authenticated")}


VALUES = [
    "null", "true", "0", "-1", "1.5", "1e999", "NaN", str(2**63), "1" * 5000, '""', '"x"', '"a\\u0000b"', '"\\ud800"',
    '"\\u202ex"', '"１２:００"', '"25:00"', '"https://"', '"http://[::1"', '"' + "x" * 100_000 + '"', "[]", "[1]", "{}",
    '{"endpoint": 5, "keys": []}', '{"endpoint": "https://a.b/c", "keys": {"p256dh": [], "auth": 1}}',
    '{"endpoint": "https://a.b/c", "keys": {"p256dh": "\\u00e9", "auth": "====="}}', "[" * 20 + "]" * 20,
]  # fmt: skip
FIELDS = [
    "kind", "address", "name", "lowest_priority", "quiet_from", "quiet_until", "quiet_lets_critical", "digest_above",
    "failover", "is_enabled",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_value_of_any_field_is_a_failure(client, alice, value):
    client.raise_request_exception = False
    alice.tier = "expert"
    alice.save()
    row = channels.create(alice, WEBHOOK)
    found = []

    for field in FIELDS:
        for kind in ("email", "webhook", "slack", "browser"):
            text = json.dumps({"kind": kind, "address": "https://x.example.com/y", field: "?"}).replace(
                '"?"', value
            )
            found.append(client.generic("POST", CHANNELS, text, "application/json"))
        text = f'{{"{field}": {value}}}'
        found.append(client.generic("PATCH", f"{CHANNELS}{row.pk}/", text, "application/json"))

    assert [response.status_code for response in found if response.status_code >= 500] == []
    wrong = [response for response in found if response.status_code >= 400]
    assert {response["Content-Type"] for response in wrong} <= {"application/problem+json"}


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"5", b"{", b"[" * 1000])
def test_a_body_that_is_no_object_makes_nothing(client, alice, body):
    response = client.generic("POST", CHANNELS, body, "application/json")

    assert 400 <= response.status_code < 500
    assert response["Content-Type"] == "application/problem+json"
    assert not Channel.objects.exists()
