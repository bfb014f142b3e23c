"""What the protocol of OpenAI answers, read with suspicion; and what each failure of it means to us.

Nothing of what a vendor says gets into an error: its words may repeat the question or the key.

What may have been billed counts: where an answer was begun and no usage came with it, the call counts as the most that
it can have used. So the counter can be above the bill, never below it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from core import clock
from summaries.kinds import Outcome
from summaries.llm.base import Answer, Finish, ModelError, Usage

FINISHES = {"length": Finish.LENGTH, "content_filter": Finish.REFUSAL}
OUTCOMES: Mapping[int, Outcome] = {
    HTTPStatus.UNAUTHORIZED: Outcome.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: Outcome.UNAUTHORIZED,
    HTTPStatus.PAYMENT_REQUIRED: Outcome.UNAUTHORIZED,
    HTTPStatus.TOO_MANY_REQUESTS: Outcome.RATE_LIMITED,
    HTTPStatus.REQUEST_TIMEOUT: Outcome.DOWN,
    HTTPStatus.CONFLICT: Outcome.DOWN,
    HTTPStatus.TOO_EARLY: Outcome.DOWN,
}
SAID = {
    Outcome.UNAUTHORIZED: "the key was refused",
    Outcome.RATE_LIMITED: "asked too often",
    Outcome.DOWN: "the server is out of order",
    Outcome.BAD_REQUEST: "the server refused the question",
    Outcome.REFUSED: "the server refused to answer",
    Outcome.USELESS: "the model did not write what was asked for",
}
# By the code of an error, where it says more than the status.
CODES = {
    "json_validate_failed": Outcome.USELESS,  # it wrote, and is billed
    "content_filter": Outcome.REFUSED,
    "content_policy_violation": Outcome.REFUSED,
    "rate_limit_exceeded": Outcome.RATE_LIMITED,
    "insufficient_quota": Outcome.RATE_LIMITED,
    "billing_hard_limit_reached": Outcome.RATE_LIMITED,
}
CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}
# Nobody pays a bill within a minute.
CREDIT_WAIT = timedelta(hours=1)
LONGEST_WAIT = timedelta(days=1)
# More tokens than this are a fault of the server, not a bill.
MOST_TOKENS = 10**9
REQUEST_ID = re.compile(r"[\w.:-]{1,200}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: `body` is None where it is no JSON."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    is_json: bool = True
    """By its content type."""

    @property
    def request_id(self) -> str:
        told = self.headers.get("x-request-id", "")
        return told if REQUEST_ID.fullmatch(told) else ""


def reply_of(status: int, headers: Mapping[str, str], data: bytes) -> Reply:
    lower = {name.lower(): value for name, value in headers.items()}
    body = None
    # Deep nesting and absurd numbers are no JSON to us either.
    with suppress(ValueError, RecursionError):
        body = json.loads(data)
    return Reply(status, lower, body, "json" in lower.get("content-type", "json"))


def answer_of(reply: Reply, most: Usage) -> Answer:
    """Raises ModelError."""
    if reply.status != HTTPStatus.OK:
        raise refusal_of(reply, most)
    body = reply.body
    if not isinstance(body, dict):
        raise _unreadable(reply, most)
    usage = usage_of(body)
    choices = body.get("choices")
    if "error" in body and not choices:
        raise refusal_of(reply, most, usage)
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    return _chosen(choice, usage or most, reply.request_id)


def _chosen(choice: Mapping[str, Any], usage: Usage, request_id: str) -> Answer:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    finish = FINISHES.get(str(choice.get("finish_reason")), Finish.STOP)
    if message.get("refusal"):
        finish = Finish.REFUSAL
    text = _text(message.get("content"))
    if not text and finish is Finish.STOP:
        raise ModelError("the answer is empty", Outcome.USELESS, usage=usage, request_id=request_id)
    return Answer("" if finish is Finish.REFUSAL else text, usage, finish, request_id)


def _text(content: Any) -> str:
    """Some servers give a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _unreadable(reply: Reply, most: Usage) -> ModelError:
    """JSON that broke off was an answer; a page of HTML comes from something that stands before the server."""
    if reply.is_json:
        return ModelError("the answer broke off", Outcome.CUT, usage=most, request_id=reply.request_id)
    return ModelError("something else than the model's server answers", Outcome.DOWN)


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """None where it is missing or cannot be true."""
    told = body.get("usage")
    if not isinstance(told, dict):
        return None
    given, written = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if given is None or written is None:
        return None
    details = told.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(input=given, cached=min(cached or 0, given), output=written)


def _count(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MOST_TOKENS else None


def refusal_of(reply: Reply, most: Usage, usage: Usage | None = None) -> ModelError:
    """What an error of theirs means, also one that comes with status 200."""
    code = error_of(reply.body).get("code")
    status = code if isinstance(code, int) else reply.status
    outcome = CODES.get(str(code)) or outcome_of(status)
    if outcome is Outcome.USELESS:
        usage = usage or most
    said = "the account has no credit left" if code in CREDIT else SAID[outcome]
    return ModelError(
        f"{said} (status {reply.status})",
        outcome,
        usage=usage,
        retry_at=_retry_at(reply.headers, str(code), outcome),
        request_id=reply.request_id,
    )


def outcome_of(status: int) -> Outcome:
    is_ours = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return OUTCOMES.get(status) or (Outcome.BAD_REQUEST if is_ours else Outcome.DOWN)


def error_of(body: Any) -> Mapping[str, Any]:
    """The object that tells it; servers differ in how deep it stands."""
    if isinstance(body, dict):
        inner = body.get("error", body)
        return inner if isinstance(inner, dict) else {"message": str(inner)}
    return {}


def _retry_at(headers: Mapping[str, str], code: str, outcome: Outcome) -> datetime | None:
    now = clock.now()
    wait = _wait(headers, now)
    if wait is None:
        return now + CREDIT_WAIT if code in CREDIT else None
    return now + wait if outcome in {Outcome.RATE_LIMITED, Outcome.DOWN} else None


def _wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Retry-After is seconds or a date; one that is no use is as good as none."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(ValueError):
            seconds = float(headers.get(name, "")) * unit
            if math.isfinite(seconds):
                return timedelta(seconds=min(max(seconds, 0.0), LONGEST_WAIT.total_seconds()))
    with suppress(ValueError, TypeError, OverflowError):
        until = parsedate_to_datetime(headers["retry-after"]) if "retry-after" in headers else None
        if until is not None:
            aware = until if until.tzinfo else until.replace(tzinfo=UTC)
            return min(max(aware - now, timedelta()), LONGEST_WAIT)
    return None
