from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from marketdata import checks
from marketdata.providers import registry
from marketdata.providers.finnhub import from_settings


def test_without_a_key_the_variable_is_named():
    with pytest.raises(ImproperlyConfigured, match="FINNHUB_API_KEY is empty"):
        from_settings()


def test_an_unknown_plan_is_named_with_those_that_exist(settings):
    settings.FINNHUB_API_KEY, settings.FINNHUB_PLAN = "key", "golden"

    with pytest.raises(ImproperlyConfigured, match=r"FINNHUB_PLAN: .*golden.*free, premium"):
        from_settings()


def test_addresses_and_plan_are_those_of_the_settings(settings):
    settings.FINNHUB_API_KEY, settings.FINNHUB_PLAN = "key", "premium"
    settings.FINNHUB_URL = "http://127.0.0.1:9/api/v1/"

    found = registry.make("finnhub")

    assert (found.base_url, found.capabilities.plan) == ("http://127.0.0.1:9/api/v1", "premium")
    assert "key" not in repr(found)


@pytest.mark.parametrize(
    ("key", "plan", "named"), [("", "free", "FINNHUB_API_KEY"), ("key", "golden", "FINNHUB_PLAN")]
)
def test_what_it_lacks_is_told_before_anything_starts(settings, key, plan, named):
    settings.MARKETDATA_PROVIDERS = ["simulator", "finnhub"]
    settings.FINNHUB_API_KEY, settings.FINNHUB_PLAN = key, plan

    (found,) = checks.providers_can_be_made()

    assert found.id == "marketdata.E004"
    assert named in found.msg
    assert checks.prices_may_be_shown() == []
