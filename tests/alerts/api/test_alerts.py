from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client

from accounts.tiers import LIMITS, Tier
from alerts import rules
from alerts.evidence import rule_json
from alerts.kinds import Kind, Phase
from alerts.models import Alert, Delivery, Notification, Trigger
from core import clock
from marketdata import cache
from tests.accounts.keys import make_api_key
from tests.factories import make_alert, make_daily_bar, make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
ALERTS = "/api/v1/alerts/"
ABOVE = {"symbol": "IBM", "kind": "above", "threshold": "190"}
LIMIT = LIMITS[Tier.FREE].max_alerts
ACTS = ["pause", "resume", "snooze", "duplicate", "restore"]


@pytest.fixture(autouse=True)
def _at(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    cache.forget_memory()
    cache.client().flushdb()


@pytest.fixture
def ibm():
    return make_ticker("IBM", name="IBM Corp.")


@pytest.fixture
def alice(client, ibm):
    user = make_user("alice")
    client.force_login(user)
    return user


def post(client, url, body=None, **headers):
    return client.post(
        url, json.dumps({} if body is None else body), content_type="application/json", headers=headers
    )


def patch(client, alert, body):
    return client.patch(f"{ALERTS}{alert.pk}/", json.dumps(body), content_type="application/json")


def problem(response):
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def fields_wrong(response):
    assert problem(response) == (400, "validation_error")
    return {error["attr"]: error["code"] for error in response.json()["errors"]}


def ids(response):
    return [row["id"] for row in response.json()["results"]]


# --- making


def test_a_new_alert_is_told_whole(client, alice, ibm):
    make_quote(ibm, "180")

    response = post(client, ALERTS, {**ABOVE, "note": "at last", "mode": "repeat", "rearm_band": "0.5"})

    assert response.status_code == 201
    told = response.json()
    assert told == {
        "id": Alert.objects.get().pk,
        "symbol": "IBM",
        "kind": "above",
        "threshold": "190.00",
        "threshold_percent": None,
        "reference_price": None,
        "lower": None,
        "upper": None,
        "window_s": None,
        "way": None,
        "stale_after_s": None,
        "sessions": "regular",
        "mode": "repeat",
        "rearm_band": "0.5",
        "cooldown_s": 0,
        "expires_at": None,
        "priority": "medium",
        "category": "",
        "note": "at last",
        "snoozed_until": None,
        "state": "armed",
        "summary": "is above 190.00, regular session, every time, armed again 0.5 % back",
        "price": "180.00",
        "distance_percent": "5.5556",
        "version": 1,
        "fires": 0,
        "last_fired_at": None,
        "armed_at": "2026-03-04T15:00:00.000Z",
        "edited_at": "2026-03-04T15:00:00.000Z",
        "created_at": "2026-03-04T15:00:00.000Z",
    }
    assert client.get(f"{ALERTS}{told['id']}/").json() == told


def test_percent_become_a_price(client, alice, ibm):
    make_quote(ibm, "200")

    told = post(client, ALERTS, {"symbol": "ibm", "kind": "below", "threshold_percent": -2.5}).json()

    assert (told["threshold"], told["threshold_percent"], told["reference_price"]) == (
        "195.00",
        "-2.5",
        "200.00",
    )


def test_a_move_is_in_percent(client, alice):
    told = post(client, ALERTS, {"symbol": "IBM", "kind": "moves", "threshold": "5", "window_s": 300}).json()

    assert (told["threshold"], told["way"], told["state"], told["price"]) == ("5", "either", "fresh", None)


def test_every_wrong_field_is_named(client, alice):
    response = post(client, ALERTS, {"symbol": "IBM", "kind": "moves", "threshold": "x", "mode": "never"})

    assert fields_wrong(response) == {
        "threshold": "invalid",
        "window_s": "required",
        "mode": "invalid_choice",
    }
    assert not Alert.objects.exists()


def test_what_is_not_listed_or_no_symbol_at_all_is_told_apart(client, alice):
    assert problem(post(client, ALERTS, {**ABOVE, "symbol": "ZZZZ"})) == (404, "not_found")
    assert problem(post(client, ALERTS, {**ABOVE, "symbol": "A A A"})) == (400, "invalid_symbol")
    assert fields_wrong(post(client, ALERTS, {"kind": "above", "threshold": "1"})) == {"symbol": "required"}


def test_over_the_limit_nothing_is_made(client, alice):
    for _ in range(LIMIT):
        rules.create(alice, ABOVE)

    response = post(client, ALERTS, ABOVE)

    assert problem(response) == (403, "alert_limit")
    assert f"room for {LIMIT} alerts" in response.json()["detail"]
    assert Alert.objects.count() == LIMIT


def test_what_a_client_may_not_set_is_ignored(client, alice):
    post(client, ALERTS, {**ABOVE, "id": 777, "version": 9, "fires": 5, "state": "paused"})

    alert = Alert.objects.get()
    assert (alert.user, alert.pk == 777, alert.version, alert.fire_seq, alert.active) == (
        alice,
        False,
        1,
        0,
        True,
    )


def test_a_field_that_nobody_knows_is_refused_and_nothing_is_changed(client, alice, ibm):
    bob = make_user("bob")
    alert = make_alert(alice, ibm, note="kept")
    wrong = {"treshold": 5, "user_id": str(bob.pk), "active": False}

    answers = [
        post(client, ALERTS, {**ABOVE, **wrong}),
        post(client, f"{ALERTS}backtest/", {**ABOVE, **wrong}),
        client.patch(
            f"{ALERTS}{alert.pk}/", json.dumps({"note": "x", **wrong}), content_type="application/json"
        ),
    ]

    assert [fields_wrong(answer) for answer in answers] == [dict.fromkeys(wrong, "unknown")] * 3
    assert Alert.objects.get().note == "kept"


def test_names_of_fields_are_told_in_measure(client, alice):
    many = {f"{number:03}" + "x" * 1000: 0 for number in range(500)}

    wrong = fields_wrong(post(client, ALERTS, {**ABOVE, **many}))

    assert (len(wrong), {len(name) for name in wrong}) == (20, {100})


def test_a_program_with_a_key_may_make_alerts(alice):
    robot = Client(headers={"Authorization": f"Api-Key {make_api_key(alice)[1]}"}, enforce_csrf_checks=True)

    assert post(robot, ALERTS, ABOVE).status_code == 201


def test_a_page_may_not_without_the_csrf_token(alice):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert problem(post(strict, ALERTS, ABOVE)) == (403, "csrf_failed")


# --- the list


def test_the_list_is_the_newest_first_with_what_is_in_use(client, alice, ibm):
    first, second = make_alert(alice, ibm), make_alert(alice, ibm)
    make_alert(alice, ibm, deleted_at=NOW, active=False)
    make_alert(make_user("bob"), ibm)

    response = client.get(ALERTS)

    assert ids(response) == [second.pk, first.pk]
    assert (response.json()["limit"], response.json()["in_use"], response.json()["next"]) == (LIMIT, 2, None)


def test_the_list_comes_in_pages(client, alice, ibm):
    made = [make_alert(alice, ibm).pk for _ in range(5)]

    first = client.get(f"{ALERTS}?limit=2&kind=above")
    second = client.get(first.json()["next"])
    third = client.get(second.json()["next"])

    assert ids(first) + ids(second) + ids(third) == made[::-1]
    assert third.json()["next"] is None


@pytest.mark.parametrize("rows", [1, 4])
def test_the_list_costs_the_same_queries_for_any_length(client, alice, rows, django_assert_num_queries):
    for number in range(rows):
        ticker = make_ticker(f"A{number}")
        make_quote(ticker)
        make_alert(alice, ticker)

    with django_assert_num_queries(5):  # session, user, alerts, quotes, count
        assert len(ids(client.get(ALERTS))) == rows


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("symbol=ibm", ["ibm"]), ("symbol=MSFT", ["msft"]), ("symbol=ZZZZ", []),
        ("state=armed", ["ibm"]), ("state=paused", ["msft"]), ("state=triggered", []),
        ("kind=above", ["ibm"]), ("kind=below", ["msft"]), ("kind=stale", []),
        ("priority=critical", ["msft"]), ("priority=low", []),
        ("q=corp", ["ibm"]), ("q=TAX", ["msft"]), ("q=idea", ["ibm"]), ("q=%25", []), ("q=_", []),
        ("q=", ["msft", "ibm"]),
        ("state=armed&kind=below", []), ("q=msf&priority=critical&state=paused", ["msft"]),
    ],
)  # fmt: skip
def test_the_list_can_be_narrowed(client, alice, ibm, query, found):
    names = {
        make_alert(alice, ibm, category="ideas").pk: "ibm",
        make_alert(
            alice, make_ticker("MSFT"), Kind.BELOW, note="for tax", priority=1, is_paused=True, active=False
        ).pk: "msft",
    }

    assert [names[one] for one in ids(client.get(f"{ALERTS}?{query}"))] == found


