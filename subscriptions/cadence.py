"""When a client gets its next frame. Pure: time is passed in.

Clients are spread over phases, so that a burst of changes does not become a burst of frames; each phase has its
own beat. The clock adjusts itself: after a flush that took long the next pause is longer, so that overload
stretches the beat instead of building a queue.
"""

from __future__ import annotations

from dataclasses import dataclass

# Below 50 ms nobody sees a difference, and one core sends a third fewer values (docs/design/live.md).
TICK_S = 0.05
PHASES = 5
# The part of a flush's own duration that the hub must rest after it, so that reading and accepting go on.
REST_SHARE = 0.25


def pause_after(flush_s: float) -> float:
    """Seconds until the next phase may be flushed."""
    return max(TICK_S / PHASES - flush_s, flush_s * REST_SHARE)


@dataclass
class Phases:
    """Hands out phases in turn, so that they stay equally full."""

    handed_out: int = 0

    def next(self) -> int:
        self.handed_out += 1
        return self.handed_out % PHASES
