"""The hub's clock, beat by beat: no loop decides here what is flushed when, and no Redis what is heard."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from subscriptions import phases as phases_module
from subscriptions.cadence import INTERVAL_S, PHASES, Mode
from subscriptions.client import Client
from subscriptions.errors import Refused
from subscriptions.feeds import NATIVE_QUOTES, Minute, NativeWire, Source, State
from subscriptions.phases import Phases
from subscriptions.states import NOWHERE, States
from tests.subscriptions.conftest import PATIENCE_S


class Bars:
    """Another protocol's minutes, in words that the native wire can join."""

    source = Source.MINUTE

    def part(self, minute: Minute) -> str:
        return f'{{"s":"{minute.symbol}","minute":{minute.start_s}}}'


class Trades:
    """Another protocol's prices: only those with a size are trades."""

    source = Source.QUOTE

    def part(self, state: State) -> str | None:
        return f'{{"s":"{state.symbol}","trade":{state.number}}}' if state.size else None


class Faulty:
    source = Source.QUOTE

    def part(self, _state: State) -> str:
        raise ZeroDivisionError


BARS, TRADES = Bars(), Trades()
SENDING = [mode for mode in Mode if mode is not Mode.PAUSED]


class Reader:
    """Takes frames at once, or not at all while it is `busy`."""

    def __init__(self, table: Table, wire: NativeWire | None = None) -> None:
        self.frames: list[list[dict[str, Any]]] = []
        self.busy = False
        self.client = Client(self._take, wire=wire or NativeWire())
        self.client.waits = lambda _now: self.busy  # type: ignore[method-assign]
        self._table = table

    async def _take(self, text: str) -> None:
        message = orjson.loads(text)
        if message["type"] == "quotes":
            self.frames.append(message["q"])

    def follow(self, *symbols: str, feed: Any = NATIVE_QUOTES) -> None:
        for symbol in symbols:
            self._table.phases.follow(self.client, symbol, feed)

    def wants(self, mode: Mode) -> None:
        self.client.cadence.chosen = mode
        self._table.phases.place(self.client)

    @property
    def numbers(self) -> list[int]:
        return [part["n"] for frame in self.frames for part in frame]


# `Client` has slots, and a reader decides itself whether it is busy.
class Client(Client):  # type: ignore[no-redef]
    __slots__ = ("waits",)


class Table:
    """States and phases as the hub puts them together."""

    def __init__(self) -> None:
        self.states = States()
        self.told: list[set[str]] = []
        self.phases = Phases(self.states, lambda _client, symbols: self.told.append(symbols))
        self._numbers: Counter[str] = Counter()

    def reader(self, *symbols: str, mode: Mode = Mode.LIVE, **options: Any) -> Reader:
        reader = Reader(self, **options)
        reader.wants(mode)
        reader.follow(*symbols)
        return reader

    def publish(self, *symbols: str, size: int = 0, epoch: int = 1) -> None:
        for symbol in symbols:
            self._numbers[symbol] += 1
            number = self._numbers[symbol]
            text = f'{{"s":"{symbol}","e":{epoch},"n":{number}}}'
            assert self.states.take(State(symbol, (epoch, number), text, size=size))
            self.phases.mark(symbol)

    def close_minute(self, symbol: str, start_s: int) -> None:
        assert self.states.take_minute(Minute(symbol, 1, start_s, "1", "1", "1", "1", 1))
        self.phases.mark(symbol, Source.MINUTE)

    def flush(self, *modes: Mode) -> None:
        for mode in modes or (Mode.LIVE,):
            for phase in self.phases._of[mode]:
                phase.flush(self.states, self.phases._after)


@pytest.fixture
def table() -> Table:
    return Table()


# --- one frame, and no state twice


def test_one_beat_is_one_frame_with_the_newest_of_each(table):
    reader = table.reader("A", "B")
    table.publish("A", "A", "B", "A")
    table.flush()
    table.flush()
    (frame,) = reader.frames
    assert sorted((part["s"], part["n"]) for part in frame) == [("A", 3), ("B", 1)]


