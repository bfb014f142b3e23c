"""What may not happen on the way from the publisher to a screen. Pure: plain values in, complaints out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.fan_out.values import Held, Position, right_millionths

SHOWN = 3


@dataclass
class Findings:
    """`violations` are told by the load client for every delivered value; the others concern the end."""

    violations: int = 0
    lost_finals: int = 0
    wrong_finals: int = 0
    held: int = 0
    complaints: list[str] = field(default_factory=list)

    def complain(self, count: int, what: str) -> None:
        if count:
            self.complaints.append(f"{count} {what}")


def right_finals(
    symbols: Sequence[str], epoch: int, numbers: Sequence[int]
) -> dict[str, tuple[Position, int]]:
    """What everybody must hold of each symbol: the last position that was published, and its price."""
    return {
        symbol: ((epoch, number), right_millionths(ticker, number))
        for ticker, (symbol, number) in enumerate(zip(symbols, numbers, strict=True))
        if number
    }


def judge(
    status: Mapping[str, Any], held: Iterable[Held], right: Mapping[str, tuple[Position, int]]
) -> Findings:
    """Every delivered value rose and was right, and everybody who is connected holds the last of all he follows."""
    found = Findings(violations=status["falling"] + status["repeated"])
    found.complain(status["falling"], "positions fell")
    found.complain(status["repeated"], "positions were told twice")
    found.complain(status["changed"], "values changed without a new position")
    found.complain(status["wrong"], "delivered prices were not what was published with their number")
    found.complain(status["foreign"], "values of symbols that the connection does not follow")
    found.complain(status["broken"], "frames that nobody may send")
    _judge_finals(held, right, found)
    return found


def _judge_finals(held: Iterable[Held], right: Mapping[str, tuple[Position, int]], found: Findings) -> None:
    examples = []
    for one in held:
        if not one.open or one.symbol not in right:
            continue
        found.held += 1
        position, price = right[one.symbol]
        if one.position != position:
            found.lost_finals += 1
            examples.append(f"connection {one.connection} has {one.symbol} at {one.position}, not {position}")
        elif one.price != price:
            found.wrong_finals += 1
    found.complain(found.lost_finals, f"last values were lost, such as {examples[:SHOWN]}")
    found.complain(found.wrong_finals, "last values have a wrong price")
    if right and not found.held:
        found.complaints.append("nobody was left to hold a last value")
