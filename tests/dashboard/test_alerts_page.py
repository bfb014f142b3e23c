"""The list of alerts and its buttons, without a script."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.tiers import LIMITS, Tier
from alerts import rules
from alerts.kinds import Phase
from alerts.models import Alert, Channel
from marketdata.models import Ticker
from tests.factories import make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db
THIN = "\u2009"


@pytest.fixture
def alice(client: Client):
    """A free user with room for twenty alerts, logged in."""
    user = make_user("alice")
    client.force_login(user)
    return user


def text(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode().replace(THIN, "~")).replace("~", THIN)


def make_alert(user, symbol: str = "AAPL", **fields) -> Alert:
    ticker = Ticker.objects.filter(symbol=symbol).first() or make_ticker(symbol)
    return rules.create(user, {"symbol": ticker.symbol, "kind": "above", "threshold": "600", **fields})


def rows(answer) -> list[str]:
    """The rules in the order that they are shown in."""
    return re.findall(r'<a class="a-link"[^>]*>([^<]+)</a>', text(answer))


def states(answer) -> list[str]:
    return re.findall(r'data-alert-state="(\w+)"', text(answer))


def act(client: Client, name: str, *alerts: Alert, **more):
    return client.post(
        "/alerts/act/", {"act": name, "ids": [alert.pk for alert in alerts], **more}, follow=True
    )


# --- the list


def test_visitors_are_asked_to_log_in(client: Client) -> None:
    for path in ["/alerts/", "/alerts/new/", "/alerts/1/", "/notifications/", "/notifications/1/"]:
        assert client.get(path).url == f"/account/login/?next={path}"


def test_an_empty_list_teaches_and_has_one_button(client: Client, alice) -> None:
    answer = text(client.get("/alerts/"))

    assert "Be told when a price gets there" in answer
    assert "Your plan has room for 20." in answer
    assert answer.count('href="/alerts/new/"') == 1


def test_a_row_says_rule_price_distance_and_how_it_stands(client: Client, alice) -> None:
    make_quote(make_ticker("AAPL"), "589.58")
    make_alert(alice, mode="repeat", rearm_band="0.5", cooldown_s=900, note="Sell a third")

    answer = text(client.get("/alerts/"))

    for shown in [
        "Above 600.00",
        f"Every time, 0.5{THIN}% band, at most every 15 minutes, Sell a third",
        "589.58",
        f"+1.77{THIN}%",
        "Armed",
        "Never",
        "1 of 20 on Free",
    ]:
        assert shown in answer


def test_each_state_has_a_word_of_its_own(client: Client, alice, still) -> None:
    now = datetime.now(UTC)
    made = [make_alert(alice, threshold=str(100 + number)) for number in range(6)]
    rules.pause(alice, [made[0].pk])
    rules.snooze(alice, [made[1].pk], now + timedelta(days=40))
    Alert.objects.filter(pk=made[2].pk).update(phase=Phase.WAITING.value, last_fired_at=now)
    Alert.objects.filter(pk=made[3].pk).update(active=False, last_fired_at=now, fire_seq=1)
    Alert.objects.filter(pk=made[4].pk).update(expires_at=now - timedelta(days=1))

    answer = client.get("/alerts/")

    assert states(answer) == ["armed", "expired", "triggered", "waiting", "snoozed", "paused"]
    zone = ZoneInfo(alice.time_zone)
    today, until = (moment.astimezone(zone) for moment in (now, now + timedelta(days=40)))
    day = f"{until.day} {until:%b}" if until.year == today.year else f"{until.day} {until:%b %Y}"
    for word in ["Paused", f"Snoozed until {day}", "Fired", "Done", "Expired", "Armed"]:
        assert f"{word}</span>" in text(answer)
    assert "4 of 20 on Free" in text(answer)


def test_an_alert_without_a_price_says_why_it_cannot_be_near(client: Client, alice) -> None:
    make_alert(alice)

    assert "No price yet" in text(client.get("/alerts/"))


def test_the_list_is_narrowed_by_state_and_ticker(client: Client, alice) -> None:
    make_alert(alice, "AAPL")
    make_alert(alice, "IBM", threshold="200")
    rules.pause(alice, [make_alert(alice, "IBM", threshold="300").pk])

    assert rows(client.get("/alerts/?ticker=IBM")) == ["Above 300.00", "Above 200.00"]
    assert rows(client.get("/alerts/?state=paused")) == ["Above 300.00"]
    assert rows(client.get("/alerts/?state=armed&ticker=IBM")) == ["Above 200.00"]
    assert "No alert is on AAPL and in this state" in text(client.get("/alerts/?state=paused&ticker=aapl"))


def test_the_list_is_sorted_both_ways_and_back(client: Client, alice) -> None:
    for symbol, price, level in [("AAPL", "500", "600"), ("IBM", "199", "200"), ("MSFT", "25", "30")]:
        make_quote(make_ticker(symbol), price)
        make_alert(alice, symbol, threshold=level)

    assert rows(client.get("/alerts/?sort=distance")) == ["Above 200.00", "Above 30.00", "Above 600.00"]
    assert rows(client.get("/alerts/?sort=-ticker")) == ["Above 30.00", "Above 200.00", "Above 600.00"]
    assert rows(client.get("/alerts/")) == ["Above 30.00", "Above 200.00", "Above 600.00"]
    assert 'aria-sort="descending"' in text(client.get("/alerts/?sort=-ticker"))


@pytest.mark.parametrize(
    "query", ["sort=nothing", "state=x", "page=0", "page=99999", "page=%D9%A3", "ticker=%00"]
)
def test_what_the_address_cannot_mean_is_no_error(query, client: Client, alice) -> None:
    make_alert(alice)

    assert client.get(f"/alerts/?{query}").status_code == 200


def test_long_lists_come_page_by_page(client: Client, alice) -> None:
    alice.tier = Tier.PRO.value
    alice.save()
    for number in range(30):
        make_alert(alice, threshold=str(100 + number))

    assert len(rows(client.get("/alerts/"))) == 25
    assert len(rows(client.get("/alerts/?page=2"))) == 5
    assert "Page 2 of 2" in text(client.get("/alerts/?page=7"))


def test_it_says_whom_an_alert_tells(client: Client, alice) -> None:
    make_alert(alice)
    given = {"user": alice, "kind": "email", "address": "a@example.com", "label": "a@example.com"}
    Channel.objects.create(name="Mail", **given)
    Channel.objects.create(name="Urgent only", lowest_priority=1, **given)
    Channel.objects.create(name="Off", is_enabled=False, **given)
    Channel.objects.create(name="Broken", state="disabled", **given)
    Channel.objects.create(name="Not confirmed", state="unconfirmed", **given)

    assert "App, Mail</td>" in text(client.get("/alerts/"))


def test_nobody_sees_the_alerts_of_others(client: Client, alice) -> None:
    theirs = make_alert(make_user("bob"))

    assert rows(client.get("/alerts/")) == []
    assert client.get(f"/alerts/{theirs.pk}/").status_code == 404
    assert client.post(f"/alerts/{theirs.pk}/", {"kind": "below"}).status_code == 404


@pytest.mark.parametrize("count", [1, 4])
def test_the_list_costs_the_same_queries_for_any_length(
    count, client: Client, alice, django_assert_num_queries
) -> None:
    for number in range(count):
        make_quote(ticker := make_ticker())
        make_alert(alice, ticker.symbol, threshold=str(100 + number))

    # session, user, alerts, quotes, channels, the shell's numbers
    with django_assert_num_queries(6):
        client.get("/alerts/")


# --- what is done with them


def test_one_or_many_are_paused_and_resumed(client: Client, alice) -> None:
    made = [make_alert(alice, threshold=str(100 + number)) for number in range(3)]

    assert "2 alerts paused" in text(act(client, "pause", made[0], made[1]))
    assert states(client.get("/alerts/")) == ["armed", "paused", "paused"]
    assert "Alert on AAPL armed again" in text(act(client, "resume", made[0]))
    assert states(client.get("/alerts/")) == ["armed", "paused", "armed"]


def test_deleting_can_be_undone_without_a_script(client: Client, alice) -> None:
    alert = make_alert(alice)

    answer = act(client, "delete", alert)

    assert rows(answer) == []
    assert "Alert on AAPL deleted" in text(answer)
    assert (
        f'<input type="hidden" name="ids" value="{alert.pk}"><input type="hidden" name="act" value="restore">'
        in (text(answer))
    )
    assert rows(act(client, "restore", alert)) == ["Above 600.00"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("snooze_hour", "snoozed for an hour"),
        ("snooze_day", "snoozed until tomorrow"),
        ("snooze_week", "snoozed for a week"),
    ],
)
def test_snoozing_lasts_as_long_as_it_says(name, words, client: Client, alice, still) -> None:
    alert = make_alert(alice)
    before = datetime.now(UTC)

    assert words in text(act(client, name, alert))

    until = Alert.objects.get(pk=alert.pk).snoozed_until
    if name == "snooze_day":
        local = until.astimezone(ZoneInfo(alice.time_zone))
        assert (local.hour, local.minute) == (0, 0)
        assert local.date() - before.astimezone(local.tzinfo).date() == timedelta(days=1)
    else:
        span = {"snooze_hour": timedelta(hours=1), "snooze_week": timedelta(days=7)}[name]
        assert before + span <= until <= datetime.now(UTC) + span


def test_a_duplicate_is_armed_beside_the_first(client: Client, alice) -> None:
    assert rows(act(client, "duplicate", make_alert(alice))) == ["Above 600.00", "Above 600.00"]


def test_beyond_the_limit_the_way_out_is_named(client: Client, alice) -> None:
    limit = LIMITS[Tier.FREE].max_alerts
    made = [make_alert(alice, threshold=str(100 + number)) for number in range(limit)]

    assert "Your Free plan has room for 20 alerts" in text(act(client, "duplicate", made[0]))
    assert Alert.objects.filter(user=alice).count() == limit


def test_alerts_of_others_are_left_alone(client: Client, alice) -> None:
    theirs = make_alert(make_user("bob"))

    for name in ["pause", "resume", "snooze_hour", "delete", "duplicate", "restore"]:
        assert "Nothing to change" in text(act(client, name, theirs))
    theirs.refresh_from_db()
    assert (theirs.active, theirs.deleted_at, Alert.objects.count()) == (True, None, 1)


def test_marking_nothing_is_said(client: Client, alice) -> None:
    assert "Mark the alerts first" in text(client.post("/alerts/act/", {"act": "pause"}, follow=True))


@pytest.mark.parametrize("ids", ["x", "٣", "9" * 40, "-1", ""])
def test_what_is_no_id_is_nobodys(ids, client: Client, alice) -> None:
    answer = client.post("/alerts/act/", {"act": "pause", "ids": ids}, follow=True)

    assert answer.status_code == 200


def test_an_act_that_there_is_not_is_a_400(client: Client, alice) -> None:
    assert client.post("/alerts/act/", {"act": "explode", "ids": "1"}).status_code == 400


def test_acts_need_a_post_and_a_token_and_lead_to_pages_of_ours(client: Client, alice) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    alert = make_alert(alice)

    assert strict.get("/alerts/act/").status_code == 405
    assert strict.post("/alerts/act/", {"act": "pause"}).status_code == 403
    given = {"act": "pause", "ids": alert.pk}
    assert client.post("/alerts/act/", {**given, "next": "/alerts/?page=2"}).url == "/alerts/?page=2"
    assert client.post("/alerts/act/", {**given, "next": "https://example.com/"}).url == "/alerts/"


def test_an_open_page_gets_the_list_alone_and_leaves_messages_to_the_others(client: Client, alice) -> None:
    alert = make_alert(alice)
    client.post("/alerts/act/", {"act": "pause", "ids": [alert.pk]})

    part = client.get("/alerts/?sort=ticker", headers={"X-Fragment": "alerts"})

    assert states(part) == ["paused"]
    assert [name in text(part) for name in ("<html", "data-said", 'value="/alerts/?sort=ticker"')] == [
        False, False, True,
    ]  # fmt: skip
    assert "1 of 20 on Free" in text(part)
    assert 'data-alert-count aria-label="1 alerts"' in text(part)
    assert "data-said" in text(client.get("/alerts/"))