def test_nobody_gets_what_others_follow(table):
    one, other = table.reader("A"), table.reader("B")
    table.publish("A")
    table.flush()
    assert (one.numbers, other.frames) == ([1], [])


def test_who_was_busy_gets_what_it_missed_and_what_is_new_in_one_frame_and_nothing_twice(table):
    reader = table.reader("A", "B", "C")
    table.publish("A", "B")
    reader.busy = True
    table.flush()
    table.publish("A", "C")
    reader.busy = False
    table.flush()
    table.flush()
    (frame,) = reader.frames
    assert sorted((part["s"], part["n"]) for part in frame) == [("A", 2), ("B", 1), ("C", 1)]
    assert (reader.client.missed, table.told) == (set(), [{"A", "C"}])


def test_who_was_busy_and_has_no_news_gets_what_it_missed(table):
    reader = table.reader("A", "B")
    reader.busy = True
    for _ in range(50):
        table.publish("A")
        table.flush()
    reader.busy = False
    table.flush()
    assert (reader.frames, table.told) == ([[{"s": "A", "e": 1, "n": 50}]], [{"A"}])


def test_what_was_missed_and_is_not_followed_any_more_is_not_sent(table):
    reader = table.reader("A")
    reader.busy = True
    table.publish("A")
    table.flush()
    table.phases.unfollow(reader.client, "A", NATIVE_QUOTES)
    reader.busy = False
    table.flush()
    assert (reader.frames, reader.client.missed, reader.client.known) == ([], set(), {})


def test_who_comes_between_a_change_and_its_beat_is_not_sent_what_its_snapshot_has_told(table):
    table.reader("A")
    table.publish("A")
    reader = table.reader("A")
    table.flush()
    assert reader.frames == []
    table.publish("A")
    table.flush()
    assert reader.numbers == [2]


def test_who_is_told_something_by_another_way_is_not_sent_it(table):
    reader = table.reader("A")
    table.publish("A", "A")
    table.phases.follow(reader.client, "A", NATIVE_QUOTES, (1, 2))  # subscribed again: a new snapshot
    table.flush()
    assert reader.frames == []
    table.publish("A")
    table.flush()
    assert reader.numbers == [3]


def test_what_was_heard_while_the_snapshot_was_read_is_due(table):
    table.reader("A")
    table.publish("A", "A")
    reader = table.reader()
    table.phases.follow(reader.client, "A", NATIVE_QUOTES, (1, 1))
    table.phases.catch_up(reader.client, "A")
    table.flush()
    table.flush()
    assert reader.numbers == [2]


def test_following_twice_is_following_once(table):
    reader = table.reader("A")
    reader.follow("A")
    table.publish("A")
    table.flush()
    assert reader.numbers == [1]
    table.phases.unfollow(reader.client, "A", NATIVE_QUOTES)
    table.phases.unfollow(reader.client, "A", NATIVE_QUOTES)
    table.publish("A")
    table.flush()
    assert reader.numbers == [1]


def test_who_is_gone_may_be_told_to_stop_following(table):
    reader = table.reader("A")
    table.phases.take_out(reader.client)
    table.phases.take_out(reader.client)
    table.phases.unfollow(reader.client, "A", NATIVE_QUOTES)
    table.publish("A")
    table.flush()
    assert reader.frames == []


# --- changing the cadence


def test_paused_gets_nothing_and_on_resume_the_newest_at_once(table):
    reader = table.reader("A", "B", mode=Mode.PAUSED)
    table.publish("A", "A", "B", "A")
    table.flush(*SENDING)
    assert reader.frames == []

    reader.wants(Mode.LIVE)
    table.flush()

    (frame,) = reader.frames
    assert sorted((part["s"], part["n"]) for part in frame) == [("A", 3), ("B", 1)]


def test_a_change_of_mode_neither_loses_nor_repeats(table):
    reader = table.reader("A", "B")
    table.publish("A")
    reader.wants(Mode.SECOND)  # before the beat
    table.flush(*SENDING)
    assert reader.numbers == [1]
    table.publish("B")
    table.flush(*SENDING)
    table.reader("A", "B")  # somebody else in the phase that is waiting
    for mode in (Mode.LIVE, Mode.FIVE_SECONDS, Mode.PAUSED, Mode.SECOND, Mode.LIVE):
        reader.wants(mode)
        table.flush(*SENDING)
    assert len(reader.numbers) == 2


