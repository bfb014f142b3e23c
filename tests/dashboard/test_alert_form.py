"""The form that makes and changes an alert, and what the past says beside it; without a script."""

from __future__ import annotations

import html
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.tiers import LIMITS, Tier
from alerts import rules
from alerts.models import Alert, Notification, Trigger
from core import clock
from dashboard.alert_form import AlertForm, end_of, in_seconds
from marketdata.models import DailyBar, Ticker
from tests.factories import make_daily_bar, make_quote, make_ticker, make_user

pytestmark = pytest.mark.django_db
THIN = "\u2009"


@pytest.fixture
def alice(client: Client):
    user = make_user("alice")
    client.force_login(user)
    return user


@pytest.fixture
def apple() -> Ticker:
    ticker = make_ticker("AAPL", name="Apple Inc.")
    make_quote(ticker, "589.58")
    return ticker


def text(answer) -> str:
    return re.sub(r"\s+", " ", html.unescape(answer.content.decode()).replace(THIN, "~")).replace("~", THIN)


def given(**fields) -> dict[str, str]:
    """What a browser sends of the form, its untouched fields included."""
    untouched = {
        "symbol": "AAPL", "kind": "above", "level": "600", "unit": "price", "lower": "", "upper": "", "move": "",
        "window_s": "86400", "way": "either", "factor": "", "stale_minutes": "", "mode": "once", "rearm_band": "",
        "cooldown_minutes": "", "sessions": "regular", "priority": "medium", "category": "", "note": "",
        "expires_on": "",
    }  # fmt: skip
    return {**untouched, **fields}


def errors(answer) -> list[str]:
    return re.findall(r'class="error"[^>]*>.*?<span>([^<]+)</span>', text(answer))


# --- making one


def test_a_new_alert_begins_at_the_price_as_it_is(client: Client, alice, apple) -> None:
    answer = text(client.get("/alerts/new/?symbol=aapl&kind=crosses_below"))

    assert 'name="symbol" value="AAPL"' in answer
    assert 'name="level" value="589.58"' in answer
    assert '<option value="crosses_below" selected>' in answer
    assert "Apple Inc." in answer
    assert "0 of 20 alerts on Free" in answer


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("610.5", "610.5"),
        (" 7 ", "7"),
        ("", "589.58"),
        ("-3", "589.58"),
        ("1e9", "589.58"),
        ("six", "589.58"),
    ],
)
def test_a_level_comes_along_where_it_is_one(given, shown, client: Client, alice, apple) -> None:
    answer = client.get("/alerts/new/", {"symbol": "AAPL", "kind": "below", "level": given})

    assert f'name="level" value="{shown}"' in text(answer)


@pytest.mark.parametrize("symbol", ["", "ZZZZ", "%D0%90APL", "A%00"])
def test_what_is_no_ticker_leaves_the_form_empty(symbol, client: Client, alice) -> None:
    answer = client.get(f"/alerts/new/?symbol={symbol}&kind=nonsense")

    assert answer.status_code == 200
    assert "How often would it have fired?" in text(answer)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, {"kind": "above", "threshold": Decimal(600), "mode": "once"}),
        (
            {"unit": "percent", "level": "-10", "kind": "below"},
            {"threshold": Decimal("530.622"), "threshold_percent": Decimal(-10), "reference_price": Decimal("589.58")},
        ),
        (
            {"kind": "leaves_channel", "lower": "500", "upper": "700"},
            {"threshold": None, "lower": Decimal(500), "upper": Decimal(700)},
        ),
        (
            {"kind": "moves", "move": "3", "window_s": "3600", "way": "down"},
            {"threshold": Decimal(3), "window_s": 3600, "way": "down"},
        ),
        ({"kind": "volume", "factor": "2.5"}, {"threshold": Decimal("2.5")}),
        ({"kind": "stale", "stale_minutes": "1.5"}, {"threshold": None, "stale_after_s": 90}),
        ({"kind": "high_52w"}, {"threshold": None, "kind": "high_52w"}),
        (
            {"mode": "repeat", "rearm_band": "0.5", "cooldown_minutes": "15", "sessions": "extended"},
            {"mode": "repeat", "rearm_band": Decimal("0.5"), "cooldown_s": 900, "sessions": "extended"},
        ),
        (
            {"priority": "critical", "category": "swing", "note": "Sell"},
            {"priority": 1, "category": "swing", "note": "Sell"},
        ),
    ],
)  # fmt: skip
def test_each_kind_takes_its_own_fields(fields, kept, client: Client, alice, apple) -> None:
    assert client.post("/alerts/new/", given(**fields)).url == "/alerts/"

    alert = Alert.objects.get(user=alice)
    assert {name: getattr(alert, name) for name in kept} == kept


