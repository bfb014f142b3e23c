"""Every address of the API that names a row: whose it is decides, whatever the method."""

from __future__ import annotations

import json
import re

import pytest

from alerts.api.urls import urlpatterns
from alerts.models import Alert, Channel, Notification
from core import clock
from tests.factories import make_alert, make_ticker, make_user

pytestmark = pytest.mark.django_db

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ADDRESSES = [str(pattern.pattern) for pattern in urlpatterns if "<int:" in str(pattern.pattern)]
BODY = {"until": "2099-01-01T00:00:00Z", "name": "mine", "note": "mine", "is_enabled": False}


@pytest.fixture
def bobs():
    """An id of Bob's for each name in an address."""
    bob, now = make_user("bob"), clock.now()
    alert = make_alert(bob, make_ticker())
    note = Notification.objects.create(user=bob, title="x", scheduled_at=now, created_at=now)
    channel = Channel.objects.create(
        user=bob, kind="webhook", name="x", address="https://x.example.com/", label="x", secret="s"
    )
    return {"alert_id": alert.pk, "notification_id": note.pk, "channel_id": channel.pk}


def everything():
    return [list(model.objects.order_by("pk").values()) for model in (Alert, Notification, Channel)]


def filled(address, ids):
    return "/api/v1/" + re.sub(r"<int:(\w+)>", lambda match: str(ids[match[1]]), address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_bobs_is_as_good_as_missing_for_alice(client, bobs, address):
    client.force_login(make_user("alice", tier="expert"))
    before = everything()
    missing = dict.fromkeys(bobs, 2**40)

    for method in METHODS:
        answers = [
            client.generic(
                method,
                filled(address, ids),
                json.dumps(BODY),
                "application/json",
                headers={"X-Request-ID": "0" * 32},
            )
            for ids in (bobs, missing)
        ]
        assert [answer.status_code for answer in answers] in ([404, 404], [405, 405], [200, 200])
        assert (answers[0].status_code == 200) is (method == "OPTIONS")
        assert answers[0].content == answers[1].content
        assert dict(answers[0].headers) == dict(answers[1].headers)
    assert everything() == before


def test_there_is_an_address_for_each_kind_of_row():
    assert {re.search(r"<int:(\w+)>", address)[1] for address in ADDRESSES} == {
        "alert_id",
        "notification_id",
        "channel_id",
    }
