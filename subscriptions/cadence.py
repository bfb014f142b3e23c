"""How often a client gets a frame, and who decided that. Pure: time is passed in.

Clients of one mode are spread over phases, so that a burst of changes does not become a burst of frames. The clock
of the live phases adjusts itself: after a flush that took long the next pause is longer, so that overload stretches
the beat instead of building a queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    LIVE = "live"
    SECOND = "1s"
    FIVE_SECONDS = "5s"
    HALF_MINUTE = "30s"
    PAUSED = "paused"


class Why(StrEnum):
    """Who decided; the first that applies is told."""

    CHOSEN = "chosen"
    HIDDEN = "hidden"
    SAVE_DATA = "save_data"
    REDUCED_MOTION = "reduced_motion"
    SLOW_CLIENT = "slow_client"
    TIER = "tier"


# What a client may say of itself; slowness is measured, and the tier is ours to know.
SAYABLE = frozenset({Why.CHOSEN, Why.HIDDEN, Why.SAVE_DATA, Why.REDUCED_MOTION})
# From the fastest to the slowest.
MODES = tuple(Mode)
# Below 50 ms nobody sees a difference, and one core sends a third fewer values (docs/design/live.md).
TICK_S = 0.05
INTERVAL_S = {Mode.LIVE: TICK_S, Mode.SECOND: 1.0, Mode.FIVE_SECONDS: 5.0, Mode.HALF_MINUTE: 30.0}
PHASES = {Mode.LIVE: 5, Mode.SECOND: 10, Mode.FIVE_SECONDS: 10, Mode.HALF_MINUTE: 30}
# The part of a flush's own duration that the hub must rest after it, so that reading and accepting go on.
REST_SHARE = 0.1


def pause_after(flush_s: float) -> float:
    """Seconds until the next live phase may be flushed."""
    return max(TICK_S / PHASES[Mode.LIVE] - flush_s, flush_s * REST_SHARE)


def slower(mode: Mode) -> Mode:
    """The next slower one that still sends."""
    return MODES[min(MODES.index(mode) + 1, MODES.index(Mode.HALF_MINUTE))]


def faster(mode: Mode) -> Mode:
    return MODES[max(MODES.index(mode) - 1, 0)]


@dataclass(slots=True)
class Cadence:
    """What a client asked for, what its tier gives and what its connection bears."""

    chosen: Mode = Mode.LIVE
    why: Why = Why.CHOSEN
    fastest: Mode = Mode.LIVE
    bearable: Mode = Mode.LIVE

    @property
    def effective(self) -> tuple[Mode, Why]:
        """The slowest of the three and whose it is; where two are equal the client's own wish is told."""
        offers = [(self.chosen, self.why), (self.bearable, Why.SLOW_CLIENT), (self.fastest, Why.TIER)]
        return max(offers, key=lambda offer: MODES.index(offer[0]))
