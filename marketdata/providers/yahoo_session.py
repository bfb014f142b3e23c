"""Yahoo's way in: a cookie from one host, then a crumb for it from another; both go with each request for quotes.

They are no secrets of ours, but whoever has them asks in our name, so they are told to nobody either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from core import clock, http
from core.http import Answer
from marketdata import metering
from marketdata.errors import Kind, Malformed, ProviderDown, ProviderError, RateLimited, Unauthorized
from marketdata.metering import Call

# Both steps together leave most of the five seconds of a quote to the quotes themselves.
STEP_S = 1.0
LONGEST_CRUMB = 64
# A ban lasts from minutes to a day, and ends the later the more is asked meanwhile.
BAN = timedelta(minutes=15)
# Names no browser that we are not; without the first word nothing is answered.
USER_AGENT = "Mozilla/5.0 (compatible; onetape)"
# Several cookies come joined by commas, which also stand in their dates.
_NEXT_COOKIE = re.compile(r",\s*(?=[A-Za-z0-9_.-]+=)")


@dataclass(frozen=True, slots=True)
class Pass:
    """A cookie and the crumb that belongs to it."""

    cookie: str = field(repr=False)
    crumb: str = field(repr=False)


async def obtain(cookie_url: str, base_url: str, plan: str) -> Pass:
    """Two requests, each noted as a call; raises ProviderError."""
    answer = await _step(cookie_url, {}, plan)
    cookie = cookies_of(answer.headers.get("set-cookie", ""))
    if not cookie:
        raise ProviderDown("yahoo gives no cookie")
    answer = await _step(f"{base_url}/v1/test/getcrumb", {"Cookie": cookie}, plan)
    return Pass(cookie, answer.body.decode())


def cookies_of(text: str) -> str:
    """`a=1; b=2` of one or more Set-Cookie headers."""
    pairs = (one.partition(";")[0].strip() for one in _NEXT_COOKIE.split(text))
    return "; ".join(pair for pair in pairs if "=" in pair)


async def _step(url: str, headers: Mapping[str, str], plan: str) -> Answer:
    call = Call("yahoo", "session", clock.now(), Kind.TRANSIENT, plan=plan)
    began = clock.monotonic()
    try:
        answer = await http.get(url, headers={"User-Agent": USER_AGENT, **headers}, budget_s=STEP_S)
    except http.HttpError as error:
        metering.note(replace(call, took_s=clock.monotonic() - began))
        raise ProviderDown(f"yahoo: {error}") from None
    refusal = _refusal_of(answer, is_crumb=bool(headers))
    metering.note(
        replace(
            call,
            kind=refusal.kind if refusal else Kind.OK,
            status=answer.status,
            bytes=len(answer.body),
            took_s=answer.took_s,
        )
    )
    if refusal:
        raise refusal
    return answer


def _refusal_of(answer: Answer, *, is_crumb: bool) -> ProviderError | None:
    """The page that gives the cookie is a 404; a crumb is a short word, and "Too Many Requests" is none."""
    if answer.status == 429 or b"too many requests" in answer.body[:200].lower():
        return RateLimited("yahoo asks us to wait", retry_at=clock.now() + BAN)
    if answer.status >= 500:
        return ProviderDown(f"yahoo answered {answer.status}")
    if not is_crumb:
        return None
    if answer.status in {401, 403}:
        return Unauthorized("yahoo refuses our cookie")
    is_word = re.fullmatch(rb"[!-;=-~]{1,%d}" % LONGEST_CRUMB, answer.body) is not None
    return None if answer.status == 200 and is_word else Malformed("yahoo gives no crumb")
