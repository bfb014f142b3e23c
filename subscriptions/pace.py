"""Whether a client keeps up, by when it answers what it is asked. Pure: time is passed in, seconds of one clock.

Daphne never waits for a slow reader, so the protocol itself asks: every ten seconds a heartbeat carries `ack`, and
the answer says how long everything before it took to be read. Who has answered once is held to it. Of those who
never do only the connection's own back-pressure tells (uvicorn), and the server's ping.
"""

from __future__ import annotations

from typing import Final

from subscriptions.cadence import Mode, faster, slower

ASK_EVERY_S = 10.0
# An answer that took so long lowers the cadence; two quick ones raise it again.
SLOW_S, QUICK_S, QUICK_ANSWERS = 2.0, 1.0, 2
# Nothing more is sent to somebody who owes an answer for so long, and then the connection is closed.
HOLD_S, GIVE_UP_S = 2.0, 5.0
# Of those who are not asked: how long one frame may be on its way.
STUCK_S = 15.0
# Who never answers and was slow is tried a step faster after so long without a wait.
RECOVER_AFTER_S = 60.0


# Of so many who are asked together some read at once, if it is not this process that is slow.
ENOUGH, SHARE = 10, 10


class Ours:
    """What part of everybody's waiting is this process's own: when everybody is slow, it is us.

    That is how long the quickest tenth of those who were asked together took.
    """

    __slots__ = ("_answers", "_asked", "_began", "_quickest")

    def __init__(self) -> None:
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Everybody is asked again."""
        self._began, self._asked, self._answers = now, 0, 0
        self._quickest: float | None = None

    def asked(self) -> None:
        self._asked += 1

    def answered(self, took: float) -> None:
        self._answers += 1
        if self._quickest is None and self._answers * SHARE >= self._asked:
            self._quickest = took

    def part(self, now: float) -> float:
        """Seconds of any answer's time that no client is to blame for."""
        if self._asked < ENOUGH:
            return 0.0
        return now - self._began if self._quickest is None else self._quickest


class _Nobody(Ours):
    """Of a connection that is in no hub."""

    def part(self, now: float) -> float:
        return 0.0


NOBODY: Final = _Nobody()


class Pace:
    """One connection; `ours` is shared by all of a process."""

    __slots__ = ("_asked_at", "_asked_ms", "_quick", "_waited_at", "answers", "bearable", "ours")

    def __init__(self, ours: Ours = NOBODY) -> None:
        self.ours = ours
        self.answers = False
        self.bearable = Mode.LIVE
        self._asked_at: float | None = None
        self._asked_ms = 0
        self._quick = 0
        self._waited_at = 0.0

    def asked(self, now: float, now_ms: int) -> None:
        """A question that is still open stays the one that counts, of those who do answer."""
        if self._asked_at is None or not self.answers:
            self._asked_at, self._asked_ms = now, now_ms
            if self.answers:
                self.ours.asked()

    def answered(self, told_ms: int, now: float) -> None:
        """`told_ms`: which heartbeat was read; another than the open question could be said without reading."""
        if self._asked_at is None or told_ms != self._asked_ms:
            return
        took, self._asked_at = now - self._asked_at, None
        if self.answers:  # the first one is often of a moment when everybody comes, and has not been counted
            self._judge(took, now)
        self.answers = True

    def _judge(self, took: float, now: float) -> None:
        self.ours.answered(took)
        took -= self.ours.part(now)
        if took > SLOW_S:
            self.bearable, self._quick = slower(self.bearable), 0
        elif took < QUICK_S:
            self._quick += 1
            if self._quick >= QUICK_ANSWERS:
                self.bearable, self._quick = faster(self.bearable), 0

    def slow_down(self, now: float) -> None:
        """The connection itself waited."""
        self.bearable, self._quick, self._waited_at = slower(self.bearable), 0, now

    def look(self, now: float) -> None:
        """No answer will say that a silent reader keeps up again, so time has to."""
        if self.bearable is not Mode.LIVE and not self.answers and now - self._waited_at >= RECOVER_AFTER_S:
            self.bearable, self._waited_at = faster(self.bearable), now

    @property
    def owes(self) -> bool:
        """Whether a question is open; mostly none is."""
        return self._asked_at is not None

    def owes_for(self, now: float) -> float:
        """Seconds since the open question that are the client's own, 0 where nothing is owed."""
        if self._asked_at is None or not self.answers:
            return 0.0
        return now - self._asked_at - self.ours.part(now)

    def is_held(self, now: float) -> bool:
        return self.owes_for(now) > HOLD_S

    def is_given_up(self, now: float) -> bool:
        return self.owes_for(now) > GIVE_UP_S
