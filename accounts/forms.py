from __future__ import annotations

from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User

# What the column holds.
LONGEST_EMAIL = 254
# Longer than any password manager makes; a body of megabytes is not hashed.
LONGEST_PASSWORD = 256


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("E-mail address")
        self.fields["username"].label = _("User name")
        self.fields["username"].help_text = _(
            "At least 3 letters, digits or @ . + - _ signs; shown to other people."
        )
        limit_length(self, "email", LONGEST_EMAIL)
        limit_length(self, "password1", LONGEST_PASSWORD)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class LoginForm(AllauthLoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("E-mail address")
        limit_length(self, "password", LONGEST_PASSWORD)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class TimeZoneForm(forms.ModelForm):  # type: ignore[type-arg]
    """A text field with suggestions: browsers search in them, and without a script any name can be written."""

    class Meta:
        model = User
        fields = ["time_zone"]
        widgets = {"time_zone": forms.TextInput(attrs={"list": "time_zones", "autocomplete": "off"})}


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ApiKey
        fields = ["name"]
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "off"})}


def limit_length(form: Any, name: str, length: int) -> None:
    """As a form error: allauth would cut an address that is too long and make an account for the rest."""
    field = form.fields[name]
    field.max_length = length
    field.validators.append(MaxLengthValidator(length))
    field.widget.attrs["maxlength"] = str(length)
