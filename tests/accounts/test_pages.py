from __future__ import annotations

import logging
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.credentials import by_api_keys
from accounts.models import ApiKey
from tests.accounts.keys import make_api_key
from tests.factories import make_subscription, make_ticker, make_user

pytestmark = pytest.mark.django_db

PAGE, MAKE, ZONE = "/account/", "/account/api-keys/", "/account/time-zone/"
TEXT = re.compile(r"ot_[0-9A-Za-z]{8}_[0-9A-Za-z]{40}")


@pytest.fixture
def alice(client):
    user = make_user("alice", tier="pro")
    client.force_login(user)
    return user


def revoke_url(key):
    return reverse("api_key_revoke", args=[key.pk])


def words(response):
    """The text of a page without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_the_page_tells_the_plan_and_what_is_in_use(client, alice):
    make_subscription(alice, make_ticker())
    make_api_key(alice)

    page = words(client.get(PAGE))

    assert "Plan Pro Tickers 1 of 10 on your watchlist" in page
    assert "Alerts 0 of 100 paused ones too Channels 0 of 5 besides the app API keys 1 of 5" in page
    assert "Live connections 20 at once" in page
    assert "Prices Live as they happen" in page


def test_the_page_of_a_free_account_says_how_often_prices_come(client):
    client.force_login(make_user())

    assert "Prices 1 s from one update to the next" in words(client.get(PAGE))


def test_the_page_leads_to_a_new_password_and_the_menu_to_the_page(client, alice):
    page = client.get(PAGE).content.decode()

    assert f'href="{reverse("account_reset_password")}"' in page
    assert page.count(f'class="menu-item" href="{PAGE}"') == 2  # wide and narrow


def test_without_keys_the_page_says_what_they_are_for(client, alice):
    page = words(client.get(PAGE))

    assert "No keys yet" in page
    assert 'curl -H "Authorization: Api-Key YOUR_KEY"' in page


def test_the_list_shows_own_keys_that_are_not_revoked(client, alice):
    robot, _ = make_api_key(alice, "robot", last_used_at=timezone.now())
    gone, _ = make_api_key(alice, "gone", revoked_at=timezone.now())
    foreign, _ = make_api_key(make_user("bob"), "foreign")

    page = client.get(PAGE).content.decode()

    assert [key.prefix in page for key in (robot, gone, foreign)] == [True, False, False]
    assert [key.hash in page for key in (robot, gone, foreign)] == [False] * 3


# --- time zone


def test_the_page_offers_the_time_zones_of_places(client, alice):
    page = client.get(PAGE).content.decode()

    assert 'name="time_zone" value="America/New_York"' in page
    assert '<option value="Europe/Berlin">' in page
    assert "Days, quiet hours and times of yours are counted in it." in page


def test_a_time_zone_is_saved(client, alice):
    answer = client.post(ZONE, {"time_zone": "Asia/Tokyo"}, follow=True)

    assert answer.redirect_chain == [(PAGE, 302)]
    assert "Your time zone is Asia/Tokyo" in words(answer)
    alice.refresh_from_db()
    assert alice.time_zone == "Asia/Tokyo"


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "<b>", "x" * 41, "a\x00b"])
def test_what_is_no_time_zone_is_a_form_error(client, alice, zone):
    response = client.post(ZONE, {"time_zone": zone})

    assert response.status_code == 400
    assert 'aria-invalid="true"' in response.content.decode()
    assert "<b>" not in response.content.decode()
    alice.refresh_from_db()
    assert alice.time_zone == "America/New_York"


def test_the_address_of_the_time_zone_leads_to_the_page(client, alice):
    assert client.get(ZONE).headers["Location"] == PAGE


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_costs_the_same_queries_for_any_number_of_keys(
    client, alice, rows, django_assert_num_queries
):
    for _ in range(rows):
        make_api_key(alice)

    with django_assert_num_queries(5):  # session, user, keys, numbers of the shell, channels
        client.get(PAGE)


def test_a_new_key_is_shown_once_with_how_to_use_it(client, alice):
    response = client.post(MAKE, {"name": "my robot"})

    assert response.status_code == 201
    assert "no-store" in response["Cache-Control"]
    page = response.content.decode()
    (text,) = set(TEXT.findall(page))
    assert list(by_api_keys([text])) == [text]
    assert "my robot is ready" in page
    assert f"Authorization: Api-Key {text}" in page
    assert 'url_override="ws://testserver/compat/alpaca/v2/iex"' in page
    assert TEXT.findall(client.get(PAGE).content.decode()) == []


def test_a_secret_is_not_logged_and_not_kept_in_the_session(client, alice, caplog):
    caplog.set_level(logging.DEBUG)

    (text,) = set(TEXT.findall(client.post(MAKE, {"name": "robot"}).content.decode()))

    assert text not in caplog.text + str(dict(client.session))


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x00b"])
def test_a_name_that_is_none_is_a_form_error(client, alice, name):
    response = client.post(MAKE, {"name": name})

    assert response.status_code == 400
    assert 'aria-invalid="true"' in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_name_is_shown_as_text(client, alice):
    page = client.post(MAKE, {"name": "<script>alert(1)</script>"}).content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is ready" in page


def test_over_the_limit_the_form_says_so(client, alice):
    for _ in range(5):
        make_api_key(alice)

    assert "All 5 keys of your Pro plan are in use" in words(client.get(PAGE))
    response = client.post(MAKE, {"name": "sixth"})

    assert response.status_code == 403
    assert "room for 5 API keys" in words(response)
    assert ApiKey.objects.count() == 5


def test_revoking_asks_first(client, alice):
    key, text = make_api_key(alice, "robot")

    question = client.get(revoke_url(key))
    assert "Revoke this key?" in words(question)
    assert list(by_api_keys([text])) == [text]
    answer = client.post(revoke_url(key), follow=True)

    assert answer.redirect_chain == [(PAGE, 302)]
    assert "robot was revoked" in words(answer)
    assert by_api_keys([text]) == {}
    assert "Revoked already" in words(client.get(revoke_url(key)))


def test_bob_cannot_revoke_alices_key(alice):
    key, text = make_api_key(alice)
    bob = Client()
    bob.force_login(make_user("bob"))

    assert [bob.get(revoke_url(key)).status_code, bob.post(revoke_url(key)).status_code] == [404, 404]
    assert list(by_api_keys([text])) == [text]


@pytest.mark.parametrize("path", [PAGE, f"{MAKE}1/revoke/"])
def test_a_visitor_has_to_log_in(path):
    response = Client().get(path)

    assert (response.status_code, response["Location"]) == (302, f"/account/login/?next={path}")


def test_nothing_is_made_or_revoked_without_the_csrf_token(alice):
    key, _ = make_api_key(alice)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert strict.post(MAKE, {"name": "robot"}).status_code == 403
    assert strict.post(revoke_url(key)).status_code == 403
    assert list(ApiKey.objects.values_list("pk", "revoked_at")) == [(key.pk, None)]


def test_who_comes_back_to_the_address_of_the_form_gets_the_page(client, alice):
    assert client.get(MAKE).headers["Location"] == PAGE


@pytest.mark.parametrize(("path", "methods"), [(PAGE, ["post", "put"]), (MAKE, ["put", "delete"])])
def test_other_methods_are_refused(client, alice, path, methods):
    assert [getattr(client, method)(path).status_code for method in methods] == [405, 405]
