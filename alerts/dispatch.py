"""Sends what is due: claimed in one short transaction, sent outside of any by threads, marked in another.

One dispatcher per process does the asking and the writing; its threads only send. What hangs is kept from taking all
of them: each kind has its own (all e-mail goes through one server), a channel uses a few of those, and channels that
have failed before share a few in all.
"""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from alerts import claiming, marking, messages, outbox
from alerts.claiming import LEASE_S, Claim, Room
from alerts.deliveries import base
from alerts.deliveries.base import Message, Outcome
from alerts.lanes import Job, Lane
from alerts.marking import Finished
from alerts.models import Channel, ChannelKind, ChannelState
from core import clock, metrics
from core.encryption import Undecryptable
from core.outages import DATABASE_ERRORS

logger = logging.getLogger(__name__)

# Threads of each kind, and of one channel at a time.
THREADS = 16
THREADS_OF_CHANNEL = 4
# Claimed of each kind, so that threads need not wait for the database; and of channels that have failed, of all kinds.
IN_HAND = 64
FAILING = 8
# Of a budget, for what is under way when it ends: longer than a sender may take.
LAST_SENDS_S = 12.0
BUDGET_S = 25.0
# A process that is about to end waits so long for what is under way; it is killed a little later.
GOODBYE_S = 8.0
RENEW_EVERY_S = LEASE_S / 4
# Results that come one by one are marked together, and only then is more claimed; unless little is in hand.
GATHER_S = 0.01
GATHERED = 16
# While something is under way, new work is looked for so often; and where another dispatcher has what is due.
LOOK_EVERY_S = 0.25
OTHERS_S = 0.05
AWAY_S = 0.5
UNREADABLE = "The stored address cannot be decrypted: FIELD_ENCRYPTION_KEYS lacks its key."


def run(budget_s: float = BUDGET_S) -> int:
    """Send until nothing is due or the budget is over, and ask for another run then; how many went out.

    One at a time in each process: a second call has the first one look once more.
    """
    return _runs.run(budget_s)


def stop() -> None:
    """Take nothing more: this process is about to end."""
    _runs.stopping = True


@dataclass(slots=True)
class _Held:
    """A claim in the hands of a thread."""

    claim: Claim
    message: Message
    good_until: float
    """By the monotonic clock; later somebody else may have it."""


@dataclass(frozen=True, slots=True)
class _Result:
    """None: it was not tried. An error that is no Exception ends the dispatcher as well."""

    held: _Held
    outcome: Outcome | BaseException | None


class Dispatcher:
    """Claims, sends and marks. Used by one thread at a time."""

    def __init__(self, threads: int = THREADS) -> None:
        self._lanes = {kind: Lane(kind, threads) for kind in ChannelKind.values}
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._held: dict[int, _Held] = {}
        self._finished: list[Finished] = []
        self._untried: list[Claim] = []
        self._renewed_at = self._took_at = 0.0
        self.sent = 0

    def drain(self, budget_s: float = BUDGET_S, *, is_over: threading.Event | None = None) -> bool:
        """True when nothing was left to do, False when the budget or the process was over before."""
        now = clock.monotonic()
        takes_until, ends = now + budget_s - min(LAST_SENDS_S, budget_s / 2), now + budget_s
        while True:
            now = clock.monotonic()
            if _is_set(is_over):
                takes_until, ends = now, min(ends, now + GOODBYE_S)
            pause_s = self._try_step(takes=now < takes_until)
            if pause_s is None:
                return now < takes_until
            if clock.monotonic() > ends:
                return False
            self._wait(pause_s)

    def _try_step(self, *, takes: bool) -> float | None:
        try:
            return self._step(takes=takes)
        except DATABASE_ERRORS as error:
            # What was sent stays in `_finished` and is marked when the database is back.
            metrics.database_failures.labels(used_by="deliveries").inc()
            logger.warning("deliveries wait for the database: %s", type(error).__name__)
            return AWAY_S

    def _step(self, *, takes: bool) -> float | None:
        """How long to wait for what comes; None: there is nothing more to do."""
        self._mark()
        self._renew()
        is_more_due = self._take() if takes and self._may_take() else False
        if self._held:
            return LOOK_EVERY_S
        return OTHERS_S if is_more_due else None

    # --- taking

    def _may_take(self) -> bool:
        now = clock.monotonic()
        if len(self._held) > IN_HAND - GATHERED and now - self._took_at < LOOK_EVERY_S:
            return False
        self._took_at = now
        return True

    def _take(self) -> bool:
        """Whether something is due, here or in another dispatcher's hands."""
        while outbox.expand() == outbox.ROWS:
            pass
        claimed_at = clock.monotonic()
        found = claiming.claim(self._room(), clock.now())
        if found.claims:
            self._submit(found.claims, claimed_at + LEASE_S)
        return found.is_more_due

    def _room(self) -> Room:
        claims = [held.claim for held in self._held.values()]
        used = Counter(claim.kind for claim in claims)
        of_kind = Counter({kind: IN_HAND - used[kind] for kind in ChannelKind.values})
        return Room(
            total=of_kind.total(),
            failing=FAILING - sum(claim.is_failing for claim in claims),
            of_kind=of_kind,
            busy=sorted({claim.channel_id for claim in claims}),
        )

    def _submit(self, claims: Sequence[Claim], good_until: float) -> None:
        texts = messages.load(claim.id for claim in claims)
        channels = _channels({claim.channel_id for claim in claims})
        # What is not in `texts` was deleted since, with its notification.
        held = [_Held(claim, texts[claim.id], good_until) for claim in claims if claim.id in texts]
        self._held |= {one.claim.id: one for one in held}
        turns: dict[int, list[_Held]] = {}
        for one in held:
            turns.setdefault(one.claim.channel_id, []).append(one)
        shares = [
            (channels.get(pk), turn[first::THREADS_OF_CHANNEL])
            for pk, turn in turns.items()
            for first in range(min(THREADS_OF_CHANNEL, len(turn)))
        ]
        for kind, lane in self._lanes.items():
            lane.submit(self._job(*share) for share in shares if share[1][0].claim.kind == kind)

    def _job(self, channel: Channel | None, share: Sequence[_Held]) -> tuple[int, Job]:
        """One message after the other; between them go others that are more urgent."""
        return share[0].claim.priority, partial(self._send, channel, share)

    # --- while they are sent

    def _send(self, channel: Channel | None, share: Sequence[_Held]) -> None:
        """In a thread, which has no business with the database. Where one fails the rest is not tried now."""
        held, *rest = share
        try:
            outcome: Outcome | BaseException | None = _attempt(held, channel)
        except BaseException as error:  # noqa: BLE001 -- raised again by the thread that waits for it
            outcome = error
        self._results.put(_Result(held, outcome))
        if rest and isinstance(outcome, Outcome) and outcome.is_sent:
            self._lanes[held.claim.kind].submit([self._job(channel, rest)])
        else:
            for one in rest:
                self._results.put(_Result(one, None))

    def _wait(self, seconds: float) -> None:
        """For the next result, at most so long, and a moment for those that come right after it."""
        with suppress(queue.Empty):
            self._note(self._results.get(timeout=seconds))
            ends = clock.monotonic() + GATHER_S
            for _ in range(min(GATHERED, len(self._held))):
                self._note(self._results.get(timeout=max(0.0, ends - clock.monotonic())))

    def _note(self, result: _Result) -> None:
        claim = result.held.claim
        self._held.pop(claim.id, None)
        if isinstance(result.outcome, BaseException):
            raise result.outcome
        if result.outcome is None:
            self._untried.append(claim)
        else:
            self._finished.append(Finished(claim, result.outcome))

    def _renew(self) -> None:
        now = clock.monotonic()
        if not self._held or now - self._renewed_at < RENEW_EVERY_S:
            return
        self._renewed_at = now
        ours = claiming.renew([held.claim for held in self._held.values()], clock.now())
        for held in self._held.values():
            if held.claim.id in ours:
                held.good_until = now + LEASE_S

    def _mark(self) -> None:
        while not self._results.empty():
            self._note(self._results.get())
        marking.mark(self._finished, clock.now())
        self.sent += sum(one.outcome.is_sent for one in self._finished)
        self._finished = []
        claiming.give_back(self._untried, clock.now())
        self._untried = []


