from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from core.redis import client as redis
from marketdata import cache
from marketdata.errors import ProviderDown
from marketdata.models import ProviderCall
from marketdata.providers import attempts, breakers, registry
from marketdata.providers.attempts import Attempt, Skip
from marketdata.providers.base import Window
from marketdata.providers.breakers import State
from marketdata.providers.chain import Asking, breaker_name
from marketdata.providers.registry import Purpose
from tests.factories import make_staff, make_user
from tests.outages import redis_away
from tests.providers import Scripted

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/marketdata/upstream/providers/"


@pytest.fixture(autouse=True)
def provider():
    redis().flushall()
    cache.forget_memory()
    one = Scripted(name="one", windows=(Window(10, 60),))
    with registry.override(one):
        yield one


@pytest.fixture
def staff(client):
    user = make_staff()
    client.force_login(user)
    return user


def page(client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_shows_capabilities_quotas_breakers_and_every_attempt(client, staff, provider):
    breakers.hold(breaker_name(provider, Purpose.QUOTES), 60)
    tried = [
        Attempt("one", 2, skip=Skip.CIRCUIT_OPEN, detail="one failed lately"),
        Attempt("other", 2, kind=ProviderDown.kind, detail="other answered 500", took_s=0.25),
    ]
    attempts.remember(Purpose.QUOTES, Asking(), ["AAPL", "IBM"], tried)

    found = page(client)

    for words in (
        "100 symbols per request", "10 of 10 requests per minute", "quotes: open", "quotes of AAPL, IBM",
        "one: passed over, <strong>circuit_open</strong> for 2 symbols: one failed lately",
        "other: <strong>transient</strong> for 2 symbols, 250.0 ms: other answered 500",
    ):  # fmt: skip
        assert words in found


def test_the_list_of_streams_leads_there(client, staff):
    assert PAGE in client.get(reverse("admin:marketdata_upstream_changelist")).content.decode()


def test_a_test_call_asks_once_and_is_in_the_ledger(client, staff, provider):
    answer = client.post(f"{PAGE}one/test/", follow=True)

    assert "One answered for 3 symbols in " in answer.content.decode()
    assert len(provider.requests) == 1
    assert list(ProviderCall.objects.values_list("provider", "cause")) == [("one", "check")]


def test_a_test_call_that_fails_says_why(client, staff, provider):
    provider.failure = ProviderDown("one answered 500")

    assert "One: transient. one answered 500" in client.post(f"{PAGE}one/test/", follow=True).content.decode()


def test_breakers_can_be_closed(client, staff, provider):
    name = breaker_name(provider, Purpose.QUOTES)
    breakers.hold(name, 600)

    client.post(f"{PAGE}one/close/")

    assert breakers.reading(name).state is State.CLOSED


def test_nothing_happens_by_a_get(client, staff, provider):
    assert client.get(f"{PAGE}one/test/").status_code == 405
    assert provider.requests == []


def test_who_may_only_look_cannot_spend_money(client, provider):
    looker = make_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_upstream"))
    client.force_login(looker)

    assert "Test call" not in page(client)
    assert client.post(f"{PAGE}one/test/").status_code == 403
    assert provider.requests == []


def test_staff_without_any_permission_sees_nothing(client):
    client.force_login(make_user("nobody", is_staff=True))

    assert client.get(PAGE).status_code == 403


def test_a_provider_that_is_not_configured_is_named_as_such(client, staff):
    assert (
        "This provider is not configured." in client.post(f"{PAGE}gone/test/", follow=True).content.decode()
    )


def test_with_redis_away_the_page_says_so(client, staff):
    with redis_away():
        assert "Redis does not answer: quotas and breakers cannot be read now." in page(client)
