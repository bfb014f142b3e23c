"""Who caused what was paid: each purchase is split over its symbols, each share over those who wanted the ticker then.

Everything is a whole number of parts (1e-24 US dollar) and every split hands out exactly what it was given: the sum of
what is attributed is the sum of what was billed, to the last part. What nobody wanted lies with "nobody", what serves
all (demo tickers, calls without a symbol, fees of a provider that was not used) with the house, which counts as one
more person who wants the demo tickers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

PARTS_PER_FEMTO = 10**9
PARTS = 10**24
# The name under which costs without a ticker stand.
NO_TICKER = ""


@dataclass(frozen=True, slots=True)
class Purchase:
    """One call that was billed. `cost` in parts; `usage` in whatever whole unit its provider's purchases share."""

    at: int
    provider: str
    symbols: tuple[str, ...]
    cost: int
    usage: int = 1
    label: str = ""
    is_text: bool = False
    """Bought of a language model: it is not among what was asked for of market data."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody wanted a ticker from `start` until `end`, which is no longer part of it; None is still lasting."""

    user: str
    symbol: str
    start: int
    end: int | None = None


@dataclass(slots=True)
class Amount:
    """What something cost, in parts, and what it would have cost had each paid for himself."""

    cost: int = 0
    unshared: int = 0

    def add(self, cost: int, unshared: int) -> None:
        self.cost += cost
        self.unshared += unshared


@dataclass
class Attribution:
    """`users` hold what each pays and, unshared, what he would pay alone; so do the tickers of each user."""

    users: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    user_tickers: dict[tuple[str, str], Amount] = field(default_factory=lambda: defaultdict(Amount))
    tickers: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    watchers: dict[str, int] = field(default_factory=dict)
    labels: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    fees: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    house: Amount = field(default_factory=Amount)
    nobody: int = 0
    asked: Amount = field(default_factory=Amount)
    """Not money: how many symbols providers were asked for, and how many it would be if each asked for his own."""

    @property
    def attributed(self) -> int:
        return sum(amount.cost for amount in self.users.values()) + self.house.cost + self.nobody

    @property
    def total(self) -> Amount:
        """What was billed in all, and what it would have been without sharing."""
        all_of = self.tickers.values()
        return Amount(sum(one.cost for one in all_of), sum(one.unshared for one in all_of))


class _Timeline:
    """One ticker: segments of time in which the same number of people wanted it, and what was bought in each."""

    def __init__(self, wishes: Sequence[Wish], *, house: bool) -> None:
        self.house = house
        self.wishes = wishes
        steps: dict[int, int] = defaultdict(int)
        for wish in wishes:
            steps[wish.start] += 1
            if wish.end is not None:
                steps[wish.end] -= 1
        self.boundaries = sorted(steps)
        self.wanters = list(accumulate((steps[at] for at in self.boundaries), initial=int(house)))
        self.cost: dict[int, int] = defaultdict(int)
        self.usage: dict[tuple[str, int], int] = defaultdict(int)

    def payers(self, segment: int) -> int:
        """By how many the cost is multiplied when nothing is shared; what nobody wanted is bought once all the same."""
        return max(self.wanters[segment], 1)

    def span_of(self, wish: Wish) -> tuple[int, int]:
        first = bisect_right(self.boundaries, wish.start)
        return first, len(self.wanters) if wish.end is None else bisect_right(self.boundaries, wish.end)

    def one_who_wants(self, segment: int) -> str | None:
        """Any person; None for the house."""
        if self.house:
            return None
        return next(wish.user for wish in self.wishes if (span := self.span_of(wish))[0] <= segment < span[1])


def attribute(
    purchases: Iterable[Purchase],
    wishes: Iterable[Wish],
    *,
    house: Collection[str] = (),
    fees: Mapping[str, int] | None = None,
) -> Attribution:
    """Split what was paid. `house` names the demo tickers; `fees` what each provider billed beside the purchases."""
    found = Attribution()
    timelines = _timelines(wishes, house)
    for symbol, timeline in timelines.items():
        found.watchers[symbol] = len({wish.user for wish in timeline.wishes})
    for group in _grouped(purchases):
        _spread(group, timelines, frozenset(house), found)
    for provider, fee in sorted((fees or {}).items()):
        _spread_fee(provider, fee, timelines, found)
    for symbol, timeline in timelines.items():
        _settle(symbol, timeline, found)
    return found


def _timelines(wishes: Iterable[Wish], house: Collection[str]) -> dict[str, _Timeline]:
    by_symbol: dict[str, list[Wish]] = {symbol: [] for symbol in house}
    for wish in wishes:
        by_symbol.setdefault(wish.symbol, []).append(wish)
    return {
        symbol: _Timeline(list(_merged(found)), house=symbol in house) for symbol, found in by_symbol.items()
    }


def _merged(wishes: list[Wish]) -> Iterator[Wish]:
    """A person counts once, also where two of his intervals overlap."""
    current: Wish | None = None
    for wish in sorted(wishes, key=lambda one: (one.user, one.start)):
        if wish.end is not None and wish.end <= wish.start:
            continue
        if current and current.user == wish.user and (current.end is None or wish.start <= current.end):
            last = None if current.end is None or wish.end is None else max(current.end, wish.end)
            current = Wish(current.user, current.symbol, current.start, last)
            continue
        if current:
            yield current
        current = wish
    if current:
        yield current


@dataclass(slots=True)
class _Group:
    """Purchases of the same symbols: walked together, since a batch is usually asked for again and again."""

    provider: str
    label: str
    symbols: tuple[str, ...]
    times: list[int]
    costs: list[int]
    usages: list[int]
    is_text: bool