def test_an_alert_lasts_to_the_end_of_its_day_where_its_owner_lives(client: Client, alice, apple) -> None:
    day = clock.now().date() + timedelta(days=10)
    client.post("/alerts/new/", given(expires_on=day.isoformat()))

    local = Alert.objects.get().expires_at.astimezone(ZoneInfo(alice.time_zone))
    assert (local.date(), local.hour, local.minute) == (day + timedelta(days=1), 0, 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"level": ""}, ["Say at which price."]),
        ({"level": "sixhundred"}, ["Write a number such as 187.50."]),
        ({"symbol": ""}, ["Enter a ticker symbol, such as AAPL."]),
        ({"symbol": "ZZZZ"}, ["There is no ticker ZZZZ."]),
        ({"kind": "moves"}, ["Say how many percent."]),
        (
            {"kind": "leaves_channel", "lower": "700", "upper": "500"},
            ["The upper edge lies above the lower one."],
        ),
        ({"kind": "stale", "stale_minutes": "0.5"}, ["Choose from 60 to 86,400."]),
    ],
)
def test_what_cannot_be_is_said_at_its_field(fields, said, client: Client, alice, apple) -> None:
    answer = client.post("/alerts/new/", given(**fields))

    assert answer.status_code == 400
    assert errors(answer) == said
    assert 'aria-invalid="true"' in text(answer)
    assert not Alert.objects.exists()


def test_percent_need_a_price(client: Client, alice, monkeypatch) -> None:
    make_ticker("AAPL")
    monkeypatch.setattr(rules, "PRICE_PATIENCE_S", 0.01)

    answer = client.post("/alerts/new/", given(unit="percent", level="5"))

    assert answer.status_code == 400
    assert "No price of AAPL is known yet" in text(answer)


def test_a_full_plan_says_how_to_make_room(client: Client, alice, apple) -> None:
    for number in range(LIMITS[Tier.FREE].max_alerts):
        rules.create(alice, {"symbol": "AAPL", "kind": "above", "threshold": str(100 + number)})

    answer = client.post("/alerts/new/", given())

    assert answer.status_code == 403
    assert "Your Free plan has room for 20 alerts" in text(answer)
    assert 'role="alert"' in text(answer)


# --- changing one


def test_what_an_alert_is_stands_in_its_form_and_saving_it_changes_nothing(
    client: Client, alice, apple
) -> None:
    fields = {
        "symbol": "AAPL",
        "kind": "below",
        "threshold_percent": "-10",
        "mode": "repeat",
        "cooldown_s": 90,
    }
    alert = rules.create(alice, fields)
    answer = client.get(f"/alerts/{alert.pk}/")
    form = answer.context["form"]
    sent = {name: form[name].value() if form[name].value() is not None else "" for name in form.fields}

    assert sent["cooldown_minutes"] == "1.5"
    assert client.post(f"/alerts/{alert.pk}/", sent).url == "/alerts/"

    kept = Alert.objects.get(pk=alert.pk)
    assert (kept.version, kept.threshold_percent, kept.cooldown_s) == (1, Decimal(-10), 90)


def test_an_expiry_to_the_second_stays_while_nobody_touches_it(client: Client, alice, apple) -> None:
    at = clock.now() + timedelta(days=3, hours=5, minutes=7)
    alert = rules.create(alice, {"symbol": "AAPL", "kind": "above", "threshold": "600", "expires_at": at})
    shown = client.get(f"/alerts/{alert.pk}/").context["form"]["expires_on"].value()

    client.post(f"/alerts/{alert.pk}/", given(expires_on=shown.isoformat(), note="Sell"))

    assert (Alert.objects.get().expires_at, Alert.objects.get().note) == (at, "Sell")


def test_a_changed_rule_is_a_new_version(client: Client, alice, apple) -> None:
    alert = rules.create(alice, {"symbol": "AAPL", "kind": "above", "threshold": "600", "note": "Sell"})

    client.post(f"/alerts/{alert.pk}/", given(level="610", note=""))

    kept = Alert.objects.get()
    assert (kept.version, kept.threshold, kept.note) == (2, Decimal(610), "")


def test_a_wrong_change_is_said_and_nothing_is_changed(client: Client, alice, apple) -> None:
    alert = rules.create(alice, {"symbol": "AAPL", "kind": "above", "threshold": "600"})

    answer = client.post(f"/alerts/{alert.pk}/", given(level="-1"))

    assert (answer.status_code, errors(answer)) == (
        400,
        ["A price lies above 0 and below 1,000,000,000,000."],
    )
    assert Alert.objects.get().version == 1


def test_its_history_leads_to_the_reasons(client: Client, alice, apple, still) -> None:
    alert = rules.create(alice, {"symbol": "AAPL", "kind": "above", "threshold": "600"})
    assert "It has not fired yet." in text(client.get(f"/alerts/{alert.pk}/"))
    now = clock.now()
    trigger = Trigger.objects.create(
        alert=alert, fire_seq=1, rule_version=1, rule={}, source="tick", price=Decimal("600.12"), armed_at=now,
        evaluated_at=now, committed_at=now,
    )  # fmt: skip
    note = Notification.objects.create(
        user=alice, trigger=trigger, title="x", scheduled_at=now, created_at=now
    )

    answer = text(client.get(f"/alerts/{alert.pk}/"))

    assert f'<a href="/notifications/{note.pk}/">Today,' in answer
    assert "600.12" in answer