def test_who_moves_into_a_phase_that_is_about_to_be_flushed_is_not_sent_what_it_has_had(table):
    """The changes there are from before it came."""
    slow = [table.reader("A", mode=Mode.SECOND) for _ in range(PHASES[Mode.SECOND])]
    reader = table.reader("A")
    table.publish("A")
    table.flush(Mode.LIVE)
    reader.wants(Mode.SECOND)
    table.flush(Mode.SECOND)
    assert reader.numbers == [1]
    assert [one.numbers for one in slow] == [[1]] * len(slow)


def test_the_same_mode_again_leaves_a_client_where_it_is(table):
    reader = table.reader("A")
    phase = reader.client.phase
    reader.wants(Mode.LIVE)
    assert reader.client.phase is phase


def test_phases_are_equally_full(table):
    readers = [table.reader("A") for _ in range(PHASES[Mode.LIVE] * 7)]
    assert set(Counter(reader.client.phase for reader in readers).values()) == {7}


# --- several forms of one ticker


def test_prices_trades_and_minutes_of_one_ticker_do_not_stand_in_each_others_way(table):
    reader = table.reader("A")
    reader.follow("A", feed=TRADES)
    reader.follow("A", feed=BARS)
    table.publish("A", size=5)
    table.close_minute("A", 60)
    table.flush()
    table.close_minute("A", 120)
    table.publish("A")  # no trade
    table.flush()
    parts = [sorted(map(tuple, map(dict.items, frame))) for frame in reader.frames]
    assert parts == [
        sorted(map(tuple, map(dict.items, frame)))
        for frame in (
            [{"s": "A", "e": 1, "n": 1}, {"s": "A", "trade": 1}, {"s": "A", "minute": 60}],
            [{"s": "A", "e": 1, "n": 2}, {"s": "A", "minute": 120}],
        )
    ]


def test_a_minute_does_not_make_a_price_news_that_was_told_before(table):
    table.reader("A")
    table.publish("A")
    reader = table.reader("A")
    reader.follow("A", feed=BARS)
    table.close_minute("A", 60)
    table.flush()
    assert reader.frames == [[{"s": "A", "minute": 60}]]


def test_a_minute_that_somebody_busy_missed_is_told_afterwards_and_the_price_is_not_told_again(table):
    reader = table.reader("A")
    reader.follow("A", feed=BARS)
    table.publish("A")
    table.flush()
    reader.busy = True
    table.close_minute("A", 60)
    table.flush()
    reader.busy = False
    table.flush()
    assert reader.frames == [[{"s": "A", "e": 1, "n": 1}], [{"s": "A", "minute": 60}]]


def test_a_minute_is_told_once_also_to_who_moves(table):
    slow = [table.reader(mode=Mode.SECOND) for _ in range(PHASES[Mode.SECOND])]
    for one in slow:
        one.follow("A", feed=BARS)
    reader = table.reader()
    reader.follow("A", feed=BARS)
    table.close_minute("A", 60)
    table.flush(Mode.LIVE)
    reader.wants(Mode.SECOND)
    table.flush(Mode.SECOND)
    assert reader.frames == [[{"s": "A", "minute": 60}]]


def test_giving_up_one_form_keeps_the_others(table):
    reader = table.reader("A")
    reader.follow("A", feed=TRADES)
    table.phases.unfollow(reader.client, "A", NATIVE_QUOTES)
    table.publish("A", size=1)
    table.flush()
    assert reader.frames == [[{"s": "A", "trade": 1}]]
    assert list(reader.client.symbols) == ["A"]


# --- mistakes of ours


def test_a_form_that_cannot_be_written_harms_nobody_else(table, caplog):
    phases_module._told.clear()
    faulty, fine = table.reader("B"), table.reader("A", "B")
    faulty.follow("A", feed=Faulty())
    for _ in range(3):
        table.publish("A", "B")
        table.flush()
    assert (len(fine.numbers), faulty.numbers) == (6, [1, 2, 3])
    assert caplog.text.count("cannot write") == 1


