"""What comes in: judged, counted, and handed on to the bars, to the next publication and to the stream for alerts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from marketdata.acceptance import Acceptance
from marketdata.quotes import Correction, Quote, StreamEvent, Tick, tick_of
from marketdata.tape.conflation import Conflator
from marketdata.tape.history import History
from marketdata.tape.out import Out
from marketdata.tape.report import Counts

NOT_WANTED = "not_wanted"
UNKNOWN_CORRECTION = "unknown_correction"


class Intake:
    """Everything that says a price goes through here, in the order of arrival."""

    def __init__(
        self, out: Out, *, routed_to: Callable[[str], str | None], streamed_by: Callable[[str], str | None]
    ) -> None:
        """Who should stream a symbol, and who really does."""
        self.out = out
        self.counts: defaultdict[str, Counts] = defaultdict(Counts)
        self.acceptance = Acceptance()
        self.conflator = Conflator()
        self.history = History()
        self._routed_to, self._streamed_by = routed_to, streamed_by

    def take(self, events: Sequence[StreamEvent], wanted: Container[str], now_us: int) -> None:
        """Streamed events. What comes of symbols that are not wanted, or no longer from there, is left out."""
        routed_to = self._routed_to
        for event in events:
            if event.symbol not in wanted or routed_to(event.symbol) not in (None, event.provider):
                self.counts[event.provider].refuse(event, NOT_WANTED)
            elif isinstance(event, Tick):
                self._take(event, now_us)
            else:
                self._correct(event, now_us)
        self._measure()

    def take_fetched(self, quote: Quote, now_us: int) -> None:
        """What was bought for a wanted ticker; not while another provider streams it and has said a price."""
        streamed_by = self._streamed_by(quote.symbol)
        if streamed_by not in (None, quote.provider) and streamed_by == self.acceptance.source_of(
            quote.symbol
        ):
            return
        self.history.open_once(quote.symbol, now_us)
        self._take(tick_of(quote), now_us)
        self._measure()

    def take_overdue(self, now_us: int) -> None:
        """What was held, and is believed because nothing has contradicted it."""
        for tick in self.acceptance.overdue(now_us):
            self._keep(tick, now_us)
        self._measure()

    def _measure(self) -> None:
        for provider, counts in self.counts.items():
            counts.measure(provider)

    def _take(self, tick: Tick, now_us: int) -> None:
        verdict = self.acceptance.judge(tick, now_us)
        if verdict.refusal is not None:
            self.counts[tick.provider].refuse(tick, verdict.refusal.value)
        for believed in verdict.ticks:
            self._keep(believed, now_us)

    def _keep(self, believed: Tick, now_us: int) -> None:
        self.conflator.put(believed)
        self.history.add_tick(believed)
        self.out.put(believed, now_us)
        self.counts[believed.provider].accept(now_us)

    def _correct(self, correction: Correction, now_us: int) -> None:
        """An earlier trade is taken back: where it was the last price, the one before it is said again."""
        right = self.acceptance.plausible(correction, now_us)
        if right is None or not self._put_right(right, now_us):
            self.counts[correction.provider].refuse(correction, UNKNOWN_CORRECTION)
            if right is not None and _names_a_trade(right):
                self.out.put_correction(right, now_us)  # alerts remember their trades for days

    def _put_right(self, correction: Correction, now_us: int) -> bool:
        """Whether the trade is known, be it only by its bar."""
        is_known, instead = self.acceptance.correct(correction, now_us)
        is_in_bar = self.history.correct(correction, instead.price if instead is not None else None)
        if not is_known and not is_in_bar:
            return False
        self.out.put_correction(correction, now_us)
        if instead is not None:
            self.conflator.put(instead)
            self.out.put(replace(instead, size=0), now_us)  # no trade
        return True


def _names_a_trade(correction: Correction) -> bool:
    return bool(correction.trade_id) or correction.was is not None
