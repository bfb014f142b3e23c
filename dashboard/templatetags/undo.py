"""What a message of the page can undo."""

from __future__ import annotations

from django import template

from dashboard.alert_acts import UNDO

register = template.Library()


@register.filter
def alerts_to_restore(tags: str) -> list[str]:
    """Ids of deleted alerts; none where the message is about something else."""
    return tags.removeprefix(UNDO).split(",") if tags.startswith(UNDO) else []