def test_a_protocol_that_cannot_join_its_words_harms_nobody_else_and_its_client_misses_nothing(table, caplog):
    phases_module._told.clear()

    class Broken(NativeWire):
        broken = True

        def frame(self, parts: list[str]) -> str:
            if self.broken:
                raise ZeroDivisionError
            return super().frame(parts)

    wire = Broken()
    readers = [table.reader("A") for _ in range(5)] + [table.reader("A", wire=wire)] + [table.reader("A")]
    table.publish("A")
    table.flush()
    table.flush()
    assert [reader.numbers for reader in readers] == [[1]] * 5 + [[]] + [[1]]
    wire.broken = False
    table.flush()
    assert readers[5].numbers == [1]
    assert caplog.text.count("cannot write") == 1


# --- the clocks


def test_nothing_is_left_of_who_is_gone(table):
    readers = [table.reader("A", "B", mode=mode) for mode in Mode for _ in range(3)]
    for reader in readers:
        reader.follow("A", feed=BARS)
    table.publish("A", "B")
    for reader in readers:
        reader.busy = True
    table.flush(*SENDING)
    for reader in readers:
        table.phases.take_out(reader.client)
    assert table.phases._with == {}
    for phases in table.phases._of.values():
        for phase in phases:
            assert (phase.clients, phase.behind, phase.followers, phase.changed) == (set(), set(), {}, set())


async def ticks(table: Table, monkeypatch: pytest.MonkeyPatch, moments: list[float]) -> None:
    """The slow phases are looked at in these moments."""

    async def at_once(_seconds: float) -> None:
        return

    monkeypatch.setattr(phases_module.asyncio, "sleep", at_once)
    for moment in moments:
        monkeypatch.setattr(clock, "monotonic", lambda now=moment: now)
        table.publish("A")
        await table.phases.flush_slow()


@pytest.mark.parametrize("mode", [Mode.SECOND, Mode.FIVE_SECONDS, Mode.HALF_MINUTE])
async def test_a_slow_client_gets_one_frame_per_interval_with_the_newest_only(table, monkeypatch, mode):
    begin = 1_000_003.0
    await ticks(table, monkeypatch, [begin])
    readers = [table.reader("A", mode=mode) for _ in range(PHASES[mode])]
    steps = round(4 * INTERVAL_S[mode] / 0.05)
    await ticks(table, monkeypatch, [begin + 0.05 * step for step in range(1, steps + 1)])
    assert [len(reader.frames) for reader in readers] == [4] * len(readers)
    assert [len(frame) for reader in readers for frame in reader.frames] == [1] * 4 * len(readers)
    newest = sorted(reader.numbers[-1] for reader in readers)
    assert newest[-1] - newest[0] < INTERVAL_S[mode] / 0.05  # spread over one interval
    assert len(set(newest)) == len(readers)


async def test_after_a_standstill_nobody_gets_two_frames_at_once(table, monkeypatch):
    begin = 1_000_003.0
    await ticks(table, monkeypatch, [begin])
    readers = [table.reader("A", mode=Mode.SECOND) for _ in range(PHASES[Mode.SECOND])]
    await ticks(table, monkeypatch, [begin + 0.05 * step for step in range(1, 21)])
    for reader in readers:
        reader.frames.clear()
    late = begin + 1.0 + 17.37  # the process stood still
    await ticks(table, monkeypatch, [late, late])
    assert [len(reader.frames) for reader in readers] == [1] * len(readers)


async def test_the_live_clock_sleeps_while_there_is_no_news_and_wakes_for_each(table):
    reader = table.reader("A")
    clockwork = asyncio.create_task(turning(table))
    for number in range(1, 6):
        table.publish("A")
        async with asyncio.timeout(PATIENCE_S):
            while reader.numbers[-1:] != [number]:
                await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_S):
            while table.phases._news.is_set():
                await asyncio.sleep(0)
    assert reader.numbers == [1, 2, 3, 4, 5]
    clockwork.cancel()


