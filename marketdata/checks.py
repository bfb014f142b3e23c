"""What is wrong with the settings of market data, told before anything starts."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from marketdata.errors import InvalidSymbol
from marketdata.providers import registry
from marketdata.providers.base import Provider
from marketdata.providers.replay import FASTEST, SLOWEST
from marketdata.providers.terms import YAHOO
from marketdata.symbols import canonical

# For programs that ask for these checks only: all checks would import every page.
TAG = "marketdata"
DISPLAY_HINT = (
    "Use the installation for yourself alone, or take a plan that allows it and name it in <PROVIDER>_PLAN; "
    "what each plan allows stands in marketdata/data/plans.toml."
)


@register(TAG)
def providers_exist(**_: Any) -> list[CheckMessage]:
    try:
        registry.configured_names()
    except ImproperlyConfigured as error:
        hint = "Set MARKETDATA_PROVIDERS=replay,simulator, which is the default."
        return [Error(str(error), hint=hint, id="marketdata.E001")]
    return []


@register(TAG)
def providers_can_be_made(**_: Any) -> list[CheckMessage]:
    """A key that is missing, a plan that does not exist; nothing is asked of a vendor."""
    found: list[CheckMessage] = []
    for name in settings.MARKETDATA_PROVIDERS:
        try:
            _made(name)
        except ImproperlyConfigured as error:
            hint = "docs/reference/settings.md says what each provider needs."
            found.append(Error(str(error), hint=hint, id="marketdata.E004"))
    return found


def _made(name: str) -> Provider | None:
    """None for a name that does not exist or a figure out of range: these have checks of their own."""
    try:
        return registry.make(name) if name in registry.FACTORIES else None
    except ValueError:
        return None


@register(TAG)
def yahoo_is_for_personal_use(**_: Any) -> list[CheckMessage]:
    if "yahoo" not in settings.MARKETDATA_PROVIDERS or not settings.YAHOO_ENABLED:
        return []
    hint = "Use it for yourself alone, or take yahoo out of MARKETDATA_PROVIDERS."
    return [Caution(YAHOO, hint=hint, id="marketdata.W001")]


@register(TAG)
def prices_may_be_shown(**_: Any) -> list[CheckMessage]:
    """Of each provider whose plan is for personal use; those that cannot be made are told of elsewhere."""
    found: list[CheckMessage] = []
    for name in settings.MARKETDATA_PROVIDERS:
        try:
            provider = _made(name)
        except ImproperlyConfigured:
            continue
        if provider is not None and not (able := provider.capabilities).display_allowed:
            message = f"{able.label}: prices may not be shown to other people under this plan ({able.plan})."
            found.append(Caution(message, hint=DISPLAY_HINT, id="marketdata.W002"))
    return found


@register(TAG)
def replay_speed_is_possible(**_: Any) -> list[CheckMessage]:
    if SLOWEST <= settings.REPLAY_SPEED <= FASTEST:
        return []
    message = f"REPLAY_SPEED is {settings.REPLAY_SPEED:g}; it must be from {SLOWEST:g} to {FASTEST:g}."
    return [Error(message, hint="1 is real time, 10 makes a day of 39 minutes.", id="marketdata.E002")]


@register(TAG)
def demo_symbols_are_symbols(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for symbol in settings.DEMO_SYMBOLS:
        try:
            spelled = canonical(symbol)
        except InvalidSymbol as error:
            found.append(_demo_symbol_error(symbol, str(error)))
            continue
        if spelled != symbol:
            found.append(_demo_symbol_error(symbol, f"It is spelled {spelled}."))
    return found


def _demo_symbol_error(symbol: str, why: str) -> CheckMessage:
    shown = re.sub(r"[^ -~]", "?", symbol)[:40]
    return Error(f"DEMO_SYMBOLS names {shown!r}. {why}", id="marketdata.E003")
