"""Whether an address may be saved as the address of a channel; when it is called, all is looked at again."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from alerts.deliveries import subscription
from alerts.models import ChannelKind
from core import egress
from core.addresses import Refused


def validate(kind: str, address: str) -> None:
    """Raises ValidationError; may ask a name server, for at most three seconds."""
    match ChannelKind(kind):
        case ChannelKind.EMAIL:
            validate_email(address)
        case ChannelKind.BROWSER:
            egress.validate(_endpoint_of(address))
        case _:
            egress.validate(address)


def _endpoint_of(address: str) -> str:
    try:
        return subscription.read(address).endpoint
    except Refused as error:
        raise ValidationError(str(error), code="address") from None
