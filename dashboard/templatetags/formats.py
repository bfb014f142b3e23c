"""The number formats as template filters, and the two pictures that every page repeats."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard import formats

register = template.Library()

register.filter("price", formats.price)
register.filter("signed", formats.signed)
register.filter("percent", formats.percent)
register.filter("volume", formats.volume)
register.filter("age", formats.age)
register.filter("day", formats.day)
register.filter("clock_time", formats.clock_time)
register.filter("window", formats.window)


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """A decorative icon of the sprite; what it means stands in words beside it or in a label."""
    sprite = static("img/icons.svg")
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        classes,
        sprite,
        name,
    )
