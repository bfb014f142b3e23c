"""Forms of a channel: adding one, and how it is used. What may stand in them is judged by `alerts.channels`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from alerts.errors import InvalidRule
from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind

# A browser is added by the browser itself.
TYPED_KINDS = (ChannelKind.EMAIL, ChannelKind.WEBHOOK, ChannelKind.SLACK, ChannelKind.DISCORD)
PRIORITIES = (
    (Priority.LOW, "Everything"),
    (Priority.MEDIUM, "Medium and above"),
    (Priority.HIGH, "High and critical"),
    (Priority.CRITICAL, "Critical only"),
)


class Refusing(forms.Form):
    use_required_attribute = False

    def refuse(self, error: InvalidRule) -> None:
        for name, said in error.errors.items():
            self.add_error(name if name in self.fields else None, said.message)


class NewChannelForm(Refusing):
    kind = forms.ChoiceField(
        label="Kind", choices=[(one.value, one.label) for one in TYPED_KINDS], required=False
    )
    address = forms.CharField(
        label="Address",
        required=False,
        max_length=2000,
        help_text="An e-mail address, or the address (https or http) that your server or chat gave you.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    name = forms.CharField(
        label="Name", required=False, max_length=200, help_text="As you call it; may stay empty.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip

    @property
    def fields_of_channel(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if value}


class ChannelForm(Refusing):
    name = forms.CharField(label="Name", required=False, max_length=200)
    lowest_priority = forms.ChoiceField(
        label="Sends", choices=[(one.name.lower(), words) for one, words in PRIORITIES], required=False
    )
    quiet_from = forms.TimeField(
        label="Quiet from", required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    quiet_until = forms.TimeField(
        label="Quiet until", required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    quiet_lets_critical = forms.BooleanField(label="Critical ones come in quiet hours too", required=False)
    digest_above = forms.CharField(
        label="Digest above",
        required=False,
        max_length=20,
        help_text="More messages a minute than this become one; 0: never.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    failover = forms.ChoiceField(
        label="If it fails, send to", required=False, help_text="When it is given up or switched off."
    )

    def __init__(self, channel: Channel, others: Iterable[Channel], data: Any = None) -> None:
        super().__init__(data, initial=initial_of(channel))
        choice = self.fields["failover"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [("", "Nothing else"), *((str(one.pk), one.name) for one in others)]

    @property
    def fields_of_channel(self) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        for name in ("quiet_from", "quiet_until"):
            given[name] = given[name].strftime("%H:%M") if given[name] else None
        return {**given, "failover": given["failover"] or None}


def initial_of(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "lowest_priority": Priority(channel.lowest_priority).name.lower(),
        "quiet_from": channel.quiet_from,
        "quiet_until": channel.quiet_until,
        "quiet_lets_critical": channel.quiet_lets_critical,
        "digest_above": str(channel.digest_above),
        "failover": str(channel.failover_id or ""),
    }