@pytest.mark.parametrize(
    "query",
    [
        "state=gone", "state=", "kind=ABOVE", "priority=1", "q=" + "x" * 101, "q=%00", "symbol=A%20A%20A", "symbol=%00",
        "symbol=%EF%BC%A1%D0%90", "cursor=x", "cursor=cD1hYmM%3D",
        "cursor=cD05OTk5OTk5OTk5OTk5OTk5OTk5OQ%3D%3D",
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_is_a_problem(client, alice, query):
    client.raise_request_exception = False

    response = client.get(f"{ALERTS}?{query}")

    assert response["Content-Type"] == "application/problem+json"
    assert 400 <= response.status_code < 500


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1000000000",
        "limit=x",
        "user=bob",
        "ordering=user__password",
        "symbol=A&symbol=IBM",
    ],
)
def test_what_a_query_cannot_change_is_ignored(client, alice, ibm, query):
    alert = make_alert(alice, ibm)

    assert ids(client.get(f"{ALERTS}?{query}")) == [alert.pk]


# --- one alert


def test_an_edit_is_a_new_version(client, alice, ibm):
    alert = make_alert(alice, ibm, mode="repeat", phase=Phase.WAITING.value)

    response = patch(client, alert, {"threshold": "200.5", "priority": "low"})

    told = response.json()
    assert response.status_code == 200
    assert (told["threshold"], told["priority"], told["version"], told["state"], told["mode"]) == (
        "200.50", "low", 2, "armed", "repeat",
    )  # fmt: skip


