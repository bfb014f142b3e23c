"""Dollars as a filter: cents, or as many places as a small amount needs to be seen."""

from __future__ import annotations

from decimal import Decimal

from django import template

from dashboard import formats
from dashboard.costs_page import decimals_of

register = template.Library()


@register.filter
def usd(value: Decimal) -> str:
    return formats.price(value, decimals_of([value]))
