from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from core import launch
from marketdata import checks
from marketdata.providers import registry
from marketdata.providers.yahoo import from_settings
from marketdata.providers.yahoo_pricing import pricing_of
from marketdata.providers.yahoo_session import cookies_of


def test_it_is_off_until_somebody_turns_it_on():
    with pytest.raises(ImproperlyConfigured, match=r"YAHOO_ENABLED is off.*for personal use only"):
        from_settings()


def test_named_but_not_enabled_is_told_before_anything_starts(settings):
    settings.MARKETDATA_PROVIDERS = ["yahoo"]

    (found,) = checks.providers_can_be_made()

    assert found.id == "marketdata.E004"
    assert "YAHOO_ENABLED" in found.msg
    assert checks.yahoo_is_for_personal_use() == []


def test_enabled_it_warns_and_still_starts(settings):
    settings.MARKETDATA_PROVIDERS, settings.YAHOO_ENABLED = ["yahoo"], True

    (terms,), (display,) = checks.yahoo_is_for_personal_use(), checks.prices_may_be_shown()

    assert (terms.id, display.id) == ("marketdata.W001", "marketdata.W002")
    assert "personal use" in terms.msg
    assert "may not be shown to other people under this plan" in display.msg
    assert all(found.hint for found in (terms, display))
    assert not any(found.is_serious() for found in (terms, display))
    launch.must_pass_checks()


def test_enabled_but_not_named_it_warns_of_nothing(settings):
    settings.MARKETDATA_PROVIDERS, settings.YAHOO_ENABLED = ["simulator"], True

    assert checks.yahoo_is_for_personal_use() == checks.prices_may_be_shown() == []


def test_its_own_plan_says_fifty_symbols_and_no_display(settings):
    settings.YAHOO_ENABLED = True

    able = registry.make("yahoo").capabilities

    assert (able.max_symbols_per_request, able.display_allowed, able.plan) == (50, False, "unofficial")
    assert able.attribution


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ("A3=d=AQ&S=b; Expires=Sat, 20 Nov 2027 12:00:00 GMT; HttpOnly", "A3=d=AQ&S=b"),
        ("A1=x; Path=/, A3=y; Expires=Sat, 20 Nov 2027 12:00:00 GMT", "A1=x; A3=y"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_cookies_are_sent_back_without_their_attributes(told, sent):
    assert cookies_of(told) == sent


# --- protobuf; the bytes are written out by hand, after the encoding's own specification


def test_each_kind_of_field_is_read():
    data = bytes.fromhex(
        "0a 04 41 41 50 4c"  # 1, text: AAPL
        " 15 00 00 c8 42"  # 2, float: 100.0
        " 18 80 dc b7 eb d4 66"  # 3, zigzag of 3,527,467,200,000
        " 38 01"  # 7, plain number: 1
        " 48 ac 02"  # 9, zigzag of 300: 150
        " 50 01 "  # 10, of another type than agreed
    )

    with pytest.raises(ValueError, match="field 10"):
        pricing_of(data)

    assert pricing_of(data[:-2]) == {
        "id": "AAPL",
        "price": 100.0,
        "time": 1_763_733_600_000,
        "market_hours": 1,
        "day_volume": 150,
    }


@pytest.mark.parametrize(("data", "number"), [("48 00", 0), ("48 01", -1), ("48 02", 1), ("48 03", -2)])
def test_zigzag_alternates_between_the_signs(data, number):
    assert pricing_of(bytes.fromhex(data)) == {"day_volume": number}


def test_fields_nobody_needs_are_passed_over():
    data = bytes.fromhex("89 02 00 00 00 00 00 00 f0 3f 6a 03 61 62 63 0a 01 41")

    assert pricing_of(data) == {"id": "A"}


@pytest.mark.parametrize(
    "data",
    ["0a 7f 41", "15 00 00", "18 80", "89 02 00", "18 " + "ff " * 11, "0b", "0a 02 ff fe", "0c", "08 01"],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 -- any of them
        pricing_of(bytes.fromhex(data))
