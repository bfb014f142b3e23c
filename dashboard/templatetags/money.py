"""Dollars as a filter: cents, more places where a small amount needs them, none where a big one does not."""

from __future__ import annotations

from decimal import Decimal

from django import template

from dashboard import formats
from dashboard.cost_rows import decimals_of

register = template.Library()

WITHOUT_CENTS = 10_000


@register.filter
def usd(value: Decimal) -> str:
    return formats.price(value, 0 if value >= WITHOUT_CENTS else decimals_of([value]))
