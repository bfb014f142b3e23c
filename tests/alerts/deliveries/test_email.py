"""E-mail to a real mail server, which also fails in each way that they do."""

from __future__ import annotations

import smtplib
import socket
from email.message import EmailMessage

import pytest
from django.urls import reverse

from alerts.deliveries.base import Outcome, sender_of
from alerts.deliveries.email import CHANNELS_PATH
from alerts.kinds import Priority
from alerts.models import ChannelKind
from tests import postbox as postboxes
from tests.alerts.deliveries.messages import channel, message
from tests.postbox import PATIENT_S
from tests.sinks import nobody_listens


@pytest.fixture
def postbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_TIMEOUT = "127.0.0.1", PATIENT_S
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.DEFAULT_FROM_EMAIL = "Onetape <alerts@onetape.example.com>"
    with postboxes.postbox() as one:
        settings.EMAIL_PORT = one.port
        yield one


def send(address="ada@example.com", **fields) -> Outcome:
    return sender_of("email").send(channel(ChannelKind.EMAIL, address), message(**fields))


def received(postbox, **fields) -> EmailMessage:
    assert send(**fields) == Outcome.sent()
    return postbox.next()


def part_of(mail: EmailMessage, kind: str) -> str:
    return mail.get_body([kind]).get_content()


def test_a_mail_arrives_at_the_channels_address(postbox):
    mail = received(postbox)

    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "ada@example.com",
        "Onetape <alerts@onetape.example.com>",
        "AAPL crossed above 190.00",
    )
    assert postbox.envelopes == [("alerts@onetape.example.com", ["ada@example.com"])]


def test_the_message_id_is_the_key_at_our_host(postbox):
    assert received(postbox)["Message-ID"] == "<ot-17-4@onetape.example.com>"


def test_programs_are_told_where_to_end_it_and_not_to_answer(postbox):
    mail = received(postbox)

    assert mail["List-Unsubscribe"] == "<https://onetape.example.com/account/channels/>"
    assert mail["Auto-Submitted"] == "auto-generated"


def test_the_page_of_channels_is_where_mails_say_it_is():
    assert reverse("channels") == CHANNELS_PATH


@pytest.mark.parametrize(
    ("priority", "importance"), [(Priority.CRITICAL, "high"), (Priority.MEDIUM, None), (Priority.LOW, "low")]
)
def test_importance_is_said(postbox, priority, importance):
    assert received(postbox, priority=priority)["Importance"] == importance


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_both_parts_say_what_happened_and_link_to_the_reason(postbox, kind):
    text = part_of(received(postbox), kind)

    for words in (
        "AAPL crossed above 190.00",
        "190.02 at 14:31:05, regular session.",
        "https://onetape.example.com/notifications/17/",
        "https://onetape.example.com/account/channels/",
    ):
        assert words in text


def test_a_title_with_line_breaks_adds_no_header(postbox):
    mail = received(postbox, title="Up\r\nBcc: eve@example.com\n\tnow")

    assert (mail["Subject"], mail["Bcc"]) == ("Up Bcc: eve@example.com now", None)
    assert postbox.envelopes[0][1] == ["ada@example.com"]


def test_markup_is_text(postbox):
    mail = received(postbox, title="<b>A & B</b>", body="<script>x</script>")

    assert "<script>x</script>" in part_of(mail, "plain")
    assert "&lt;script&gt;x&lt;/script&gt;" in part_of(mail, "html")
    assert "<script" not in part_of(mail, "html")


def test_other_scripts_arrive_whole(postbox):
    mail = received(postbox, title="Kurs über 190 – 株価", body="ℵ € 😀")

    assert mail["Subject"] == "Kurs über 190 – 株価"
    assert "ℵ € 😀" in part_of(mail, "plain")


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_digest_lists_its_items(postbox, kind):
    items = (
        message(title="First", url="https://o.test/1/"),
        message(title="Second", url="https://o.test/2/"),
    )

    text = part_of(received(postbox, title="2 notifications", body="First\nSecond", items=items), kind)

    for words in ("First", "https://o.test/1/", "Second", "https://o.test/2/"):
        assert words in text


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        ("RCPT", "450 4.2.1 mailbox busy", "The mail server refuses the recipient (450)."),
        ("RCPT", "421 4.3.2 shutting down", "The mail server refuses the recipient (421)."),
        ("DATA", "452 4.2.2 mailbox full", "The mail server refuses the message (452)."),
        ("MAIL", "451 4.3.0 later", "The mail server answered 451."),
        ("MAIL", "550 5.7.1 you may not send", "The mail server answered 550."),
    ],
)
def test_what_passes_or_is_ours_is_tried_again(postbox, command, answer, error):
    postbox.said[command] = answer

    assert send() == Outcome.retry(error)


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        ("RCPT", "550 5.1.1 no such user", "The mail server refuses the recipient (550)."),
        ("DATA", "554 5.7.1 refused", "The mail server refuses the message (554)."),
    ],
)
def test_a_recipient_who_is_refused_is_for_ever(postbox, command, answer, error):
    postbox.said[command] = answer

    assert send() == Outcome.permanent(error)


def test_a_server_that_hangs_after_the_message_gets_it_again_under_the_same_id(postbox, monkeypatch):
    send_text = smtplib.SMTP.send

    def send_and_give_up(self, text):
        """Not before the server has the whole message."""
        send_text(self, text)
        if isinstance(text, bytes) and text.endswith(b"\r\n.\r\n"):
            assert postbox.has_taken.wait(PATIENT_S)
            self.sock.settimeout(0.1)

    postbox.hangs = True
    with monkeypatch.context() as patch:
        patch.setattr(smtplib.SMTP, "send", send_and_give_up)
        first = send()
    postbox.hangs = False
    second = send()

    assert first == Outcome.retry("The mail server did not take the message (SMTPServerDisconnected).")
    assert second == Outcome.sent()
    assert [postbox.next()["Message-ID"] for _ in range(2)] == ["<ot-17-4@onetape.example.com>"] * 2


def test_a_server_that_says_nothing_is_tried_again(postbox, settings):
    settings.EMAIL_TIMEOUT = 0.5
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.EMAIL_PORT = listener.getsockname()[1]
        outcome = send()

    assert outcome == Outcome.retry("The mail server did not take the message (SMTPServerDisconnected).")


def test_a_server_that_is_down_is_tried_again(postbox, settings):
    with nobody_listens() as port:
        settings.EMAIL_PORT = port
        outcome = send()

    assert outcome == Outcome.retry("The mail server did not take the message (ConnectionRefusedError).")


def test_a_password_that_is_refused_is_the_operators_to_put_right(postbox, settings):
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "onetape", "CANARY"

    outcome = send()

    assert (outcome.is_sent, outcome.is_permanent) == (False, False)
    assert "CANARY" not in outcome.error


@pytest.mark.parametrize("address", ["", "nobody", "a b@example.com", "ü@example.com", "a@b\r\nBcc: c@d"])
def test_an_address_that_is_none_is_not_sent_to(postbox, address):
    outcome = send(address)

    assert (outcome.is_permanent, postbox.is_empty()) == (True, True)


def test_the_default_prints_the_mail(settings, capsys):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

    assert send() == Outcome.sent()

    printed = capsys.readouterr().out
    assert "Subject: AAPL crossed above 190.00" in printed
    assert "https://onetape.example.com/notifications/17/" in printed


def test_no_error_tells_the_address(postbox):
    postbox.said["RCPT"] = "550 canary@example.com is unknown"

    assert "canary" not in repr(send("canary@example.com"))
