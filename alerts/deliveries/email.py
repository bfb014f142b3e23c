"""E-mail through Django's back end: with SMTP a mail server, by default the terminal.

A mail server that takes a message and dies before it says so leaves us in doubt; the message is sent again with the
same Message-ID, by which mail programs recognise it. Only what it says of this recipient and this message, with a
number from 500, ends a channel: what it says of us, such as a wrong password, is for the operator to put right.
"""

from __future__ import annotations

from smtplib import (
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPRecipientsRefused,
    SMTPResponseException,
)
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.validators import validate_email
from django.template.loader import render_to_string

from alerts.deliveries.base import CONFIRMATION, Message, Outcome
from alerts.kinds import Priority
from alerts.models import Channel

TEMPLATE, CONFIRMATION_TEMPLATE = "alerts/message", "alerts/confirmation"
# Where a person changes what is sent to him.
CHANNELS_PATH = "/account/channels/"
PERMANENT = 500
URGENT = {Priority.CRITICAL: {"Importance": "high", "X-Priority": "1"}, Priority.LOW: {"Importance": "low"}}


def send(channel: Channel, message: Message) -> Outcome:
    connection = get_connection()
    try:
        validate_email(channel.address)
        mail = mail_of(channel, message)
        mail.connection = connection
        mail.send()
    except OSError as error:  # all of smtplib's are that
        return _outcome_of(error)
    except (ValidationError, ValueError):  # ValueError: something in it that no header can hold
        return Outcome.permanent("The address is not one of e-mail.")
    finally:
        connection.close()  # after a refused password it is still open
    return Outcome.sent()


def _outcome_of(error: OSError) -> Outcome:
    match error:
        case SMTPRecipientsRefused():
            code = max(code for code, _ in error.recipients.values())
            return _judged(code, "The mail server refuses the recipient")
        case SMTPDataError():
            return _judged(error.smtp_code, "The mail server refuses the message")
        case SMTPAuthenticationError():
            return Outcome.retry("The mail server refuses our password.")
        case SMTPResponseException():
            return Outcome.retry(f"The mail server answered {error.smtp_code}.")
        case _:
            return Outcome.retry(f"The mail server did not take the message ({type(error).__name__}).")


def _judged(code: int, words: str) -> Outcome:
    text = f"{words} ({code})."
    return Outcome.permanent(text) if code >= PERMANENT else Outcome.retry(text)


def mail_of(channel: Channel, message: Message) -> EmailMultiAlternatives:
    channels_url = settings.PUBLIC_URL + CHANNELS_PATH
    context = {"message": message, "channels_url": channels_url}
    asks = message.kind == CONFIRMATION
    template = CONFIRMATION_TEMPLATE if asks else TEMPLATE
    mail = EmailMultiAlternatives(
        subject=" ".join(message.title.split()),
        body=render_to_string(f"{template}.txt", context),
        to=[channel.address],
        headers={
            "Message-ID": f"<{message.key}@{urlsplit(settings.PUBLIC_URL).hostname}>",
            **({} if asks else {"List-Unsubscribe": f"<{channels_url}>"}),
            # So that no out-of-office answers.
            "Auto-Submitted": "auto-generated",
            **URGENT.get(message.priority, {}),
        },
    )
    mail.attach_alternative(render_to_string(f"{template}.html", context), "text/html")
    return mail
