"""One attempt over HTTP, and what an answer means to every sender: only a 2xx is success."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from alerts.deliveries.base import Message, Outcome
from core import clock, egress
from core.addresses import Refused
from core.egress import Answer, EgressError
from marketdata.payload import time_text
from marketdata.quotes import price_text

# Who asks for more is asked again after a day.
LONGEST_S = 86_400.0
BUSY = (429, 503)


def post(url: str, body: bytes, headers: Mapping[str, str], *, is_gone: Callable[[Answer], bool]) -> Outcome:
    """`is_gone`: whether the answer, which is no success, says that nothing will ever be taken here again."""
    try:
        answer = egress.post(url, body, headers)
    except Refused as error:
        return Outcome.permanent(str(error))
    except EgressError as error:
        return Outcome.retry(str(error))
    if answer.is_success:
        return Outcome.sent()
    if is_gone(answer):
        return Outcome.permanent(
            f"The server answered {answer.status}: it takes nothing at this address any more."
        )
    return Outcome.retry(_words(answer), wanted_pause(answer))


def _words(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return f"The server answered {answer.status}, a redirect; they are not followed."
    return f"The server answered {answer.status}."


def wanted_pause(answer: Answer) -> float | None:
    """Seconds, of a server that is busy and says until when."""
    text = answer.headers.get("retry-after", "").strip()
    if answer.status not in BUSY or not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_S)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    seconds = (until.replace(tzinfo=until.tzinfo or UTC) - clock.now()).total_seconds()
    return min(max(seconds, 0.0), LONGEST_S)


def fields(message: Message) -> dict[str, Any]:
    """A message for programs; JSON values."""
    return {
        "kind": message.kind,
        "priority": message.priority.name.lower(),
        "title": message.title,
        "body": message.body,
        "symbol": message.symbol,
        "current_price": None if message.current_price is None else price_text(message.current_price),
        "created_at": time_text(message.created_at),
        "url": message.url,
        **message.extra,
    }
