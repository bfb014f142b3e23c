"""What the shared suite has to know of a vendor: how to make the two sides, and where the vendor differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from core import clock
from marketdata.company import FIGURES
from marketdata.errors import Kind
from marketdata.providers.base import Interval, Provider
from marketdata.providers.vendor_stream import Patience
from marketdata.standins.base import Fault, StandIn
from marketdata.standins.market import Market
from marketdata.standins.stream import StreamFault

# Canaries: neither may be found in any text.
KEY = "CANARY-key-4f1d9c"
SECRET = "CANARY-secret-77ab03"
# Generous, for machines that are busy; the others are for what nobody will answer.
PATIENT = Patience(open_s=20, step_s=20, life_s=20)
HASTY = Patience(open_s=20, step_s=0.3, life_s=0.1)
WATCHFUL = Patience(open_s=20, step_s=20, life_s=0.1)

TOLD_IN_QUOTES = frozenset({"previous_close", "open", "high", "low", "volume", "bid", "ask"})
TOLD_OF_ACTIONS = frozenset({"declared_date", "record_date", "pay_date"})

WITHIN_200 = {
    Fault.MISSING,
    Fault.ZEROS,
    Fault.ITEM_ERROR,
    Fault.SKEWED,
    Fault.NOT_A_NUMBER,
    Fault.SCRAMBLED,
}
EXPECTED: Mapping[Fault, Kind] = {
    Fault.UNAUTHORIZED: Kind.AUTH,
    Fault.PLAN: Kind.PLAN_LOCKED,
    Fault.RATE_LIMITED: Kind.RATE_LIMITED,
    Fault.RATE_LIMITED_BARE: Kind.RATE_LIMITED,
    Fault.THROTTLED_200: Kind.RATE_LIMITED,
    Fault.SERVER_ERROR: Kind.TRANSIENT,
    Fault.BAD_GATEWAY: Kind.TRANSIENT,
    Fault.HTML: Kind.MALFORMED,
    Fault.EMPTY_OBJECT: Kind.MALFORMED,
    Fault.EMPTY_BODY: Kind.MALFORMED,
    Fault.TRUNCATED: Kind.MALFORMED,
    Fault.TRUNCATED_GZIP: Kind.MALFORMED,
    Fault.WRONG_SHAPE: Kind.MALFORMED,
    Fault.REDIRECT_LOOP: Kind.MALFORMED,
    Fault.SLOW: Kind.TRANSIENT,
    Fault.TRICKLE: Kind.TRANSIENT,
    Fault.DROPPED: Kind.TRANSIENT,
    Fault.NOT_A_NUMBER: Kind.MALFORMED,
    # of the first symbol; the others are well
    Fault.MISSING: Kind.NOT_FOUND,
    Fault.ZEROS: Kind.NOT_FOUND,
    Fault.ITEM_ERROR: Kind.NOT_FOUND,
}
FIRST_ONLY = {Fault.MISSING, Fault.ZEROS, Fault.ITEM_ERROR}

BAD_FRAMES: Mapping[str, tuple[bytes, bool]] = {
    # name: (bytes, whether as a text frame)
    "not JSON": (b"{oops", True),
    "torn JSON": (b'[{"T":"t","S":"AAPL","p":18', True),
    "invalid UTF-8": (b'[{"T":"t","S":"\xff\xfe"}]', True),
    "binary": (b"\x00\x01\x02\xff", False),
    "empty": (b"", True),
    "5 MB": (b"[" + b" " * 5_000_000 + b"]", True),
    "too deep": (b"[" * 100_000, True),
    "a number": (b"42", True),
    "null": (b"null", True),
    "an object instead of an array": (b'{"T":"t"}', True),
    "an array of nothing": (b"[null]", True),
    "a trade of another shape": (b'[{"T":"t","ev":"T","type":"trade","data":7,"S":["AAPL"],"p":{}}]', True),
}


@dataclass(frozen=True)
class Case:
    """`make_standin(market, key=, secret=)`; `make_provider(standin, patience)`, with the stand-in's own key."""

    make_standin: Callable[..., StandIn]
    make_provider: Callable[[StandIn, Patience], Provider]
    batch: tuple[str, ...] = ("AAPL", "MSFT", "IBM")
    """Symbols of the market that one request may ask together (cut to what the plan allows)."""
    spellings: Mapping[str, str] = field(default_factory=dict)
    """Canonical symbols of the market, each with what must stand in the request's path or parameters."""
    uncovered: tuple[str, ...] = ()
    lacks: frozenset[Fault] = frozenset()
    """Faults that make no sense for this vendor."""
    expected: Mapping[tuple[str, Fault], Kind] = field(default_factory=dict)
    """Where an operation's outcome differs from EXPECTED."""
    requests: Mapping[str, int] = field(default_factory=dict)
    """Requests of a good answer, by operation, where it takes more than one."""
    statuses: frozenset[int] = frozenset()
    """Further statuses with which this vendor refuses."""
    told: frozenset[str] = TOLD_IN_QUOTES
    told_of_actions: frozenset[str] = TOLD_OF_ACTIONS
    told_of_calls: frozenset[str] = frozenset({"title", "held_on"})
    told_of_companies: frozenset[str] = frozenset(FIGURES)
    told_of_news: frozenset[str] = frozenset({"headline", "body", "published_at", "source", "url"})
    tells_other_symbols: bool = True
    """Whether an article names what else it is about."""
    precision: timedelta = timedelta(microseconds=1)
    """Of the time of a quote."""
    unknown_bars: Kind | None = Kind.NOT_FOUND
    """Of the bars of an unknown symbol; None is an empty list."""
    pages: bool = False
    """Whether bars come in pages, of the stand-in's `page_size`."""
    stream_symbols: tuple[str, ...] = ("AAPL", "MSFT")
    stream_precision: timedelta = timedelta(milliseconds=1)
    stream_lacks: frozenset[StreamFault] = frozenset()
    stream_expected: Mapping[StreamFault, Kind] = field(default_factory=dict)
    harmless_frames: frozenset[str] = frozenset()
    """Names of BAD_FRAMES that this vendor's protocol lets pass as no news."""
    trade_ids: bool = True
    life_message: bool = True
    """Whether the vendor sends a sign of life of its own."""

    def standin(self) -> StandIn:
        return self.make_standin(Market(), key=KEY, secret=SECRET)

    def provider(self, standin: StandIn, patience: Patience = PATIENT) -> Provider:
        return self.make_provider(standin, patience)

    def idle_provider(self) -> Provider:
        """To read capabilities from; there is nothing behind it."""
        return self.provider(self.standin())

    def operations(self) -> list[str]:
        can = self.idle_provider().capabilities
        bars = [f"bars_{interval.value}" for interval in Interval if interval in can.intervals]
        return [
            "quotes",
            *bars,
            *["actions"] * can.actions,
            *["search"] * can.search,
            *["news"] * can.news,
            *["calls", "call"] * can.transcripts,
            *["fundamentals"] * can.fundamentals,
        ]

    def symbols(self, provider: Provider) -> list[str]:
        return list(self.batch[: provider.capabilities.max_symbols_per_request])

    def faults_of(self, operation: str) -> list[Fault]:
        faults = [fault for fault in Fault if fault in EXPECTED and fault not in self.lacks]
        return [fault for fault in faults if operation == "quotes" or fault not in WITHIN_200]

    def kind_of(self, operation: str, fault: Fault) -> Kind:
        return self.expected.get((operation, fault), EXPECTED[fault])


def last_open_day():
    """Noon UTC of the latest weekday that ended at least a day ago."""
    moment = clock.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
    while moment.isoweekday() > 5:
        moment -= timedelta(days=1)
    return moment