def test_the_answer_sent_back_changes_nothing(client, alice, ibm):
    make_quote(ibm, "200")
    told = post(client, ALERTS, {"symbol": "IBM", "kind": "below", "threshold_percent": "-2.5"}).json()

    assert patch(client, Alert.objects.get(), told).json() == told


def test_an_expiry_without_a_time_is_the_end_of_that_day_where_the_user_lives(client, alice, ibm):
    alice.time_zone = "America/New_York"
    alice.save()

    made = post(client, ALERTS, {**ABOVE, "expires_at": "2026-03-06"}).json()
    changed = client.patch(
        f"{ALERTS}{made['id']}/", json.dumps({"expires_at": "2026-03-04"}), content_type="application/json"
    ).json()

    assert made["expires_at"] == "2026-03-07T05:00:00.000Z"
    assert changed["expires_at"] == "2026-03-05T05:00:00.000Z"


def test_a_deleted_alert_is_gone_until_it_is_restored(client, alice, ibm):
    alert = make_alert(alice, ibm)
    url = f"{ALERTS}{alert.pk}/"

    assert client.delete(url).status_code == 204
    assert [problem(client.get(url)), problem(client.delete(url)), problem(patch(client, alert, {}))] == [
        (404, "not_found")
    ] * 3
    assert ids(client.get(ALERTS)) == []
    assert post(client, f"{url}restore/").json()["state"] == "armed"
    assert post(client, f"{url}restore/").status_code == 200
    assert ids(client.get(ALERTS)) == [alert.pk]


