"""Incoming webhooks of chats, in the shape of Slack (which Mattermost and others take too) and of Discord.

What a message says is shown as it is: no formatting, no mention, no link but ours. A zero-width space after an @ and
within :// keeps programs from making people ring and addresses clickable.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from alerts.deliveries.base import Message, Outcome
from alerts.deliveries.posting import post
from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind
from core import json
from core.egress import Answer
from marketdata.payload import time_text

HEADERS = {"Content-Type": "application/json"}
GONE = (404, 410)
# What Slack says, as text, of a webhook that is over, with 403 as well as with 404.
OVER = (
    b"no_service",
    b"no_service_id",
    b"no_active_hooks",
    b"no_team",
    b"team_disabled",
    b"channel_is_archived",
)
# Discord's numbers for an unknown webhook and for a wrong token in its address.
UNKNOWN = (10015, 50027)
SLACK_TITLE, SLACK_TEXT = 150, 2_900
DISCORD_TITLE, DISCORD_TEXT, DISCORD_CONTENT = 250, 4_000, 1_900
COLOURS = {
    Priority.CRITICAL: 0xC62828,
    Priority.HIGH: 0xE07B00,
    Priority.MEDIUM: 0x1F6FEB,
    Priority.LOW: 0x7A7F87,
}
MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in r"\*_~`|#[]<>"})


def send(channel: Channel, message: Message) -> Outcome:
    is_slack = channel.kind == ChannelKind.SLACK.value
    body = slack(message) if is_slack else discord(message)
    return post(
        channel.address, json.dumps_bytes(body), HEADERS, is_gone=_slack_gone if is_slack else _discord_gone
    )


def slack(message: Message) -> dict[str, Any]:
    title, text = _quiet(message.title), _quiet(message.body)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(_cut(title, SLACK_TITLE))}]
    if text:
        blocks.append({"type": "section", "text": _plain(_cut(text, SLACK_TEXT))})
    link = {"type": "mrkdwn", "text": f"<{message.url}|Open in Onetape>"}
    blocks.append({"type": "context", "elements": [link]})
    return {
        "text": _entities(_cut(title, SLACK_TITLE)),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def discord(message: Message) -> dict[str, Any]:
    embed: dict[str, Any] = {
        "title": _escaped(message.title, DISCORD_TITLE),
        "description": _escaped(message.body, DISCORD_TEXT),
        "timestamp": time_text(message.created_at),
        "color": COLOURS[message.priority],
    }
    if "." in (
        urlsplit(message.url).hostname or ""
    ):  # it refuses a message with any other, such as localhost
        embed["url"] = message.url
    content = _escaped(message.title, DISCORD_CONTENT)
    return {"content": content, "embeds": [embed], "allowed_mentions": {"parse": []}}


def _escaped(text: str, most: int) -> str:
    """Not cut between a backslash and what it escapes."""
    escaped = _quiet(text).translate(MARKDOWN)
    if len(escaped) <= most:
        return escaped
    kept = escaped[: most - 1]
    odd = (len(kept) - len(kept.rstrip("\\"))) % 2
    return f"{kept[: len(kept) - odd]}…"


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _quiet(text: str) -> str:
    return text.replace("@", "@\u200b").replace("://", ":\u200b//")


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _slack_gone(answer: Answer) -> bool:
    return answer.status in GONE or (400 <= answer.status < 500 and answer.body.strip() in OVER)


def _discord_gone(answer: Answer) -> bool:
    return answer.status in GONE or _number_of(answer) in UNKNOWN


def _number_of(answer: Answer) -> object:
    try:
        said = json.loads(answer.body)
    except json.InvalidJSON:
        return None
    return said.get("code") if isinstance(said, dict) else None