def _is_set(event: threading.Event | None) -> bool:
    return event is not None and event.is_set()


def _channels(ids: Collection[int]) -> dict[int, Channel]:
    """Without those whose address nobody can read: they must not hold up the others."""
    try:
        return Channel.objects.select_related("user").in_bulk(ids)
    except Undecryptable:
        return {channel: found for channel in ids if (found := _readable(channel))}


def _readable(channel: int) -> Channel | None:
    try:
        return Channel.objects.select_related("user").filter(pk=channel).first()
    except Undecryptable:
        return None


def _attempt(held: _Held, channel: Channel | None) -> Outcome | None:
    """None: the claim had run out before, or the channel has since got an address that nobody has confirmed."""
    if clock.monotonic() >= held.good_until:
        return None
    if channel is None:
        return Outcome.retry(UNREADABLE)
    if channel.state == ChannelState.UNCONFIRMED:
        return None
    return send(channel, held.message)


def send(channel: Channel, message: Message) -> Outcome:
    """One attempt; never raises an Exception."""
    try:
        return base.sender_of(channel.kind).send(channel, message)
    except Exception as error:  # noqa: BLE001 -- a mistake in a sender costs this attempt and no other delivery
        # Not the text of the error, nor what called: they may hold the address.
        place = traceback.extract_tb(error.__traceback__)[-1]
        logger.error(  # noqa: TRY400 -- likewise
            "the sender of %s failed: %s in %s:%s",
            channel.kind,
            type(error).__name__,
            place.filename,
            place.lineno,
        )
        return Outcome.retry(f"Our sender failed ({type(error).__name__}).")


# --- one at a time in each process


class _Runs:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_running = False
        self._again = False
        self._dispatcher: Dispatcher | None = None
        self._over = threading.Event()

    @property
    def stopping(self) -> bool:
        return self._over.is_set()

    @stopping.setter
    def stopping(self, value: bool) -> None:
        (self._over.set if value else self._over.clear)()

    def run(self, budget_s: float) -> int:
        with self._lock:
            if self._is_running:
                self._again = True
                return 0
            self._is_running, self._again = True, False
        ends = clock.monotonic() + budget_s
        dispatcher = self._dispatcher = self._dispatcher or Dispatcher()
        before = dispatcher.sent
        try:
            while self._go_on(dispatcher, ends):
                pass
        except BaseException:
            self._end()
            raise
        return dispatcher.sent - before

    def _go_on(self, dispatcher: Dispatcher, ends: float) -> bool:
        is_done = dispatcher.drain(ends - clock.monotonic(), is_over=self._over)
        if not is_done:
            self._end()
            if not self._over.is_set():
                outbox.wake()
            return False
        with self._lock:
            again, self._again = self._again, False
            self._is_running = again
        return again

    def _end(self) -> None:
        with self._lock:
            self._is_running = False


_runs = _Runs()