def test_pause_resume_snooze_and_duplicate(client, alice, ibm):
    url = f"{ALERTS}{make_alert(alice, ibm).pk}/"

    states = [
        post(client, f"{url}pause/").json()["state"],
        post(client, f"{url}pause/").json()["state"],
        post(client, f"{url}resume/").json()["state"],
        post(client, f"{url}snooze/", {"until": "2026-03-05T00:00:00Z"}).json()["state"],
        post(client, f"{url}resume/").json()["state"],
    ]
    copy = post(client, f"{url}duplicate/")

    assert states == ["paused", "paused", "armed", "snoozed", "armed"]
    assert (copy.status_code, copy.json()["threshold"]) == (201, "100.00")
    assert len(ids(client.get(ALERTS))) == 2


def test_a_snooze_needs_a_moment_to_come(client, alice, ibm):
    url = f"{ALERTS}{make_alert(alice, ibm).pk}/snooze/"

    for until, code in (
        (None, "required"),
        ("2020-01-01T00:00:00Z", "out_of_range"),
        ("2026-03-05", "invalid"),  # from its beginning, or up to its end?
        ("x", "invalid"),
        (5, "invalid"),
    ):
        assert fields_wrong(post(client, url, {"until": until})) == {"until": code}


def test_what_has_run_out_is_not_resumed(client, alice, ibm):
    alert = make_alert(alice, ibm, expires_at=NOW - timedelta(days=1), active=False)

    response = post(client, f"{ALERTS}{alert.pk}/resume/")

    assert problem(response) == (409, "alert_expired")
    assert response.json()["errors"][0]["attr"] == "expires_at"


# --- many at once


def test_many_are_paused_at_once_and_others_are_left_out(client, alice, ibm):
    mine = [make_alert(alice, ibm).pk for _ in range(2)]
    paused = make_alert(alice, ibm, is_paused=True, active=False).pk
    foreign = make_alert(make_user("bob"), ibm).pk

    response = post(
        client, f"{ALERTS}bulk/", {"action": "pause", "ids": [foreign, *mine, mine[0], paused, 2**62]}
    )

    assert response.status_code == 200
    assert (response.json()["action"], response.json()["changed"]) == ("pause", mine)
    assert [row["state"] for row in response.json()["results"]] == ["paused"] * 2
    assert Alert.objects.get(pk=foreign).active


@pytest.mark.parametrize(("action", "left"), [("delete", 0), ("duplicate", 4), ("resume", 2), ("snooze", 2)])
def test_the_other_acts_work_in_bulk_too(client, alice, ibm, action, left):
    both = [make_alert(alice, ibm).pk for _ in range(2)]

    response = post(
        client, f"{ALERTS}bulk/", {"action": action, "ids": both, "until": "2026-03-05T00:00:00Z"}
    )

    assert response.status_code == 200
    assert len(ids(client.get(ALERTS))) == left


def test_a_limit_in_bulk_changes_nothing(client, alice, ibm):
    made = [make_alert(alice, ibm).pk for _ in range(LIMIT - 1)]

    assert problem(post(client, f"{ALERTS}bulk/", {"action": "duplicate", "ids": made[:2]})) == (
        403,
        "alert_limit",
    )
    assert Alert.objects.count() == LIMIT - 1


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"action": "required", "ids": "required"}),
        ({"action": "explode", "ids": [1]}, {"action": "invalid_choice"}),
        ({"action": ["pause"], "ids": [1]}, {"action": "invalid_choice"}),
        ({"action": "pause", "ids": []}, {"ids": "invalid"}),
        ({"action": "pause", "ids": "1"}, {"ids": "invalid"}),
        ({"action": "pause", "ids": [True]}, {"ids": "invalid"}),
        ({"action": "pause", "ids": ["１"]}, {"ids": "invalid"}),
        ({"action": "pause", "ids": [1.5]}, {"ids": "invalid"}),
        ({"action": "pause", "ids": [[1]]}, {"ids": "invalid"}),
        ({"action": "pause", "ids": [None]}, {"ids": "invalid"}),
        ({"action": "pause", "ids": [0]}, {"ids": "out_of_range"}),
        ({"action": "pause", "ids": list(range(1, 502))}, {"ids": "too_many"}),
        ({"action": "snooze", "ids": [1]}, {"until": "required"}),
    ],
)  # fmt: skip
def test_a_bulk_act_that_cannot_be_is_a_problem(client, alice, body, wrong):
    assert fields_wrong(post(client, f"{ALERTS}bulk/", body)) == wrong


