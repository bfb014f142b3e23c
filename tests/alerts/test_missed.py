from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts import inbox, missed
from alerts.models import Notification
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def written(user, age: timedelta = timedelta(), **fields) -> Notification:
    at = timezone.now() - age
    return Notification.objects.create(user=user, title="AAPL", created_at=at, scheduled_at=at, **fields)


def ids(found: missed.Missed) -> list[int]:
    return [payload["id"] for payload in found.payloads]


def test_what_came_after_the_last_one_is_told_oldest_first_to_each_user_theirs():
    alice, bob, carol = make_user(), make_user(), make_user()
    first, other, second, third = [written(user) for user in (alice, bob, alice, alice)]
    third.read_at = timezone.now()
    third.save()

    found = missed.missed(
        [(bob.pk, 0, False), (alice.pk, first.pk, False), (carol.pk, 0, False), (alice.pk, None, False)]
    )

    assert [ids(one) for one in found] == [[other.pk], [second.pk, third.pk], [], []]
    assert [(one.last, one.unread, one.more) for one in found] == [
        (other.pk, 1, False),
        (third.pk, 2, False),
        (0, 0, False),
        (third.pk, 2, False),
    ]
    assert found[0].payloads == [inbox.payload(other)]


def test_only_those_of_thirty_days_and_at_most_200_are_told(monkeypatch):
    alice = make_user()
    written(alice, timedelta(days=31))
    kept = [written(alice, timedelta(days=29)).pk for _ in range(4)]
    monkeypatch.setattr(missed, "MOST", 3)

    (found,) = missed.missed([(alice.pk, 0, False)])
    (rest,) = missed.missed([(alice.pk, kept[2], False)])

    assert (ids(found), found.more, found.unread) == (kept[:3], True, 4)
    assert (ids(rest), rest.more) == (kept[3:], False)


def test_who_says_what_he_has_seen_is_told_of_the_minute_before_as_well():
    alice = make_user()
    written(alice, timedelta(seconds=70))
    late = written(alice, timedelta(seconds=30))
    last, new = written(alice), written(alice)

    (found,) = missed.missed([(alice.pk, last.pk, True)])

    assert ids(found) == [late.pk, last.pk, new.pk]


def test_an_id_that_nobody_knows_is_only_a_number():
    alice = make_user()
    one = written(alice)

    assert [ids(found) for found in missed.missed([(alice.pk, one.pk - 1, True)])] == [[one.pk]]
    assert [ids(found) for found in missed.missed([(alice.pk, 2**53 - 1, True)])] == [[]]


def test_many_who_come_back_cost_two_queries(django_assert_num_queries):
    users = [make_user() for _ in range(5)]
    for user in users:
        written(user)

    with django_assert_num_queries(2):
        found = missed.missed([(user.pk, 0, False) for user in users])
    assert [len(one.payloads) for one in found] == [1] * 5


def test_what_was_written_lately_is_found_page_by_page_for_those_who_are_here(django_assert_num_queries):
    alice, bob, carol = make_user(), make_user(), make_user()
    written(alice, timedelta(minutes=2))
    found = [written(user) for user in (alice, bob, carol, alice)]
    since = timezone.now() - timedelta(minutes=1)

    with django_assert_num_queries(2):
        page = missed.lately([alice.pk, bob.pk], since, 0, 2)
        rest = missed.lately([alice.pk, bob.pk], since, page[-1][2]["id"], 2)

    assert page == [(one.user_id, one.created_at, inbox.payload(one)) for one in found[:2]]
    assert [payload["id"] for _, _, payload in rest] == [found[3].pk]