# --- trying it on the past


def year_of(ticker: Ticker, closes: list[str]) -> None:
    """A day each, up to yesterday, with highs and lows at 1 beyond the close."""
    day = clock.now().astimezone(ZoneInfo("America/New_York")).date()
    for number, close in enumerate(reversed(closes), start=1):
        make_daily_bar(ticker, day - timedelta(days=number), close)


def test_the_past_says_how_often_it_would_have_fired(client: Client, alice, apple) -> None:
    year_of(apple, ["590", "610"] * 12)

    answer = text(client.post("/alerts/try/", given(mode="repeat")))

    assert '<b class="bt-figure">12</b> times' in answer
    assert "this would have fired 12 times" in answer
    assert "From daily highs and lows," in answer
    assert answer.count('class="bt-mark"') == 12
    assert '<rect class="bt-tag"' in answer
    assert not Alert.objects.exists()


def test_a_band_that_halves_it_is_offered_and_taken_with_one_click(client: Client, alice, apple) -> None:
    year_of(apple, ["597", "601"] * 12)

    first = text(client.post("/alerts/try/", given()))
    band = re.search(r'name="use_band" value="([\d.]+)"', first)[1]
    assert f"with a {band}{THIN}% re-arm band" in first
    assert f">Every time, with the {band}{THIN}% band</button>" in first
    again = text(client.post("/alerts/try/", given(mode="repeat")))
    assert f">Use the {band}{THIN}% band</button>" in again

    then = client.post("/alerts/try/", given(use_band=band))
    assert f'name="rearm_band" value="{band}"' in text(then)
    assert re.search(r'name="mode" value="repeat"[^>]*checked', text(then))
    assert f"times with a {band}{THIN}% band" in text(then)


def test_a_script_gets_the_form_and_the_answer_alone(client: Client, alice, apple) -> None:
    year_of(apple, ["590", "610"] * 12)

    answer = text(client.post("/alerts/try/", given(fragment="1")))

    assert "data-backtest" in answer
    assert "<html" not in answer


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "No past of it is stored yet"),
        ({"kind": "stale", "stale_minutes": "10"}, "The past cannot tell"),
        ({"level": ""}, "How often would it have fired?"),
        ({"symbol": "ZZZZ"}, "How often would it have fired?"),
    ],
)
def test_where_the_past_says_nothing_the_page_says_why(fields, said, client: Client, alice, apple) -> None:
    answer = client.post("/alerts/try/", given(**fields))

    assert answer.status_code == 200
    assert said in text(answer)


def test_an_alert_that_is_edited_stays_itself_while_it_is_tried(client: Client, alice, apple) -> None:
    alert = rules.create(alice, {"symbol": "AAPL", "kind": "above", "threshold": "600"})
    theirs = rules.create(make_user("bob"), {"symbol": "AAPL", "kind": "above", "threshold": "600"})

    assert f'action="/alerts/{alert.pk}/"' in text(client.post("/alerts/try/", given(alert=alert.pk)))
    assert client.post("/alerts/try/", given(alert=theirs.pk)).status_code == 404
    assert client.get("/alerts/try/").url == "/alerts/new/"


# --- words and units


def test_minutes_become_seconds_and_what_is_no_number_stays() -> None:
    assert [in_seconds(one) for one in ["15", "1.5", " 2 ", "", "x", "1e3", "0.001"]] == [
        "900", "90", "120", "", "x", "1e3", "0.001",
    ]  # fmt: skip


def test_a_day_ends_where_its_owner_lives() -> None:
    zone = ZoneInfo("Asia/Tokyo")

    assert end_of(date(2026, 3, 14), zone) == datetime(2026, 3, 15, tzinfo=zone)
    assert end_of(None, zone) is None


def test_every_kind_has_help() -> None:
    kinds = {value for _, group in AlertForm().fields["kind"].choices for value, _ in group}

    assert set(AlertForm().helps) == kinds


def test_no_bars_of_the_replayed_day_or_later_are_drawn(client: Client, alice) -> None:
    ticker = make_ticker("AAPL")
    make_quote(ticker, "600", provider="replay", replay_date=date(2012, 3, 14))
    for number in range(60):
        make_daily_bar(ticker, date(2012, 2, 1) + timedelta(days=number), "600")

    answer = text(client.post("/alerts/try/", given()))

    assert DailyBar.objects.filter(day__gte=date(2012, 3, 14)).exists()
    assert "1 Feb 2012 to 13 Mar 2012" in answer
