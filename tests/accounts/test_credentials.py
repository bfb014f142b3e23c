from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import credentials
from accounts.credentials import Login, by_api_keys, by_sessions, still_valid
from accounts.models import ApiKey, User
from core import clock
from tests.accounts.hostile import HOSTILE_KEYS
from tests.accounts.keys import make_api_key
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def log_in(user: User) -> str:
    """The key of a new session."""
    browser = Client()
    browser.force_login(user)
    return browser.session.session_key


# --- sessions


def test_a_session_tells_who_is_logged_in():
    alice, bob = make_user(tier="pro"), make_user()
    keys = [log_in(alice), log_in(bob), log_in(alice)]

    assert by_sessions(keys) == {
        keys[0]: Login(alice.pk, "pro", session_key=keys[0]),
        keys[1]: Login(bob.pk, "free", session_key=keys[1]),
        keys[2]: Login(alice.pk, "pro", session_key=keys[2]),
    }


def test_a_visitors_session_is_nobodys_login():
    browser = Client()
    session = browser.session
    session["theme"] = "dark"
    session.save()

    assert by_sessions([session.session_key, "", "0" * 32]) == {}


@pytest.mark.parametrize(
    "key", ["\x00" * 32, "\ud800", "a" * 100_000, "'; DROP TABLE accounts_user; --", "ab\n"]
)
def test_a_session_key_that_is_none_is_not_looked_up(key, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert by_sessions([key]) == {}


def test_a_session_of_a_deactivated_or_deleted_user_is_no_login():
    alice, bob = make_user(is_active=False), make_user()
    keys = [log_in(alice), log_in(bob)]
    bob.delete()

    assert by_sessions(keys) == {}


def test_a_session_that_ran_out_or_precedes_a_new_password_is_no_login():
    alice, bob = make_user(), make_user(password=PASSWORD)
    keys = [log_in(alice), log_in(bob)]
    Session.objects.filter(session_key=keys[0]).update(expire_date=timezone.now() - timedelta(seconds=1))
    bob.set_password("another-horse-8")
    bob.save()

    assert by_sessions(keys) == {}


def test_a_session_outlives_a_change_of_the_sites_secret(monkeypatch):
    alice = make_user()
    key = log_in(alice)
    monkeypatch.setattr(settings, "SECRET_KEY_FALLBACKS", [settings.SECRET_KEY])
    monkeypatch.setattr(settings, "SECRET_KEY", "a-new-one")

    assert by_sessions([key]) == {key: Login(alice.pk, "free", session_key=key)}
    assert len(still_valid(by_sessions([key]).values())) == 1


@pytest.mark.parametrize("people", [1, 5])
def test_any_number_of_sessions_costs_two_queries(people, django_assert_num_queries):
    keys = [log_in(make_user()) for _ in range(people)]

    with django_assert_num_queries(2):
        assert len(by_sessions(keys)) == people


# --- API keys


def test_a_key_tells_whose_it_is():
    alice = make_user(tier="expert")
    key, text = make_api_key(alice)

    assert by_api_keys([text, text]) == {text: Login(alice.pk, "expert", api_key_id=key.pk)}


def test_an_unknown_or_revoked_key_or_one_of_a_deactivated_user_lets_nobody_in():
    _, revoked = make_api_key(make_user(), revoked_at=timezone.now())
    _, asleep = make_api_key(make_user(is_active=False))

    assert by_api_keys([revoked, asleep, ApiKey.make_text()]) == {}


def test_one_wrong_character_is_another_key():
    _, text = make_api_key(make_user())
    other = text[:-1] + ("a" if text[-1] != "a" else "b")

    assert by_api_keys([other, text.swapcase(), text[:11] + text[12:], text + " "]) == {}


TEXTS = {**HOSTILE_KEYS, "line after": "ot_abcdefgh_" + "a" * 40 + "\n"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_what_cannot_be_a_key_costs_no_query(text, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert by_api_keys([text]) == {}


@pytest.mark.parametrize("number", [1, 5])
def test_any_number_of_keys_costs_one_query_and_one_for_their_use(number, django_assert_num_queries):
    texts = [make_api_key(make_user())[1] for _ in range(number)]

    with django_assert_num_queries(2):
        assert len(by_api_keys(texts)) == number
    with django_assert_num_queries(1):
        assert len(by_api_keys(texts)) == number


def test_the_use_of_a_key_is_noted_once_a_minute(monkeypatch):
    key, text = make_api_key(make_user())
    first = timezone.now()
    seen = []
    for seconds in (0, 59, 60, 61):
        monkeypatch.setattr(clock, "now", lambda at=first + timedelta(seconds=seconds): at)
        by_api_keys([text])
        key.refresh_from_db()
        seen.append((key.last_used_at - first).total_seconds())

    assert seen == [0, 0, 60, 60]


# --- staying


def test_a_login_lasts_and_answers_with_the_user_as_it_is_now():
    alice = make_user()
    _, text = make_api_key(alice)
    session = log_in(alice)
    logins = [Login(alice.pk, "free"), by_sessions([session])[session], by_api_keys([text])[text]]
    User.objects.update(tier="pro")

    found = still_valid(logins)

    assert list(found) == logins
    assert {user.tier for user in found.values()} == {"pro"}


def test_each_login_ends_in_its_own_way():
    alice = make_user(password=PASSWORD)
    key, text = make_api_key(alice)
    by_key = by_api_keys([text])[text]
    one, other = by_sessions([log_in(alice)]).values(), by_sessions([log_in(alice)]).values()
    by_session, by_other = *one, *other
    logins = [by_key, by_session, by_other]

    Session.objects.filter(session_key=by_session.session_key).delete()
    assert set(still_valid(logins)) == {by_key, by_other}

    alice.set_password("another-horse-8")
    alice.save()
    assert set(still_valid(logins)) == {by_key}

    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert still_valid(logins) == {}


def test_nothing_stands_once_the_account_is_switched_off():
    alice = make_user()
    session, (_, text) = log_in(alice), make_api_key(alice)
    logins = [Login(alice.pk, "free"), *by_sessions([session]).values(), *by_api_keys([text]).values()]
    assert len(still_valid(logins)) == 3

    User.objects.update(is_active=False)

    assert still_valid(logins) == {}


def test_a_session_or_key_of_somebody_else_proves_nothing():
    alice, bob = make_user(), make_user()
    # The hash in a session is made of this alone.
    User.objects.update(password="the same")
    bob.refresh_from_db()
    key, _ = make_api_key(bob)

    forged = [
        Login(alice.pk, "free", session_key=log_in(bob)),
        Login(alice.pk, "free", api_key_id=key.pk),
        Login(alice.pk, "free", api_key_id=key.pk + 1),
        Login(alice.pk, "free", session_key="\x00"),
    ]

    assert still_valid(forged) == {}


@pytest.mark.parametrize("people", [1, 5])
def test_any_number_of_logins_is_checked_in_three_queries(people, django_assert_num_queries):
    users = [make_user() for _ in range(people)]
    sessions = by_sessions([log_in(user) for user in users]).values()
    keys = by_api_keys([make_api_key(user)[1] for user in users]).values()

    with django_assert_num_queries(3):
        assert len(still_valid([*sessions, *keys])) == 2 * people
    with django_assert_num_queries(1):
        still_valid([Login(user.pk, "free") for user in users])
    with django_assert_num_queries(0):
        assert still_valid([]) == {}


def test_a_session_that_did_not_change_is_not_decoded_again():
    key = log_in(make_user())
    credentials._decoded.cache_clear()

    by_sessions([key])
    by_sessions([key])

    assert credentials._decoded.cache_info().hits == 1
