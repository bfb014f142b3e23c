"""The socket `/ws/v1/stream`: authenticates and translates, nothing else. The protocol: docs/reference/stream.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from redis.exceptions import ResponseError

from accounts.credentials import Login
from core import clock, metrics
from core.outages import OUTAGES
from marketdata.errors import InvalidSymbol
from marketdata.payload import quote_payload
from marketdata.symbols import canonical
from subscriptions import admission
from subscriptions.cadence import SAYABLE, Mode, Why
from subscriptions.errors import Refused, TierLimit
from subscriptions.feeds import Position
from subscriptions.hub import hub
from subscriptions.sockets import Socket, unavailable
from subscriptions.states import NOWHERE, Recovery
from subscriptions.streaming import Grant

# More in one message is a mistake or worse; nobody's tier allows it.
MAX_SYMBOLS = 100
# ResponseError: Redis cannot write to its disk.
HINDRANCES: tuple[type[Exception], ...] = (Refused, *OUTAGES, ResponseError)
TYPES = ("subscribe", "unsubscribe", "follow", "cadence", "ack")
# Of notifications that a client names as seen.
MAX_SEEN = 500
# No tape has ever counted so far; JSON's numbers end somewhere too.
LARGEST_NUMBER = 2**53


class StreamSocket(Socket):
    """One browser or program."""

    _login: Login | None = None
    _hindrance: Exception | None = None

    async def let_in(self) -> bool:
        """Whoever comes without a login of its own has to come from one of our pages: cookies go with any page."""
        try:
            brought = admission.brought_by(self.scope)
            if not brought.has_own_login and not admission.is_ours(brought.origin, brought.host):
                return False
            self._login = await admission.login_of(brought)
        except HINDRANCES as hindrance:
            self._hindrance = hindrance  # told once it is accepted: before, nobody could read it
        return True

    async def opened(self) -> None:
        if self._hindrance is not None:
            raise self._hindrance
        await self.admit(self._login)

    async def received(self, text: str | None, data: bytes | None) -> None:
        if not self.admitted:
            return
        request = _Request()
        try:
            request.read(text)
            await self._do(request.kind, request.fields)
        except TierLimit as limit:
            self.refuse(Refused("tier_limit", str(limit), limit.symbols), request.id)
        except Refused as refused:
            self.refuse(refused, request.id)
        except OUTAGES:
            symbols = [one for one in request.fields.get("symbols", ()) if isinstance(one, str)]
            self.refuse(unavailable(symbols), request.id)

    async def _do(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "subscribe":
            await self._subscribe(fields)
        elif kind == "unsubscribe":
            await self._unsubscribe(fields)
        elif kind == "follow":
            await self._follow(fields)
        elif kind == "cadence":
            self._pace(fields)
        else:
            self._acknowledge(fields)

    # --- what is followed

    async def _subscribe(self, fields: dict[str, Any]) -> None:
        symbols, resume = _symbols(fields), positions(fields.get("resume"))
        granted = await self.grant(symbols)
        quotes = await hub().follow(self.client, granted.symbols)
        recovery = hub().recovery(granted.symbols, resume, quotes)
        if resume:
            metrics.recoveries.labels(recovered=str(not recovery.gaps).lower()).inc()
        payloads = [quote_payload(quote) for quote in quotes.values()]
        self.send(subscribed(fields.get("id"), granted.symbols, payloads, recovery, resumed=bool(resume)))
        hub().tell_stale(self.client, granted.symbols)
        self._tell_fastest()
        _complain(granted)

    def _tell_fastest(self) -> None:
        """Once, where the tier makes it slower than anybody would expect."""
        if self.client.told is None and self.client.cadence.effective[0] is not Mode.LIVE:
            self.client.tell_cadence()

    async def _unsubscribe(self, fields: dict[str, Any]) -> None:
        symbols = [symbol for symbol in _symbols(fields) if symbol in self.client.symbols]
        await self.give_up(symbols)
        await hub().unfollow(self.client, symbols)
        self.send(_json({"type": "unsubscribed", "id": fields.get("id"), "symbols": symbols}))

    # --- what is told by itself

    async def _follow(self, fields: dict[str, Any]) -> None:
        if fields.get("notifications") is not True:
            raise Refused("bad_message", "What can be followed is notifications: true.")
        since, seen = fields.get("since"), fields.get("seen", [])
        if not (since is None or _is_number(since)):
            raise Refused("bad_message", "since is the id of the last notification that you have.")
        if not isinstance(seen, list) or len(seen) > MAX_SEEN or not all(map(_is_number, seen)):
            raise Refused("bad_message", f"seen is a list of at most {MAX_SEEN} ids of notifications.")
        if self.client.login is None:
            raise Refused("login_required", "Log in to be told of notifications.")
        await hub().people.follow(self.client, since, seen, fields.get("id"))

    # --- how often

    def _pace(self, fields: dict[str, Any]) -> None:
        mode, why = fields.get("mode"), fields.get("reason", Why.CHOSEN)
        if mode not in tuple(Mode) or why not in tuple(SAYABLE):
            raise Refused(
                "bad_message", "mode is live, 1s, 5s, 30s or paused; reason, if any, is yours to know."
            )
        self.client.cadence.chosen, self.client.cadence.why = Mode(mode), Why(why)
        self.client.told = None  # it asked: so it is answered, whatever it knows
        hub().settle(self.client)

    def _acknowledge(self, fields: dict[str, Any]) -> None:
        told = fields.get("t")
        if not isinstance(told, int):
            raise Refused("bad_message", "t is the one of the heartbeat that you answer.")
        self.client.pace.answered(told, clock.monotonic())


def subscribed(
    request_id: str | int | None,
    symbols: list[str],
    payloads: list[dict[str, Any]],
    recovery: Recovery,
    *,
    resumed: bool,
) -> str:
    """The answer to `subscribe`; `missed` is text already."""
    fields = {
        "type": "subscribed",
        "id": request_id,
        "symbols": symbols,
        "recovered": resumed and not recovery.gaps,
        "gaps": list(recovery.gaps) if resumed else [],
        "quotes": payloads,
    }
    missed = ",".join(state.text for state in recovery.missed)
    return f'{_json(fields)[:-1]},"missed":[{missed}]}}'


def _complain(granted: Grant) -> None:
    if granted.unknown:
        raise Refused("not_found", "No such ticker.", granted.unknown)
    if granted.forbidden:
        raise Refused("login_required", "Log in to stream more than the demo tickers.", granted.forbidden)


def positions(resume: object) -> dict[str, Position]:
    """Where a client was, by canonical symbol; from what is no position nothing can be recovered: it is told so."""
    found: dict[str, Position] = {}
    if not isinstance(resume, Mapping):
        return found
    for symbol, position in resume.items():
        with suppress(InvalidSymbol):
            found[canonical(symbol)] = _position(position)
    return found


def _position(said: object) -> Position:
    if isinstance(said, list) and len(said) == 2 and all(map(_is_number, said)):
        return said[0], said[1]
    return NOWHERE


def _is_number(one: object) -> bool:
    return isinstance(one, int) and not isinstance(one, bool) and 0 <= one < LARGEST_NUMBER


class _Request:
    """What can be read of a message, as far as it can be read: an error frame carries its id."""

    def __init__(self) -> None:
        self.id: str | int | None = None
        self.kind = ""
        self.fields: dict[str, Any] = {}

    def read(self, text: str | None) -> None:
        try:
            fields = orjson.loads(text or b"")
        except orjson.JSONDecodeError as error:
            raise Refused("bad_message", "Send JSON text frames.") from error
        if not isinstance(fields, dict) or fields.get("type") not in TYPES:
            raise Refused("bad_message", f"Send an object with a type: {', '.join(TYPES)}.")
        if not isinstance(fields.get("id"), str | int | None):
            raise Refused("bad_message", "An id is text or a number.")
        self.id, self.kind, self.fields = fields.get("id"), fields["type"], fields


def _symbols(fields: dict[str, Any]) -> list[str]:
    asked = fields.get("symbols")
    if not isinstance(asked, list) or not 0 < len(asked) <= MAX_SYMBOLS:
        raise Refused("bad_message", f"symbols is a list of 1 to {MAX_SYMBOLS} ticker symbols.")
    try:
        return list(dict.fromkeys(sys.intern(canonical(one)) for one in asked))
    except InvalidSymbol as error:
        raise Refused("invalid_symbol", str(error)) from error


def _json(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()
