from __future__ import annotations

import json

import pytest

from alerts.deliveries.base import Outcome, sender_of
from alerts.kinds import Priority
from alerts.models import ChannelKind
from tests.alerts.deliveries.messages import channel, message
from tests.sinks import reply, sink

KINDS = [ChannelKind.SLACK, ChannelKind.DISCORD]
HOSTILE = "<!everyone> @everyone <@U1> [gift](https://evil.example) <https://evil.example|bank> & *b* `c` # h"


def send(kind, address, **fields) -> Outcome:
    return sender_of(kind).send(channel(kind, address), message(**fields))


def sent(kind, **fields):
    with sink(reply(body=b"ok")) as one:
        assert send(kind, one.url, **fields) == Outcome.sent()
        return json.loads(one.next().body)


def answered(kind, said) -> Outcome:
    with sink(said) as one:
        return send(kind, one.url)


def test_slack_gets_text_and_blocks():
    assert sent(ChannelKind.SLACK) == {
        "text": "AAPL crossed above 190.00",
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": "AAPL crossed above 190.00", "emoji": False},
            },
            {
                "type": "section",
                "text": {
                    "type": "plain_text",
                    "text": "190.02 at 14:31:05, regular session.",
                    "emoji": False,
                },
            },
            {
                "type": "context",
                "elements": [
                    {
                        "type": "mrkdwn",
                        "text": "<https://onetape.example.com/notifications/17/|Open in Onetape>",
                    }
                ],
            },
        ],
    }


def test_discord_gets_content_and_an_embed_and_mentions_nobody():
    assert sent(ChannelKind.DISCORD) == {
        "content": "AAPL crossed above 190.00",
        "embeds": [
            {
                "title": "AAPL crossed above 190.00",
                "description": "190.02 at 14:31:05, regular session.",
                "url": "https://onetape.example.com/notifications/17/",
                "timestamp": "2026-11-20T19:31:05.120Z",
                "color": 0xE07B00,
            }
        ],
        "allowed_mentions": {"parse": []},
    }


def test_discord_gets_no_link_that_it_would_refuse():
    (embed,) = sent(ChannelKind.DISCORD, url="http://localhost:8000/notifications/17/")["embeds"]

    assert "url" not in embed


def test_a_message_without_a_body_has_no_empty_block():
    assert [block["type"] for block in sent(ChannelKind.SLACK, body="")["blocks"]] == ["header", "context"]


def test_slack_shows_hostile_text_as_it_is():
    got = sent(ChannelKind.SLACK, title=HOSTILE)

    assert got["text"].startswith("&lt;!everyone&gt; @\u200beveryone &lt;@\u200bU1&gt;")
    assert "://" not in got["text"]
    assert "&amp;" in got["text"]
    # Slack escapes nothing within plain text.
    assert got["blocks"][0]["text"]["text"].startswith("<!everyone> @\u200beveryone <@\u200bU1>")


def test_discord_shows_hostile_text_as_it_is():
    got = sent(ChannelKind.DISCORD, title=HOSTILE, body=HOSTILE)

    for text in (got["content"], got["embeds"][0]["title"], got["embeds"][0]["description"]):
        assert text.startswith(
            "\\<!everyone\\> @\u200beveryone \\<@\u200bU1\\> \\[gift\\](https:\u200b//evil"
        )
        assert "\\*b\\* \\`c\\` \\# h" in text


@pytest.mark.parametrize("kind", KINDS)
def test_long_texts_are_cut_to_what_the_chat_takes(kind):
    got = sent(kind, title="*" * 200, body="*" * 10_000)

    if kind == ChannelKind.SLACK:
        assert [len(block["text"]["text"]) for block in got["blocks"][:2]] == [150, 2_900]
    else:
        (embed,) = got["embeds"]
        assert [len(got["content"]), len(embed["title"]), len(embed["description"])] == [400, 249, 3_999]
        assert embed["title"].endswith("\\*…")


def test_urgency_has_a_colour():
    colours = {sent(ChannelKind.DISCORD, priority=one)["embeds"][0]["color"] for one in Priority}

    assert len(colours) == len(Priority)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [404, 410])
def test_a_webhook_that_is_gone_is_for_ever(kind, status):
    assert answered(kind, reply(f"{status} Gone")).is_permanent


@pytest.mark.parametrize("word", ["no_service", "no_team", "channel_is_archived"])
def test_slack_says_in_words_that_a_webhook_is_over(word):
    assert answered(ChannelKind.SLACK, reply("403 Forbidden", word.encode())).is_permanent


@pytest.mark.parametrize(("status", "code"), [("404 Not Found", 10015), ("401 Unauthorized", 50027)])
def test_discord_says_by_number_that_a_webhook_is_over(status, code):
    body = json.dumps({"message": "Unknown Webhook", "code": code}).encode()

    assert answered(ChannelKind.DISCORD, reply(status, body)).is_permanent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("400 Bad", b"invalid_payload"),
        ("403 Forbidden", b"action_prohibited"),
        ("401 Unauthorized", b'{"code": 0}'),
        ("400 Bad", b"[10015]"),
        ("500 Oops", b"no_service"),
        ("302 Found", b""),
    ],
)
def test_anything_else_is_tried_again(kind, status, body):
    outcome = answered(kind, reply(status, body))

    assert (outcome.is_sent, outcome.is_permanent) == (False, False)


@pytest.mark.parametrize("kind", KINDS)
def test_who_sends_too_much_waits(kind):
    said = reply("429 Too Many", b'{"retry_after": 3.2}', Retry_After="4")

    assert answered(kind, said) == Outcome.retry("The server answered 429.", 4.0)