# --- evidence


def tick(price, second):
    moment_us = int(NOW.timestamp()) * 1_000_000 + second * 1_000_000 + 123
    return {
        "price": price, "as_of": moment_us, "received": moment_us + 50_000, "provider": "replay", "session": "regular",
        "volume": 100, "trade_id": "t1", "replay": True, "delayed_s": 0,
    }  # fmt: skip


def make_fire(alert, number, **fields):
    trigger = Trigger.objects.create(
        alert=alert, fire_seq=number, rule_version=alert.version,
        **{
            "rule": rule_json(alert.rule), "source": "tick", "price": Decimal("100.5"), "provider": "replay",
            "session": "regular", "trade_id": "t1", "before": tick("99", 0), "tick": tick("100.5", 1),
            "armed_at": NOW, "armed_price": Decimal(99), "exchange_at": NOW, "received_at": NOW, "evaluated_at": NOW,
            "committed_at": NOW, **fields,
        },
    )  # fmt: skip
    note = Notification.objects.create(
        user=alert.user, trigger=trigger, title="IBM", scheduled_at=NOW, created_at=NOW
    )
    return trigger, note


def test_a_fire_is_told_with_its_evidence(client, alice, ibm):
    alert = make_alert(alice, ibm, Kind.CROSSES_ABOVE)
    trigger, note = make_fire(alert, 1)
    channel = alice.channels.create(kind="email", name="mail", address="a@example.com", label="a@…")
    Delivery.objects.create(
        notification=note, channel=channel, key="k", state="sent", priority=3, next_attempt_at=NOW, sent_at=NOW,
        attempts=1,
    )  # fmt: skip

    response = client.get(f"{ALERTS}{alert.pk}/triggers/")

    (told,) = response.json()["results"]
    assert response.json()["next"] is None
    assert told == {
        "id": trigger.pk,
        "fire": 1,
        "version": 1,
        "rule": rule_json(alert.rule),
        "reproduced": True,
        "source": "tick",
        "price": "100.50",
        "provider": "replay",
        "session": "regular",
        "trade_id": "t1",
        "before": {
            "price": "99", "provider": "replay", "session": "regular", "volume": 100, "trade_id": "t1", "replay": True,
            "delayed_s": 0, "as_of": "2026-03-04T15:00:00.000123Z", "received_at": "2026-03-04T15:00:00.050123Z",
        },
        "tick": {
            "price": "100.5", "provider": "replay", "session": "regular", "volume": 100, "trade_id": "t1",
            "replay": True, "delayed_s": 0, "as_of": "2026-03-04T15:00:01.000123Z",
            "received_at": "2026-03-04T15:00:01.050123Z",
        },
        "extra": {},
        "armed_price": "99.00",
        "armed_at": "2026-03-04T15:00:00.000Z",
        "local_day": None,
        "exchange_at": "2026-03-04T15:00:00.000Z",
        "received_at": "2026-03-04T15:00:00.000Z",
        "evaluated_at": "2026-03-04T15:00:00.000Z",
        "committed_at": "2026-03-04T15:00:00.000Z",
        "retracted_at": None,
        "retraction": "",
        "notifications": [
            {
                "id": note.pk,
                "kind": "alert",
                "deliveries": [
                    {"channel": channel.pk, "state": "sent", "attempts": 1, "sent_at": "2026-03-04T15:00:00.000Z"}
                ],
            }
        ],
    }  # fmt: skip


def test_evidence_that_does_not_bear_a_fire_out_is_told_as_such(client, alice, ibm):
    alert = make_alert(alice, ibm, Kind.CROSSES_ABOVE)
    make_fire(alert, 1, tick=tick("99.5", 1))
    make_fire(alert, 2, rule={"kind": "what was once"})

    told = client.get(f"{ALERTS}{alert.pk}/triggers/").json()["results"]

    assert [one["reproduced"] for one in told] == [None, False]


