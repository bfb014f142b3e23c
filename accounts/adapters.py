"""How allauth behaves here.

About telling strangers which addresses have an account: log-in and password reset do not. Sign-up does,
because new accounts work at once, without a confirmed e-mail, and each address has one account only: the second
sign-up has to fail, and allauth (with ACCOUNT_PREVENT_ENUMERATION) rightly prefers uniqueness. What limits
probing is the rate limit on sign-up, 20 a minute for one network address. Mandatory verification would close it.
"""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.utils.translation import gettext_lazy as _

from accounts.models import User

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_taken": _("There is already an account with this e-mail address. Log in instead?"),
        "username_taken": _("This user name is taken."),
        "email_password_mismatch": _("The e-mail address or the password is not right."),
        "account_inactive": _("This account is switched off."),
    }

    def clean_username(self, username: str, shallow: bool = False) -> str:
        normal = User.normalize_username(username)
        return str(super().clean_username(normal, shallow=shallow))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Without a mail server the page says what it always says: an error would tell who has an account."""
        try:
            super().send_mail(template_prefix, email, context)
        except OSError as error:
            # The class of smtplib's errors as well; their text, and with it a trace, may hold the address.
            logger.error("mail %s was not sent: %s", template_prefix, type(error).__name__)  # noqa: TRY400
