"""What one connection may stream, asked as `subscriptions.granting` asks for many."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from subscriptions import streaming
from subscriptions.streaming import Grant


def grant(user_id: uuid.UUID | None, symbols: Sequence[str]) -> Grant:
    (answer,) = streaming.grant_many([(user_id, symbols)])
    if isinstance(answer, BaseException):
        raise answer
    streaming.take_places(user_id, answer)
    return answer