def _grouped(purchases: Iterable[Purchase]) -> Iterator[_Group]:
    alike: dict[tuple[str, str, tuple[str, ...], bool], list[Purchase]] = defaultdict(list)
    for purchase in purchases:
        alike[purchase.provider, purchase.label, purchase.symbols, purchase.is_text].append(purchase)
    for (provider, label, symbols, is_text), found in alike.items():
        found.sort(key=lambda one: one.at)
        yield _Group(
            provider,
            label,
            symbols,
            times=[one.at for one in found],
            costs=list(accumulate((one.cost for one in found), initial=0)),
            usages=list(accumulate((one.usage * PARTS_PER_FEMTO for one in found), initial=0)),
            is_text=is_text,
        )


def _spread(
    group: _Group, timelines: dict[str, _Timeline], house: frozenset[str], found: Attribution
) -> None:
    """An equal share of each purchase to each of its symbols, in the segment in which it was made."""
    number = len(group.symbols)
    if not number:
        _to_house(group.costs[-1], found)
        found.labels[group.label].add(group.costs[-1], group.costs[-1])
        return
    amount = found.labels[group.label]
    for position, symbol in enumerate(group.symbols):
        timeline = timelines.get(symbol)
        if timeline is None:
            timeline = timelines[symbol] = _Timeline((), house=symbol in house)
        for segment, first, after in _segments(group.times, timeline.boundaries):
            cost = share(group.costs[after], position, number) - share(group.costs[first], position, number)
            usage = share(group.usages[after], position, number) - share(
                group.usages[first], position, number
            )
            timeline.cost[segment] += cost
            timeline.usage[group.provider, segment] += usage
            payers = timeline.payers(segment)
            amount.add(cost, cost * payers)
            if not group.is_text:
                found.asked.add(after - first, (after - first) * payers)


def _segments(times: Sequence[int], boundaries: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(segment, first, after): the purchases first..after-1 lie in it. Only segments with a purchase are visited."""
    first = 0
    while first < len(times):
        segment = bisect_right(boundaries, times[first])
        after = bisect_left(times, boundaries[segment], first) if segment < len(boundaries) else len(times)
        yield segment, first, after
        first = after


def share(amount: int, position: int, number: int) -> int:
    """The part of one of `number` equal ones: they differ by at most 1 and add up to the amount."""
    return amount * (position + 1) // number - amount * position // number


def _spread_fee(provider: str, fee: int, timelines: dict[str, _Timeline], found: Attribution) -> None:
    """By usage over what this provider was asked for; to the house if it was asked for nothing."""
    used = [
        (timeline, segment, usage)
        for timeline in timelines.values()
        for (name, segment), usage in timeline.usage.items()
        if name == provider and usage
    ]
    total = sum(usage for _, _, usage in used)
    if not total:
        _to_house(fee, found)
        found.fees[provider].add(fee, fee)
        return
    before = 0
    for timeline, segment, usage in used:
        share = fee * (before + usage) // total - fee * before // total
        before += usage
        timeline.cost[segment] += share
        found.fees[provider].add(share, share * timeline.payers(segment))


def _to_house(cost: int, found: Attribution) -> None:
    found.house.add(cost, cost)
    found.tickers[NO_TICKER].add(cost, cost)


def _settle(symbol: str, timeline: _Timeline, found: Attribution) -> None:
    """Each segment's cost equally to those who wanted the ticker in it."""
    alone, heads = _per_head(symbol, timeline, found)
    for wish in timeline.wishes:
        first, after = timeline.span_of(wish)
        mine, by_myself = heads[after] - heads[first], alone[after] - alone[first]
        found.users[wish.user].add(mine, by_myself)
        found.user_tickers[wish.user, symbol].add(mine, by_myself)
    if timeline.house:
        found.house.add(heads[-1], alone[-1])


def _per_head(symbol: str, timeline: _Timeline, found: Attribution) -> tuple[list[int], list[int]]:
    """Up to each segment: what one who wanted the ticker all the time would pay alone, and what he pays.

    What does not divide goes into the next segment, and in the end to one of those who paid last.
    """
    alone, heads = [0], [0]
    rest, last = 0, None
    for segment, wanters in enumerate(timeline.wanters):
        cost = timeline.cost.get(segment, 0)
        found.tickers[symbol].add(cost, cost * timeline.payers(segment))
        head = 0
        if cost and not wanters:
            found.nobody += cost
        elif cost:
            head, rest = divmod(cost + rest, wanters)
            last = segment
        heads.append(heads[-1] + head)
        alone.append(alone[-1] + (cost if wanters else 0))
    if last is not None and rest:
        _give(timeline.one_who_wants(last), symbol, rest, found)
    return alone, heads


def _give(user: str | None, symbol: str, parts: int, found: Attribution) -> None:
    if user is None:
        found.house.cost += parts
        return
    found.users[user].cost += parts
    found.user_tickers[user, symbol].cost += parts


def rounded(amounts: Mapping[str, int], unit: int, total: int) -> dict[str, int]:
    """Each amount in whole units, so that they add up to the rounded total: the largest remainders are rounded up."""
    found = {name: amount // unit for name, amount in amounts.items()}
    missing = round_half_up(total, unit) - sum(found.values())
    for name in sorted(amounts, key=lambda one: (-(amounts[one] % unit), one))[: max(missing, 0)]:
        found[name] += 1
    return found


def round_half_up(amount: int, unit: int) -> int:
    return (2 * amount + unit) // (2 * unit)
