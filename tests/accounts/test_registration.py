"""Sign-up, login and logout through the real pages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.urls import reverse

from accounts import views
from accounts.models import User
from tests.factories import PASSWORD, make_user

SIGNUP = {"email": "alice@example.com", "username": "alice", "password1": PASSWORD}


@pytest.fixture(autouse=True)
def _no_rate_limits_from_other_tests():
    cache.clear()


def sign_up(client, **changed):
    return client.post(reverse("account_signup"), {**SIGNUP, **changed})


def log_in(client, email="alice@example.com", password=PASSWORD):
    return client.post(reverse("account_login"), {"login": email, "password": password})


@pytest.mark.django_db
def test_signing_up_makes_a_free_account_and_logs_in(client):
    response = sign_up(client, email="Alice@Example.com")

    assert response.status_code == 302
    assert response.url == reverse("watchlist")
    user = User.objects.get()
    assert (user.email, user.username, user.tier) == ("alice@example.com", "alice", "free")
    assert client.session["_auth_user_id"] == str(user.pk)


@pytest.mark.django_db
def test_the_sign_up_page_explains_the_password(client):
    page = client.get(reverse("account_signup")).content.decode()

    assert "at least 10 characters" in page
    assert page.count('type="password"') == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"email": "ALICE@example.com", "username": "other"}, "email"),
        ({"email": "other@example.com", "username": "ALICE"}, "username"),
        ({"email": "other@example.com", "username": "ａｌｉｃｅ"}, "username"),
        ({"email": "not an address"}, "email"),
        ({"email": "a\x00b@example.com"}, "email"),
        ({"email": "x" * 300 + "@example.com"}, "email"),
        ({"email": ""}, "email"),
        ({"username": "al\x00ice"}, "username"),
        ({"username": "al ice"}, "username"),
        ({"username": "<script>"}, "username"),
        ({"username": "al"}, "username"),
        ({"username": "x" * 41}, "username"),
        ({"password1": "short"}, "password1"),
        ({"password1": "12345678901"}, "password1"),
        ({"password1": "new@example.com", "email": "new@example.com"}, "password1"),
        ({"password1": "pass\x00word-7-long"}, "password1"),
        ({"password1": "x" * 100_000}, "password1"),
    ],
)
def test_what_cannot_be_accepted_is_a_form_error(client, changed, field):
    make_user("alice")

    response = sign_up(client, **{"email": "new@example.com", "username": "newname", **changed})

    assert response.status_code == 200
    assert field in response.context["form"].errors
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_a_long_passphrase_is_welcome(client):
    assert sign_up(client, password1="quite a long passphrase " * 6).status_code == 302


@pytest.mark.django_db
def test_an_address_that_has_an_account_is_told_so_and_no_second_one_made(client):
    make_user("alice")

    page = sign_up(client, username="other").content.decode()

    assert "There is already an account with this e-mail address" in page


@pytest.mark.django_db(transaction=True)
def test_of_two_who_sign_up_at_once_one_gets_a_form_error(monkeypatch):
    both_are_valid = Barrier(2, timeout=20)
    form_valid = views.SignupView.form_valid

    def meet_first(view, form):
        both_are_valid.wait()
        return form_valid(view, form)

    monkeypatch.setattr(views.SignupView, "form_valid", meet_first)

    def one(email):
        try:
            return sign_up(Client(raise_request_exception=False), email=email)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(one, ["alice@example.com", "other@example.com"]))

    assert sorted(response.status_code for response in responses) == [200, 302]
    loser = next(response for response in responses if response.status_code == 200)
    assert "This user name is taken" in loser.content.decode()
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_login_by_address_in_any_case_and_logout_by_post(client):
    make_user("alice", password=PASSWORD)

    assert log_in(client, "ALICE@example.com").url == reverse("watchlist")
    assert client.get(reverse("account_logout")).status_code == 200
    assert "_auth_user_id" in client.session
    assert client.post(reverse("account_logout")).url == reverse("landing")
    assert "_auth_user_id" not in client.session


@pytest.mark.django_db
def test_a_wrong_password_and_an_unknown_address_are_told_alike(client):
    make_user("alice", password=PASSWORD)

    wrong, unknown = log_in(client, password="wrong-password"), log_in(client, "nobody@example.com")

    assert wrong.context["form"].errors == unknown.context["form"].errors
    assert "is not right" in wrong.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["a\x00@example.com", "", "x" * 10_000, "' OR 1=1 --"])
def test_login_with_nonsense_is_a_form_error(client, email):
    assert log_in(client, email).status_code == 200


@pytest.mark.django_db
def test_a_deactivated_person_cannot_log_in(client):
    make_user("alice", password=PASSWORD, is_active=False)

    log_in(client)

    assert "_auth_user_id" not in client.session


@pytest.mark.django_db
def test_the_administration_uses_the_limited_login_page(client):
    assert client.get("/admin/login/").url.startswith(reverse("account_login"))


@pytest.mark.django_db
def test_a_person_who_is_no_staff_is_kept_out_of_the_administration(client):
    client.force_login(make_user("alice"))

    assert client.get("/admin/", follow=True).status_code == 403
