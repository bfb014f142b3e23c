from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.credentials import by_api_keys
from accounts.models import ApiKey, User
from tests.accounts.keys import make_api_key
from tests.factories import make_staff, make_user

LIST = "admin:accounts_apikey_changelist"


@pytest.fixture(autouse=True)
def _staff(client, db):
    client.force_login(make_staff())


def names(client, **query):
    rows = client.get(reverse(LIST), query).context["cl"].result_list
    return sorted(row.name for row in rows)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_costs_the_same_queries_for_any_length(client, rows, django_assert_num_queries):
    for _ in range(rows):
        make_api_key(make_user())

    with django_assert_num_queries(6):  # session, user, dates of the hierarchy (2), count, rows
        page = client.get(reverse(LIST)).content.decode()

    assert page.count(">robot<") == rows


def test_keys_are_found_by_state_and_by_what_they_are_called(client):
    alice = make_user("alice", tier="pro")
    valid, _ = make_api_key(alice, "valid", last_used_at=timezone.now())
    make_api_key(make_user("bob"), "unused")
    make_api_key(alice, "revoked", revoked_at=timezone.now(), last_used_at=timezone.now())

    assert names(client, state="valid") == ["unused", "valid"]
    assert names(client, state="revoked") == ["revoked"]
    assert names(client, state="unused") == ["unused"]
    assert names(client, user__tier="free") == ["unused"]
    assert names(client, q=valid.prefix) == ["valid"]
    assert names(client, q="bob@example.com") == ["unused"]


def test_no_hash_is_shown_and_no_key_is_made_or_changed(client):
    key, _ = make_api_key(make_user())
    url = reverse("admin:accounts_apikey_change", args=[key.pk])

    pages = [client.get(url), client.get(reverse(LIST))]

    assert [page.status_code for page in pages] == [200, 200]
    assert [key.hash in page.content.decode() for page in pages] == [False, False]
    assert client.post(url, {"name": "mine", "hash": "0" * 64}).status_code == 403
    assert client.get(reverse("admin:accounts_apikey_add")).status_code == 403


def test_revoking_ends_what_was_chosen_and_keeps_the_time_of_the_first(client):
    before = timezone.now()
    (one, text), (_, other) = make_api_key(make_user()), make_api_key(make_user())
    old, _ = make_api_key(make_user(), revoked_at=before)
    body = {"action": "revoke", "_selected_action": [one.pk, old.pk]}

    page = client.post(reverse(LIST), body, follow=True).content.decode()

    assert "1 revoked" in page
    assert list(by_api_keys([text, other])) == [other]
    assert ApiKey.objects.get(pk=old.pk).revoked_at == before


def test_a_user_is_deleted_with_the_keys(client):
    alice = make_user("alice")
    make_api_key(alice)

    client.post(reverse("admin:accounts_user_delete", args=[alice.pk]), {"post": "yes"})

    assert not User.objects.filter(pk=alice.pk).exists()
    assert not ApiKey.objects.exists()
