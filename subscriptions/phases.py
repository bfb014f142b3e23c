"""The hub's clock: clients of one cadence are spread over phases, and each phase is flushed on its own beat.

One frame per client and beat holds everything that changed. A client that is still busy with its last frame is
skipped, never queued: it gets the newest state afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from itertools import cycle
from typing import Any

from core import clock, metrics
from subscriptions import cadence
from subscriptions.cadence import Mode
from subscriptions.client import Client
from subscriptions.feeds import Feed, Minute, Position, Source, State, Topic, topic_of
from subscriptions.states import NOWHERE, States

logger = logging.getLogger(__name__)

Parts = defaultdict[Client, list[Any]]
After = Callable[[Client, set[str]], None]
# How often it is looked whether a slow phase is due; its own offset is finer than that.
SLOW_LOOK_S = 0.05


class Phase:
    """Clients that get their frames together."""

    def __init__(self, mode: Mode, due: float = 0.0) -> None:
        self.mode = mode
        self.due = due
        self.clients: set[Client] = set()
        self.behind: set[Client] = set()
        self.followers: dict[Topic, dict[Feed, set[Client]]] = {}
        self.changed: set[Topic] = set()

    def follow(self, client: Client, symbol: str, feed: Feed) -> None:
        topic = topic_of(symbol, feed.source)
        self.followers.setdefault(topic, {}).setdefault(feed, set()).add(client)

    def unfollow(self, client: Client, symbol: str, feed: Feed) -> None:
        topic = topic_of(symbol, feed.source)
        feeds = self.followers.get(topic)
        if feeds is None or feed not in feeds:
            return
        feeds[feed].discard(client)
        if not feeds[feed]:
            del feeds[feed]
        if not feeds:
            del self.followers[topic]
            self.changed.discard(topic)

    def flush(self, states: States, after: After) -> None:
        """One frame for each client with news; `after` is told which symbols of it were in."""
        changed, self.changed = self.changed, set()
        parts: Parts = defaultdict(list)
        for topic in changed:
            self._collect(topic, states, parts)
        now, sent = clock.monotonic(), 0
        symbols = {symbol for symbol, _ in changed}
        for client, pieces in parts.items():
            if client.waits(now):
                self._skip(client, changed)
                continue
            if client.missed:
                pieces.extend(self._missed(client, states, changed))
            if _send(client, pieces):
                sent += 1
                after(client, symbols)
            else:
                self._skip(client, changed)
        metrics.frames_sent.inc(sent)
        if self.behind:
            self._catch_up(states, after, now)

    def _collect(self, topic: Topic, states: States, parts: Parts) -> None:
        state = _state(topic, states)
        if state is None:
            return
        for feed, clients in self.followers.get(topic, {}).items():
            part = _part(state, feed)
            if part is None:
                continue
            for client in clients:
                if not client.known or client.is_news(topic, state.position):
                    parts[client].append(part)

    def _skip(self, client: Client, changed: Collection[Topic]) -> None:
        client.missed.update(topic for topic in client.topics() if topic in changed)
        self.behind.add(client)
        metrics.frames_skipped.inc()

    def _missed(self, client: Client, states: States, but: Collection[Topic] = ()) -> list[Any]:
        """The newest state of what the client missed before, not the backlog; it is missed no more."""
        self.behind.discard(client)
        missed, client.missed = client.missed.difference(but), set()
        return [part for topic in missed for part in _newest(client, topic, states)]

    def _catch_up(self, states: States, after: After, now: float) -> None:
        for client in [client for client in self.behind if not client.waits(now)]:
            missed = client.missed
            parts = self._missed(client, states)
            if parts and _send(client, parts):
                metrics.frames_sent.inc()
                after(client, {symbol for symbol, _ in missed})
            elif parts:
                self._skip(client, missed)


def _send(client: Client, pieces: list[Any]) -> bool:
    """False for a frame that could not be written: a mistake of ours in one protocol is no reason to fail others."""
    try:
        frame = client.wire.frame(pieces)
    except Exception as error:  # noqa: BLE001 -- whatever a protocol's words may raise
        _tell_once(client.wire, error)
        return False
    client.send(frame)
    return True


def _part(state: State | Minute, feed: Feed) -> Any:
    try:
        return state.part(feed)
    except Exception as error:  # noqa: BLE001 -- likewise
        _tell_once(feed, error)
        return None


_told: set[type] = set()


def _tell_once(faulty: object, error: Exception) -> None:
    """Ten times a second would drown everything else."""
    if type(faulty) not in _told:
        _told.add(type(faulty))
        logger.error("hub: %s cannot write", type(faulty).__name__, exc_info=error)


def _state(topic: Topic, states: States) -> State | Minute | None:
    symbol, source = topic
    return states.latest(symbol) if source is Source.QUOTE else states.minute(symbol)


def _newest(client: Client, topic: Topic, states: States) -> Iterable[Any]:
    state = _state(topic, states)
    if state is None or (client.known and not client.is_news(topic, state.position)):
        return
    for feed in client.feeds(topic[0]):
        part = _part(state, feed) if feed.source is topic[1] else None
        if part is not None:
            yield part


class Phases:
    """All of them. `paused` clients are in a phase that is never flushed."""

    def __init__(self, states: States, after: After) -> None:
        self._states, self._after = states, after
        self._of = {mode: [Phase(mode) for _ in range(count)] for mode, count in cadence.PHASES.items()}
        self._of[Mode.PAUSED] = [Phase(Mode.PAUSED)]
        self._next = {mode: cycle(phases) for mode, phases in self._of.items()}
        self._live = self._of[Mode.LIVE]
        self._slow = [phase for mode in cadence.PHASES if mode is not Mode.LIVE for phase in self._of[mode]]
        self._with: defaultdict[Topic, set[Phase]] = defaultdict(set)  # in which phases somebody follows it
        self._news = asyncio.Event()
        for mode, phases in self._of.items():
            for number, phase in enumerate(phases):
                phase.due = cadence.INTERVAL_S.get(mode, 0.0) * number / len(phases)

    def place(self, client: Client) -> None:
        """Put a client where its cadence belongs, with all that it follows and all that was due to it."""
        mode = client.cadence.effective[0]
        if client.phase is not None and client.phase.mode is mode:
            return
        self.take_out(client)
        phase = client.phase = next(self._next[mode])
        phase.clients.add(client)
        for symbol, feeds in client.following.items():
            for feed in feeds:
                self._follow(phase, client, symbol, feed)
        if client.missed:
            phase.behind.add(client)
            self._news.set()

    def take_out(self, client: Client) -> None:
        """What was due to it stays in `missed`; of the rest it is known what it has had."""
        phase = client.phase
        if phase is None:
            return
        for topic in client.topics():
            if topic in phase.changed:
                client.missed.add(topic)
            elif topic not in client.missed:
                client.knows(topic, self._position(topic))
        for symbol, feeds in client.following.items():
            for feed in feeds:
                self._unfollow(phase, client, symbol, feed)
        phase.clients.discard(client)
        phase.behind.discard(client)
        client.phase = None

    def follow(self, client: Client, symbol: str, feed: Feed, known: Position | None = None) -> None:
        """From now on what is newer than `known`, which it was told by another way, or than what there is now."""
        topic = topic_of(symbol, feed.source)
        if known is not None:
            client.knows(topic, known)
        elif not client.follows(topic):
            client.knows(topic, self._position(topic))
        if feed not in client.feeds(symbol):
            client.following[symbol] = (*client.feeds(symbol), feed)
            self._follow(client.phase, client, symbol, feed)

    def unfollow(self, client: Client, symbol: str, feed: Feed) -> None:
        if client.phase is None or feed not in client.feeds(symbol):
            return  # gone, or never there
        rest = tuple(one for one in client.feeds(symbol) if one is not feed)
        self._unfollow(client.phase, client, symbol, feed)
        if rest:
            client.following[symbol] = rest
        else:
            client.following.pop(symbol, None)
        topic = topic_of(symbol, feed.source)
        if not client.follows(topic):
            client.known.pop(topic, None)
            client.missed.discard(topic)

    def catch_up(self, client: Client, symbol: str) -> None:
        """The newest state of it is due to this client."""
        client.missed.add((symbol, Source.QUOTE))
        client.phase.behind.add(client)
        self._news.set()

    def _position(self, topic: Topic) -> Position:
        state = _state(topic, self._states)
        return NOWHERE if state is None else state.position

    def _follow(self, phase: Phase, client: Client, symbol: str, feed: Feed) -> None:
        phase.follow(client, symbol, feed)
        self._with[topic_of(symbol, feed.source)].add(phase)

    def _unfollow(self, phase: Phase, client: Client, symbol: str, feed: Feed) -> None:
        topic = topic_of(symbol, feed.source)
        phase.unfollow(client, symbol, feed)
        if topic not in phase.followers:
            self._with[topic].discard(phase)
            if not self._with[topic]:
                del self._with[topic]

    def mark(self, symbol: str, source: Source = Source.QUOTE) -> None:
        """There is news of it for whoever follows it."""
        topic = topic_of(symbol, source)
        for phase in self._with.get(topic, ()):
            phase.changed.add(topic)
        self._news.set()

    async def flush_live(self) -> None:
        """Once through the live phases; sleeps until there is news when nothing is left to send."""
        for phase in self._live:
            began = clock.monotonic()
            phase.flush(self._states, self._after)
            await asyncio.sleep(cadence.pause_after(clock.monotonic() - began))
        if not any(phase.changed or phase.behind for phase in self._live):
            self._news.clear()
            await self._news.wait()

    async def flush_slow(self) -> None:
        """Whichever of the slow phases are due."""
        await asyncio.sleep(SLOW_LOOK_S)
        now = clock.monotonic()
        for phase in self._slow:
            if phase.due <= now:
                interval = cadence.INTERVAL_S[phase.mode]
                phase.due += interval * (1 + (now - phase.due) // interval)
                phase.flush(self._states, self._after)
