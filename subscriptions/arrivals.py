"""What arrives in a hub, read: group messages of the tape, and what Redis stores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from core import clock
from marketdata.quotes import Quote, price_text
from marketdata.tape.publish import frame_of
from subscriptions.feeds import Minute, State

logger = logging.getLogger(__name__)

# What cannot be read comes with every message, as a rule.
COMPLAIN_EVERY_S = 10.0


class Reading:
    """Whatever cannot be read, such as a text of another version, is told now and then, and harms nothing else."""

    def __init__(self) -> None:
        self._told_at = -COMPLAIN_EVERY_S

    @contextmanager
    def tolerant(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            now = clock.monotonic()
            if now - self._told_at >= COMPLAIN_EVERY_S:
                self._told_at = now
                logger.exception("hub: reading %s failed", what)


def state_of(event: Mapping[str, object]) -> State:
    """From a group message; its keys are those of `core.live`."""
    return State(
        event["s"],  # type: ignore[arg-type]
        (event["e"], event["n"]),  # type: ignore[arg-type]
        event["d"],  # type: ignore[arg-type]
        size=event.get("z", 0),  # type: ignore[arg-type]
        bid=event.get("b"),  # type: ignore[arg-type]
        ask=event.get("a"),  # type: ignore[arg-type]
    )


def state_from(quote: Quote) -> State:
    """From what Redis stores."""
    return State(
        quote.symbol,
        (quote.epoch, quote.seq),
        frame_of(quote),
        size=quote.size,
        bid=None if quote.bid is None else price_text(quote.bid),
        ask=None if quote.ask is None else price_text(quote.ask),
    )


def minute_of(event: Mapping[str, object]) -> Minute:
    names = ("s", "e", "t", "o", "h", "l", "c", "v")
    return Minute(*(event[name] for name in names))  # type: ignore[arg-type]
