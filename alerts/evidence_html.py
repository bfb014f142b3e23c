"""The evidence of one fire for the administration: what decided, when each step was done, and whether it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from alerts import evidence, quality
from alerts.admin_search import delay_text, moment_text
from alerts.conditions import moment
from alerts.models import Delivery, Trigger
from alerts.wording import describe

VERDICTS = {True: "Yes", False: "No", None: "What was kept cannot be read any more"}
# Of a kept tick; times are microseconds.
TIMES = ("as_of", "received")


def sentence(trigger: Trigger) -> str:
    """Of the rule as it was."""
    try:
        return describe(evidence.rule_of(trigger.rule))
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return "–"


def verdict(trigger: Trigger) -> str:
    return VERDICTS[quality.bears_out(trigger)]


def tick_table(kept: dict[str, Any] | None) -> str:
    if not kept:
        return "–"
    return _table((name.replace("_", " "), _value(name, value)) for name, value in kept.items())


def _value(name: str, value: Any) -> str:
    if name in TIMES and isinstance(value, int):
        return moment_text(moment(value))
    return str(value)


def plain(kept: Any) -> str:
    return format_html("<pre>{}</pre>", json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False))


def steps(trigger: Trigger, deliveries: list[Delivery]) -> str:
    """Each with what it took since the one before; what was sent, since the commit."""
    return _table(_steps(trigger, deliveries))


def _steps(trigger: Trigger, deliveries: list[Delivery]) -> Iterator[tuple[str, str]]:
    before: datetime | None = None
    for name in ("exchange", "received", "evaluated", "committed"):
        at = getattr(trigger, f"{name}_at")
        yield name, moment_text(at) if before is None else f"{moment_text(at)} (+{delay_text(before, at)})"
        before = at or before
    for delivery in deliveries:
        after = delay_text(trigger.committed_at, delivery.sent_at)
        words = (
            f"{moment_text(delivery.sent_at)} (+{after})"
            if delivery.sent_at
            else delivery.get_state_display()
        )
        yield f"to {delivery.channel.label}", words


def _table(rows: Any) -> SafeString:
    lines = format_html_join("", "<tr><th>{}</th><td>{}</td></tr>", rows)
    return format_html("<table>{}</table>", lines)
