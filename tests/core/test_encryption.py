from __future__ import annotations

import pytest
from django.db import connection

from alerts.models import Channel, ChannelKind
from core.encryption import Undecryptable, decrypt, encrypt
from tests.factories import make_user

CANARY = "https://hooks.example.com/CANARY-7f41"


def test_what_was_encrypted_is_read_again():
    assert decrypt(encrypt("Zürich 😀")) == "Zürich 😀"


def test_the_same_text_is_never_the_same_token():
    assert encrypt(CANARY) != encrypt(CANARY)


def test_a_token_does_not_hold_the_text():
    assert "CANARY" not in encrypt(CANARY)


def test_a_new_key_goes_in_front_and_the_old_one_still_reads(settings):
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    before = encrypt(CANARY)
    settings.FIELD_ENCRYPTION_KEYS = ["new", "old"]
    after = encrypt(CANARY)

    assert (decrypt(before), decrypt(after)) == (CANARY, CANARY)
    settings.FIELD_ENCRYPTION_KEYS = ["new"]
    assert decrypt(after) == CANARY
    with pytest.raises(Undecryptable):
        decrypt(before)


@pytest.mark.parametrize("token", ["", "nonsense", "gAAAAA=="])
def test_what_is_no_token_is_undecryptable(token):
    with pytest.raises(Undecryptable):
        decrypt(token)


def test_the_error_names_the_setting_and_not_the_text(settings):
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    token = encrypt(CANARY)
    settings.FIELD_ENCRYPTION_KEYS = ["new"]

    with pytest.raises(Undecryptable) as raised:
        decrypt(token)

    assert str(raised.value) == "FIELD_ENCRYPTION_KEYS lacks the key that this was encrypted with."
    assert token not in repr(raised.value)


def stored(channel):
    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text FROM alerts_channel c WHERE id = %s", [channel.pk])
        return cursor.fetchone()[0]


def make_channel(**fields):
    return Channel.objects.create(
        user=make_user(), kind=ChannelKind.WEBHOOK, name="mine", label="hooks.example.com", **fields
    )


@pytest.mark.django_db
def test_the_database_does_not_hold_a_secret():
    channel = make_channel(address=CANARY, secret="whsec_CANARY")

    assert "CANARY" not in stored(channel)
    channel.refresh_from_db()
    assert (channel.address, channel.secret) == (CANARY, "whsec_CANARY")


@pytest.mark.django_db
def test_an_empty_secret_stays_empty():
    channel = make_channel(address=CANARY, secret="")

    assert Channel.objects.filter(pk=channel.pk, secret="").exists()


@pytest.mark.django_db
def test_a_row_is_written_anew_with_the_new_key(settings):
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    channel = make_channel(address=CANARY)
    settings.FIELD_ENCRYPTION_KEYS = ["new", "old"]
    Channel.objects.get(pk=channel.pk).save(update_fields=["address"])
    settings.FIELD_ENCRYPTION_KEYS = ["new"]

    assert Channel.objects.get(pk=channel.pk).address == CANARY


@pytest.mark.django_db
def test_a_row_without_its_key_can_still_be_listed_without_its_secrets(settings):
    channel = make_channel(address=CANARY)
    settings.FIELD_ENCRYPTION_KEYS = ["another"]

    assert Channel.objects.defer("address", "secret").get(pk=channel.pk).label == "hooks.example.com"
    with pytest.raises(Undecryptable):
        Channel.objects.get(pk=channel.pk)