@pytest.mark.parametrize("rows", [1, 4])
def test_the_fires_cost_the_same_queries_for_any_number(client, alice, ibm, rows, django_assert_num_queries):
    alert = make_alert(alice, ibm)
    for number in range(rows):
        make_fire(alert, number)

    with django_assert_num_queries(6):  # session, user, alert, triggers, notifications, deliveries
        assert len(ids(client.get(f"{ALERTS}{alert.pk}/triggers/"))) == rows


# --- back-test


def test_a_rule_is_tried_on_the_past_and_nothing_is_made(client, alice, ibm):
    for number, close in enumerate(["90", "110", "90", "110", "90"]):
        make_daily_bar(ibm, (NOW - timedelta(days=10 - number)).date(), close)

    response = post(client, f"{ALERTS}backtest/", {**ABOVE, "threshold": "100"})

    told = response.json()
    assert response.status_code == 200
    assert (told["source"], told["count"], told["counted_as"], told["days"]) == ("day", 2, "repeat", 5)
    assert [fire["price"] for fire in told["fires"]] == ["110.00", "110.00"]
    assert [one["rearm_band"] for one in told["with_band"]] == ["0.1", "0.25", "0.5", "1"]
    assert set(told["advice"]) == {"warning", "rearm_band", "count"}
    assert not Alert.objects.exists()


def test_without_bars_a_back_test_says_why(client, alice):
    assert post(client, f"{ALERTS}backtest/", ABOVE).json() == {
        "source": None, "reason": "no_bars", "count": None, "fires": [],
    }  # fmt: skip
    assert fields_wrong(post(client, f"{ALERTS}backtest/", {"symbol": "IBM", "kind": "above"})) == {
        "threshold": "required"
    }


# --- whose it is


def every_url(number):
    """(method, address, body) of everything that names an alert."""
    one = f"{ALERTS}{number}/"
    yield "get", one, None
    yield "patch", one, {"threshold": "1"}
    yield "delete", one, None
    yield "get", f"{one}triggers/", None
    for act in ACTS:
        yield "post", f"{one}{act}/", {"until": "2026-03-05T00:00:00Z"}


def call(client, method, url, body):
    headers = {"X-Request-ID": "0" * 32}
    return client.generic(method.upper(), url, json.dumps(body or {}), "application/json", headers=headers)


def test_another_users_alert_is_as_good_as_missing(client, alice, ibm):
    alert = make_alert(make_user("bob"), ibm)
    before = Alert.objects.values().get()

    for (method, foreign, body), (_, missing, _) in zip(every_url(alert.pk), every_url(2**40), strict=True):
        answers = [call(client, method, url, body) for url in (foreign, missing)]
        assert problem(answers[0]) == (404, "not_found")
        assert answers[0].content == answers[1].content
    assert Alert.objects.values().get() == before


@pytest.mark.parametrize(
    "number", ["0", "-1", str(2**31), str(2**63), "9" * 200, "9" * 5000, "x", "%00", "..", "１"]
)
def test_an_id_that_cannot_be_is_a_404(client, alice, number):
    client.raise_request_exception = False

    for method, url, body in every_url(number):
        assert problem(call(client, method, url, body))[0] == 404


def test_a_visitor_gets_nothing(ibm):
    alert = make_alert(make_user("bob"), ibm)
    urls = [*every_url(alert.pk), ("get", ALERTS, None), ("post", ALERTS, ABOVE)]
    urls += [
        ("post", f"{ALERTS}bulk/", {"action": "delete", "ids": [alert.pk]}),
        ("post", f"{ALERTS}backtest/", ABOVE),
    ]

    assert {problem(call(Client(), *one)) for one in urls} == {(401, "not_authenticated")}
    assert Alert.objects.get().active


# --- whatever is sent

