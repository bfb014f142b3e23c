from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured

from marketdata import checks
from marketdata.providers import registry
from marketdata.providers.alpha_vantage import from_settings
from marketdata.providers.alpha_vantage_answers import months


def test_without_a_key_the_variable_is_named():
    with pytest.raises(ImproperlyConfigured, match="ALPHA_VANTAGE_API_KEY is empty"):
        from_settings()


def test_an_unknown_plan_is_named_with_those_that_exist(settings):
    settings.ALPHA_VANTAGE_API_KEY, settings.ALPHA_VANTAGE_PLAN = "key", "golden"

    with pytest.raises(ImproperlyConfigured, match=r"ALPHA_VANTAGE_PLAN: .*golden.*free, premium-75"):
        from_settings()


@pytest.mark.parametrize(("plan", "symbols"), [("free", 1), ("premium-300", 100)])
def test_the_plan_says_how_many_symbols_a_request_may_hold(settings, plan, symbols):
    settings.ALPHA_VANTAGE_API_KEY, settings.ALPHA_VANTAGE_PLAN = "key", plan

    assert registry.make("alpha_vantage").capabilities.max_symbols_per_request == symbols


def test_what_it_lacks_is_told_before_anything_starts(settings):
    settings.MARKETDATA_PROVIDERS = ["alpha_vantage"]

    (found,) = checks.providers_can_be_made()

    assert found.id == "marketdata.E004"
    assert "ALPHA_VANTAGE_API_KEY" in found.msg


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        # New York's months: the first hours of a month in UTC belong to the one before
        (datetime(2026, 1, 31, 23, tzinfo=UTC), datetime(2026, 2, 1, 5, tzinfo=UTC), ["2026-01"]),
        (datetime(2026, 1, 31, 23, tzinfo=UTC), datetime(2026, 2, 1, 6, tzinfo=UTC), ["2026-01", "2026-02"]),
        (datetime(2025, 12, 15, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC), ["2025-12", "2026-01"]),
        (datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC), []),
    ],
)
def test_the_months_of_a_range_are_new_yorks(start, end, found):
    assert months(start, end) == found


def test_of_a_very_long_range_the_newest_two_years_are_asked_for():
    found = months(datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC))

    assert (len(found), found[0], found[-1]) == (24, "2024-02", "2026-01")
