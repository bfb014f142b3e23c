"""The values of market data: a tick streams in, a quote is the latest price, a bar sums up a span of time.

Prices are Decimal in the ticker's currency; volumes are whole units; times are aware UTC datetimes, except
on the hot path, where a tick carries integer microseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PERCENT_STEP = Decimal("0.0001")


class Session(StrEnum):
    PRE = "pre"
    REGULAR = "regular"
    POST = "post"
    CLOSED = "closed"


class Reason(StrEnum):
    """Why a quote is missing or not fresh; the words of the API."""

    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    PLAN_LOCKED = "plan_locked"
    PROVIDER_DOWN = "provider_down"
    HALTED = "halted"
    NO_DATA_YET = "no_data_yet"


@dataclass(
    slots=True, unsafe_hash=True
)  # frozen, making one would cost four times as much; nobody changes one
class Tick:
    """One streamed update. `volume` is the day's cumulative volume, 0 where nobody told it; `size` is of this trade.

    `sequence` orders ticks of equal time within one provider; 0 where the provider numbers nothing.
    The day fields (`open` … `previous_close`) travel with each tick, so that a conflated tick loses nothing.
    """

    symbol: str
    price: Decimal
    size: int
    volume: int
    as_of_us: int
    provider: str
    sequence: int = 0
    session: Session = Session.REGULAR
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    replay_date: date | None = None
    halted: bool = False
    delayed_s: int = 0
    trade_id: str = ""
    """The provider's own, by which it corrects or cancels the trade later; empty where it has none."""
    rebased: bool = False
    """The price stands on another base than the one before (other provider, split, correction): it did not move."""


@dataclass(slots=True)  # likewise
class Accepted:
    """One believed tick, as alerts see it. `received_us`: when the tape got it, or believed it after holding it."""

    symbol: str
    price: Decimal
    as_of_us: int
    received_us: int
    provider: str
    session: str = Session.REGULAR.value
    volume: int = 0
    """Of the day so far; 0 where nobody told it."""
    rebased: bool = False
    """On another base than the tick before: the difference is no move of the price."""
    halted: bool = False
    replay: bool = False
    delayed_s: int = 0
    trade_id: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """The provider takes back one earlier trade, or says what it really was (`price`)."""

    symbol: str
    provider: str
    as_of_us: int
    trade_id: str = ""
    was: Decimal | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest price of one symbol, and how far it may be trusted.

    `epoch` and `seq` number it when the tape published it; both are 0 for a quote fetched on request.
    `expires_at` is when it must be asked for again if nobody streams it.
    """

    symbol: str
    price: Decimal
    as_of: datetime
    received_at: datetime
    expires_at: datetime
    provider: str
    session: Session = Session.REGULAR
    change: Decimal | None = None
    change_percent: Decimal | None = None
    volume: int | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    replay_date: date | None = None
    halted: bool = False
    delayed_s: int = 0
    epoch: int = 0
    seq: int = 0
    size: int = 0
    """Of the trade that made this price, as far as it streamed; PostgreSQL does not keep it."""
    rebased: bool = False
    """As of a tick: what compares prices begins anew here, since the difference to the one before is no move."""
    stale: bool = False
    reason: Reason | None = None

    def is_fresh(self, now: datetime) -> bool:
        return now < self.expires_at

    def age(self, now: datetime) -> timedelta:
        return now - self.as_of

    def marked_stale(self, reason: Reason | None) -> Quote:
        return replace(self, stale=True, reason=reason)


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low, close and volume of one span from `start` on; a day begins at 00:00 UTC of its date."""

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


StreamEvent = Tick | Correction


class ActionKind(StrEnum):
    DIVIDEND = "dividend"
    SPLIT = "split"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class Action:
    """One corporate action, effective from the morning of its ex-date on.

    A dividend has `amount` per share in `currency`; a split turns `split_from` shares into `split_to`
    (4:1 is from 1 to 4, a reverse split 1:50 from 50 to 1); a rename has `new_symbol`.
    """

    symbol: str
    kind: ActionKind
    ex_date: date
    amount: Decimal | None = None
    currency: str = "USD"
    special: bool = False
    split_from: Decimal | None = None
    split_to: Decimal | None = None
    new_symbol: str = ""
    declared_date: date | None = None
    record_date: date | None = None
    pay_date: date | None = None


def change_of(price: Decimal, previous_close: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """(change, change in percent) against the previous close; (None, None) where there is none."""
    if not previous_close:
        return None, None
    change = price - previous_close
    return change, (change / previous_close * 100).quantize(_PERCENT_STEP)


@dataclass(frozen=True, slots=True)
class NoQuote:
    """There is no price to show for a symbol, not even an old one, and why; `retry_at` where waiting helps."""

    symbol: str
    reason: Reason
    retry_at: datetime | None = None


def price_text(price: Decimal) -> str:
    """The shortest exact text with at least two decimals: 589.58, 0.00001234, 1234567.80."""
    text = str(price)
    if text[-3:-2] == ".":  # two decimals, as nearly all have, are neither too few nor too many
        return text
    text = format(price.normalize(), "f")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def quote_of(tick: Tick, *, received_at: datetime, ttl: timedelta, epoch: int = 0, seq: int = 0) -> Quote:
    """The quote that a believed tick makes true."""
    change, change_percent = change_of(tick.price, tick.previous_close)
    return Quote(
        symbol=tick.symbol,
        price=tick.price,
        change=change,
        change_percent=change_percent,
        volume=tick.volume or None,
        open=tick.open,
        high=tick.high,
        low=tick.low,
        previous_close=tick.previous_close,
        bid=tick.bid,
        ask=tick.ask,
        as_of=EPOCH + timedelta(microseconds=tick.as_of_us),
        received_at=received_at,
        expires_at=received_at + ttl,
        provider=tick.provider,
        session=tick.session,
        replay_date=tick.replay_date,
        halted=tick.halted,
        delayed_s=tick.delayed_s,
        rebased=tick.rebased,
        epoch=epoch,
        seq=seq,
        size=tick.size,
    )


def tick_of(quote: Quote) -> Tick:
    """A fetched quote as the tick it stands for, so that one place accepts, numbers and publishes both."""
    return Tick(
        symbol=quote.symbol,
        price=quote.price,
        size=0,
        volume=quote.volume or 0,
        as_of_us=microseconds(quote.as_of),
        provider=quote.provider,
        session=quote.session,
        open=quote.open,
        high=quote.high,
        low=quote.low,
        previous_close=quote.previous_close,
        bid=quote.bid,
        ask=quote.ask,
        replay_date=quote.replay_date,
        halted=quote.halted,
        delayed_s=quote.delayed_s,
    )


def microseconds(moment: datetime) -> int:
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
