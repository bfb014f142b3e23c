"""Who may come in: many at a time, since after a restart everybody comes at once.

A login is found by what the connection brings (a session's cookie with the right Origin, an API key in the
`Authorization` header, or a ticket), and counted against the user's limit of connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit
from weakref import WeakKeyDictionary

from django.conf import settings
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from accounts import credentials, tickets
from accounts.credentials import Login
from accounts.tiers import limits_of
from core.batching import Batched
from core.database import in_thread
from subscriptions.cadence import Mode
from subscriptions.errors import Refused

API_KEY_SCHEME = "api-key"
"""`Authorization: Api-Key …`"""


@dataclass(frozen=True)
class Brought:
    """What a connection says of itself. At most one of the last three is told."""

    origin: str = ""
    host: str = ""
    session_key: str = ""
    api_key: str = ""
    ticket: str = ""

    @property
    def has_own_login(self) -> bool:
        """One that no browser sends by itself."""
        return bool(self.api_key or self.ticket)


def brought_by(scope: Mapping[str, Any]) -> Brought:
    """From the handshake; raises Refused("not_authenticated") for a header that is no login of ours."""
    headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    origin = headers.get("origin", "") if len(origins) == 1 else ""  # no browser says two
    host = headers.get("host", "")
    query = parse_qs(scope["query_string"].decode("latin1"))
    if ticket := query.get("ticket"):
        return Brought(origin, host, ticket=ticket[0])
    if said := headers.get("authorization"):
        scheme, _, value = said.partition(" ")
        if scheme.lower() != API_KEY_SCHEME or not value.strip():
            raise Refused("not_authenticated", "Send Authorization: Api-Key and your key.")
        return Brought(origin, host, api_key=value.strip())
    return Brought(origin, host, session_key=_session_key(headers.get("cookie", "")))


def _session_key(cookies: str) -> str:
    """As Django reads it: one strange cookie of another program does not hide ours."""
    return parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME, "")


def is_ours(origin: str, host: str) -> bool:
    """Whether a page with this origin may use the cookies of our visitors: it has to be a page of this very site.

    Channels' own check lets any port of an allowed host pass; another port is another program.
    """
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or origin.lower() != f"{parts.scheme}://{parts.netloc}".lower():
        return False
    if any(_covers(urlsplit(trusted), parts) for trusted in settings.CSRF_TRUSTED_ORIGINS):
        return True
    if settings.SESSION_COOKIE_SECURE and parts.scheme != "https":
        return False
    name, _ = split_domain_port(parts.netloc)  # "" for one with a user, which no browser says
    same = parts.netloc.lower() == host.lower()
    return same and bool(name) and validate_host(name, settings.ALLOWED_HOSTS)


def _covers(trusted: SplitResult, origin: SplitResult) -> bool:
    """As Django reads the setting: `https://*.example.com` is every host below it."""
    same = is_same_domain(origin.netloc.lower(), trusted.netloc.lower().removeprefix("*"))
    return same and trusted.scheme == origin.scheme


async def login_of(brought: Brought) -> Login | None:
    """None is a visitor. Raises Refused("not_authenticated"), or what means that a server is away."""
    if brought.api_key or brought.ticket:
        asked = _api_keys if brought.api_key else _tickets
        login = await asked().ask(brought.api_key or brought.ticket)
        if login is None:
            what = "API key" if brought.api_key else "ticket"
            raise Refused("not_authenticated", f"This {what} is not valid, or not any more.")
        return login
    return await _sessions().ask(brought.session_key) if brought.session_key else None


async def login_of_api_key(text: str) -> Login | None:
    """For protocols that bring the key in a message. Raises what means that a server is away."""
    return await _api_keys().ask(text)


def fastest_of(login: Login) -> Mode:
    return Mode(limits_of(login.tier).fastest)


# --- many at a time, one question each per loop


async def _redeem(keys: Sequence[str]) -> list[Login | None]:
    """A ticket opens one connection, also where several come with it at once; and only while its login lasts."""
    found = await in_thread(_redeemed, set(keys))
    return [found.pop(key, None) for key in keys]


def _redeemed(asked: set[str]) -> dict[str, Login]:
    found = tickets.redeem(asked)
    valid = credentials.still_valid(set(found.values())) if found else {}
    # The tier is today's: limits are counted by it.
    return {
        ticket: replace(login, tier=valid[login].tier) for ticket, login in found.items() if login in valid
    }


async def _answer(ask: Callable[[set[str]], Mapping[str, Login]], keys: Sequence[str]) -> list[Login | None]:
    found = await in_thread(ask, set(keys))
    return [found.get(key) for key in keys]


Logins = Batched[str, Login | None]
_made: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Logins]] = WeakKeyDictionary()


def _batched(name: str, ask: Callable[[Sequence[str]], Awaitable[list[Login | None]]]) -> Logins:
    of_loop = _made.setdefault(asyncio.get_running_loop(), {})
    if name not in of_loop:
        of_loop[name] = Batched(ask)
    return of_loop[name]


def _sessions() -> Logins:
    return _batched("sessions", partial(_answer, credentials.by_sessions))


def _api_keys() -> Logins:
    return _batched("api_keys", partial(_answer, credentials.by_api_keys))


def _tickets() -> Logins:
    return _batched("tickets", _redeem)
