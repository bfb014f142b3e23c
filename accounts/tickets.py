"""Tickets: who is logged in gets one over HTTP and opens one live connection with it, from anywhere, within a minute.

A ticket stands in an address, and addresses are logged: so it works once, soon, and for nothing else. Redis holds its
hash only. Whether the login has ended meanwhile is found where all open connections are checked again.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Collection
from dataclasses import asdict
from hashlib import sha256

import orjson

from accounts.credentials import Login
from core.redis import client

LIFETIME_S = 60
BYTES = 32
TEXT = re.compile(r"[A-Za-z0-9_-]{43}")


def issue(login: Login) -> str:
    """A new ticket for this login; raises RedisError."""
    said = orjson.dumps(asdict(login))
    while True:
        ticket = secrets.token_urlsafe(BYTES)
        # A second try after a lost answer finds its own first one: a fresh ticket then, never somebody else's.
        if client().set(_key(ticket), said, nx=True, ex=LIFETIME_S):
            return ticket


def redeem(tickets: Collection[str]) -> dict[str, Login]:
    """The logins of those that exist, in one round trip; each is gone afterwards. Raises RedisError."""
    asked = [ticket for ticket in dict.fromkeys(tickets) if TEXT.fullmatch(ticket)]
    if not asked:
        return {}
    pipeline = client().pipeline(transaction=False)
    for ticket in asked:
        pipeline.getdel(_key(ticket))
    return {
        ticket: _login(said)
        for ticket, said in zip(asked, pipeline.execute(), strict=True)
        if said is not None
    }


def _key(ticket: str) -> str:
    return f"ticket:{sha256(ticket.encode()).hexdigest()}"


def _login(said: bytes) -> Login:
    fields = orjson.loads(said)
    return Login(**{**fields, "user_id": uuid.UUID(fields["user_id"])})
