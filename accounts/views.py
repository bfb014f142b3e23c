from __future__ import annotations

from typing import Any, cast

from allauth.account.views import SignupView as AllauthSignupView
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _


class SignupView(AllauthSignupView):  # type: ignore[misc]
    """Sign-up where of two people who want one name at once the slower gets a form error."""

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                return cast(HttpResponse, super().form_valid(form))
        except IntegrityError:
            form.full_clean()  # now it sees the row that was faster
            if form.is_valid():
                form.add_error(None, _("Somebody else was faster. Please try again."))
            return cast(HttpResponse, self.form_invalid(form))