VALUES = {
    "null": "null", "true": "true", "false": "false", "zero": "0", "minus zero": "-0", "negative": "-1",
    "tiny": "1e-400", "small": "1e-300", "huge": "1e308", "overflow": "1e999", "nan": "NaN", "infinity": "Infinity",
    "2^63": str(2**63), "2^62": str(2**62), "5,000 digits": "1" * 5000, "full width": '"１２"', "underscore": '"1_000"',
    "exponent": '"1e3"', "text": '"x"', "empty": '""', "null character": '"a\\u0000"', "surrogate": '"\\ud800"',
    "right to left": '"\\u202e1"', "zero width": '"\\u200b1"', "1 MB": '"' + "1" * 1_000_000 + '"', "list": "[1]",
    "object": '{"a": 1}', "nested": "[" * 20 + "]" * 20, "deep": "[" * 1000 + "]" * 1000, "day": '"0000-00-00"',
    "last day": '"9999-12-31T23:59:59Z"', "year one": '"0001-01-01T00:00:00+14:00"', "sql": "\"'; DROP TABLE x; --\"",
}  # fmt: skip
FIELDS = [
    "symbol", "kind", "threshold", "threshold_percent", "lower", "upper", "window_s", "way", "stale_after_s",
    "sessions", "mode", "rearm_band", "cooldown_s", "priority", "category", "note", "expires_at", "until", "ids",
    "action",
]  # fmt: skip
LEVEL = {"kind": "above", "threshold": "190"}
BASES = {
    "window_s": {"kind": "moves", "threshold": "5", "way": "up"},
    "way": {"kind": "moves", "threshold": "5", "window_s": 300},
    "lower": {"kind": "leaves_channel", "upper": "2"},
    "upper": {"kind": "enters_channel", "lower": "1"},
    "stale_after_s": {"kind": "stale"},
    "threshold": {"kind": "volume"},
    "threshold_percent": {"kind": "below"},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_no_value_of_any_field_is_a_failure(client, alice, ibm, value):
    client.raise_request_exception = False
    alice.tier = "expert"
    alice.save()
    alert = make_alert(alice, ibm)
    making = [("POST", ALERTS), ("POST", f"{ALERTS}backtest/"), ("PATCH", f"{ALERTS}{alert.pk}/")]
    acting = [("POST", f"{ALERTS}bulk/"), ("POST", f"{ALERTS}{alert.pk}/snooze/")]
    found = []

    for field in FIELDS:
        rule = {"symbol": "IBM", **BASES.get(field, LEVEL)}
        act = {"action": "pause", "ids": [1], "until": "2026-03-05T00:00:00Z"}
        for body, addresses in ((rule, making), (act, acting)):
            text = json.dumps({**body, field: "?"}).replace('"?"', value)
            found += [client.generic(method, url, text, "application/json") for method, url in addresses]

    assert [response.status_code for response in found if response.status_code >= 500] == []
    wrong = [response for response in found if response.status_code >= 400]
    assert {response["Content-Type"] for response in wrong} <= {"application/problem+json"}


BODIES = {
    "empty": b"", "null": b"null", "array": b"[]", "text": b'"x"', "number": b"5", "true": b"true", "nan": b"NaN",
    "100,000 arrays": b"[" * 100_000, "invalid utf-8": b'{"symbol": "\xff"}', "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"symbol": "IBM"}'.encode("utf-16"), "3 MB": b'{"note": "' + b"x" * 3_000_000 + b'"}', "torn": b'{"a"',
}  # fmt: skip


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""]
)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_body_is_more_than_a_4xx_problem(client, alice, ibm, body, content_type):
    client.raise_request_exception = False
    alert = make_alert(alice, ibm)
    before = Alert.objects.values().get()

    for url in (ALERTS, f"{ALERTS}backtest/", f"{ALERTS}bulk/", f"{ALERTS}{alert.pk}/snooze/"):
        response = client.generic("POST", url, body, content_type)
        assert response["Content-Type"] == "application/problem+json"
        assert 400 <= response.status_code < 500

    assert Alert.objects.values().get() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_the_whole_list_cannot_be_replaced(client, alice, method):
    assert problem(client.generic(method, ALERTS, b"{}", "application/json")) == (405, "method_not_allowed")
