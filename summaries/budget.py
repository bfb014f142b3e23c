"""How far a budget is used up, and what may still be bought then. Pure: whole femto-dollars in, a step out.

A step begins exactly at its percentage, and at 100 % nothing is bought. Of several budgets the one that is used up
furthest decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from summaries.kinds import Step

FEMTO_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Percents:
    """From how much of a budget on each step is reached."""

    warn: int = 80
    cheaper: int = 90
    cached_only: int = 95


def femto_of(usd: Decimal) -> int:
    """A limit in femto-dollars; what is finer than that is not granted."""
    return int(usd.scaleb(FEMTO_DIGITS).to_integral_value(ROUND_DOWN))


def usd_of(femto: int) -> Decimal:
    return Decimal(femto).scaleb(-FEMTO_DIGITS)


def step_of(limit_femto: int, used_femto: int, percents: Percents) -> Step:
    """Without a division, so that nothing is rounded."""
    if used_femto >= limit_femto:
        return Step.EXTRACTIVE
    thresholds = (
        (Step.CACHED_ONLY, percents.cached_only),
        (Step.CHEAPER, percents.cheaper),
        (Step.WARN, percents.warn),
    )
    return next(
        (step for step, percent in thresholds if 100 * used_femto >= percent * limit_femto), Step.NORMAL
    )


def worst(steps: Iterable[Step]) -> Step:
    return max(steps, default=Step.NORMAL)


def allows(step: Step, *, is_renewal: bool) -> bool:
    """Whether anything may be bought; a renewal is what has a text already."""
    return step < (Step.CACHED_ONLY if is_renewal else Step.EXTRACTIVE)


def wants_cheaper(step: Step) -> bool:
    return step >= Step.CHEAPER
