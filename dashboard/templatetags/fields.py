"""A form field with what assistive technology needs: help and error tied to the input."""

from __future__ import annotations

from django import template
from django.forms import BoundField
from django.utils.safestring import SafeString

from accounts.tiers import Tier, limits_of

register = template.Library()


@register.simple_tag
def field_input(field: BoundField) -> SafeString:
    parts = [f"{field.auto_id}_help"] if field.help_text else []
    attrs: dict[str, str | bool] = {"class": "input"}
    if field.errors:
        parts.insert(0, f"{field.auto_id}_error")
        attrs["aria-invalid"] = "true"
    if parts:
        attrs["aria-describedby"] = " ".join(parts)
    return field.as_widget(attrs=attrs)


@register.filter
def is_check(field: BoundField) -> bool:
    return getattr(field.field.widget, "input_type", "") == "checkbox"


@register.simple_tag
def free_limit() -> int:
    return limits_of(Tier.FREE).max_tickers