async def turning(table: Table) -> None:
    while True:
        await table.phases.flush_live()


# --- whatever happens


SYMBOLS = ("A", "B", "C")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(SYMBOLS)),
        st.tuples(st.just("epoch"), st.sampled_from(SYMBOLS)),
        st.tuples(st.just("flush"), st.sampled_from(SENDING)),
        st.tuples(st.just("flush"), st.just(None)),
        st.tuples(st.just("mode"), st.sampled_from(list(Mode))),
        st.tuples(st.just("bears"), st.sampled_from([Mode.LIVE, Mode.SECOND, Mode.HALF_MINUTE])),
        st.tuples(st.just("tier"), st.sampled_from([Mode.LIVE, Mode.SECOND])),
        st.tuples(st.just("busy"), st.booleans()),
        st.tuples(st.just("follow"), st.sampled_from(SYMBOLS)),
        st.tuples(st.just("unfollow"), st.sampled_from(SYMBOLS)),
    ),
    min_size=10,
    max_size=60,
)


class Story:
    """One client among others, and what it has been told; each step is a method."""

    def __init__(self) -> None:
        self.table = Table()
        for mode in (*Mode, *Mode):
            self.table.reader(*SYMBOLS, mode=mode)
        self.reader = self.table.reader(*SYMBOLS)
        self.client = self.reader.client
        self.told: dict[str, tuple[int, int]] = {}
        self._epoch = 1
        self._seen = 0

    def look(self) -> None:
        for frame in self.reader.frames[self._seen :]:
            assert len({part["s"] for part in frame}) == len(frame)
            for part in frame:
                position = (part["e"], part["n"])
                assert position > self.told.get(part["s"], (0, 0))
                self.told[part["s"]] = position
        self._seen = len(self.reader.frames)

    def publish(self, symbol: str) -> None:
        self.table.publish(symbol, epoch=self._epoch)

    def epoch(self, symbol: str) -> None:
        self._epoch += 1
        self.publish(symbol)

    def flush(self, mode: Mode | None) -> None:
        self.table.flush(*([mode] if mode else SENDING))

    def mode(self, mode: Mode) -> None:
        self.reader.wants(mode)

    def bears(self, mode: Mode) -> None:
        self.client.cadence.bearable = mode
        self.table.phases.place(self.client)

    def tier(self, mode: Mode) -> None:
        self.client.cadence.fastest = mode
        self.table.phases.place(self.client)

    def busy(self, busy: bool) -> None:
        self.reader.busy = busy

    def follow(self, symbol: str) -> None:
        """With a snapshot that tells the newest."""
        position = self.table.states.position(symbol)
        self.table.phases.follow(self.client, symbol, NATIVE_QUOTES, position)
        self.told[symbol] = max(position, self.told.get(symbol, position))

    def unfollow(self, symbol: str) -> None:
        self.table.phases.unfollow(self.client, symbol, NATIVE_QUOTES)
        self.told.pop(symbol, None)


@settings(max_examples=200)
@given(STEPS)
def test_whatever_happens_positions_rise_and_the_end_is_the_newest(steps):
    """Between changes of mode, busy times, subscriptions and new owners of the tape."""
    story = Story()
    for what, value in steps:
        getattr(story, what)(value)
        story.look()
    symbols = set(story.client.symbols)
    assert {symbol for symbol, _ in (*story.client.missed, *story.client.known)} <= symbols

    for what, value in (("busy", False), ("bears", Mode.LIVE), ("tier", Mode.LIVE), ("mode", Mode.LIVE)):
        getattr(story, what)(value)
    story.flush(Mode.LIVE)
    story.look()

    assert {symbol: story.told.get(symbol, NOWHERE) for symbol in symbols} == {
        symbol: story.table.states.position(symbol) for symbol in symbols
    }


def test_an_ended_client_is_sent_nothing(table):
    reader = table.reader("A")
    reader.client.end(Refused("restarting", "No."))
    table.publish("A")
    table.flush()
    assert reader.frames == []
