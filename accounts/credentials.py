"""Who is connecting: sessions of the pages and API keys of programs, many at a time in a fixed number of queries.

The only place that knows when a login is over: logged out, run out, another password, account switched off, key
revoked.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth import SESSION_KEY as USER_KEY
from django.contrib.sessions.models import Session
from django.utils.crypto import constant_time_compare

from accounts.models import ApiKey, User
from core import clock

# Anything else in a cookie is no key of ours, and some of it PostgreSQL cannot take as text.
SESSION_KEY_TEXT = re.compile(r"[0-9a-z]{8,40}")


@dataclass(frozen=True, slots=True)
class Login:
    """How somebody came in; without a session and without a key it lasts as long as the account is active.

    `tier` is the one of that moment: `still_valid` answers with the user as it is now.
    """

    user_id: uuid.UUID
    tier: str
    session_key: str = field(default="", repr=False)
    api_key_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a session holds: whom it has logged in, and the hash that a new password invalidates."""

    user_id: uuid.UUID | None
    hash: str


# --- coming in


def by_sessions(keys: Collection[str]) -> dict[str, Login]:
    """The logins of these session keys, in two queries; without those where nobody is logged in."""
    proofs = _proofs(keys)
    users = _active_users({proof.user_id for proof in proofs.values() if proof.user_id})
    hashes = _session_hashes(users.values())
    return {
        key: Login(users[proof.user_id].pk, users[proof.user_id].tier, session_key=key)
        for key, proof in proofs.items()
        if proof.user_id in users and _matches(proof, proof.user_id, hashes)
    }


def by_api_keys(texts: Collection[str]) -> dict[str, Login]:
    """The logins of these keys; without what is no key, unknown, revoked, or of an account that is switched off."""
    return {text: login_of(key) for text, key in api_keys(texts).items()}


def login_of(key: ApiKey) -> Login:
    return Login(key.user_id, key.user.tier, api_key_id=key.pk)


def api_keys(texts: Collection[str]) -> dict[str, ApiKey]:
    """The usable keys of these texts with their users, in one query; and once a minute one more: they are used.

    A key is found by its hash. How long the index takes could tell something about the hash of what was sent, which
    nobody can steer, and nothing about a key, so there is no comparison that has to take constant time.
    """
    hashes = {ApiKey.hash_of(text): text for text in texts if ApiKey.is_text(text)}
    if not hashes:
        return {}
    found = list(ApiKey.objects.usable().filter(hash__in=hashes).select_related("user"))
    now = clock.now()
    if unsaid := [key.pk for key in found if key.is_use_unsaid(now)]:
        ApiKey.objects.touch(unsaid, now)
    return {hashes[key.hash]: key for key in found}


# --- staying


def still_valid(logins: Collection[Login]) -> dict[Login, User]:
    """Those of these logins that are not over, with their users as they are now; at most three queries."""
    users = _active_users({login.user_id for login in logins})
    hashes = _session_hashes(users.values())
    proofs = _proofs({login.session_key for login in logins})
    owners = _owners({login.api_key_id for login in logins if login.api_key_id is not None})
    return {
        login: users[login.user_id]
        for login in logins
        if login.user_id in users
        and (not login.session_key or _matches(proofs.get(login.session_key), login.user_id, hashes))
        and (login.api_key_id is None or owners.get(login.api_key_id) == login.user_id)
    }


def _active_users(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, User]:
    return User.objects.filter(is_active=True).in_bulk(ids) if ids else {}


def _owners(api_key_ids: Collection[int]) -> dict[int, uuid.UUID]:
    if not api_key_ids:
        return {}
    return dict(ApiKey.objects.usable().filter(pk__in=api_key_ids).values_list("pk", "user_id"))


# --- sessions


def _matches(
    proof: _Proof | None, user_id: uuid.UUID | None, hashes: Mapping[uuid.UUID, Collection[str]]
) -> bool:
    if proof is None or user_id is None or proof.user_id != user_id:
        return False
    return any(constant_time_compare(proof.hash, one) for one in hashes[user_id])


def _session_hashes(users: Iterable[User]) -> dict[uuid.UUID, list[str]]:
    """What a session of each user has to hold; with more than one while the site changes its secret key."""
    return {user.pk: [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()] for user in users}


def _proofs(session_keys: Collection[str]) -> dict[str, _Proof]:
    keys = {key for key in session_keys if SESSION_KEY_TEXT.fullmatch(key)}
    if not keys:
        return {}
    rows = Session.objects.filter(session_key__in=keys, expire_date__gt=clock.now())
    return {key: _decoded(data) for key, data in rows.values_list("session_key", "session_data")}


@lru_cache(maxsize=10_000)
def _decoded(session_data: str) -> _Proof:
    """The same text is the same login: nothing to decode anew every 20 s."""
    data = Session(session_data=session_data).get_decoded()
    return _Proof(_uuid(data.get(USER_KEY)), str(data.get(HASH_SESSION_KEY, "")))


def _uuid(text: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
