"""A user wants analyses of a ticker made anew: what their tier allows, and what becomes of the wish.

Nobody waits for a model here. What is not bought now, and why, is an answer like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from accounts.models import User
from core import clock
from marketdata.models import Ticker
from summaries import allowance, analyses, budget, modelbook, spending
from summaries.errors import PersonaLocked
from summaries.kinds import Lane, OrderState, Persona, Step
from summaries.models import BudgetScope, Order

# An order that is queued and will not be asked for yet; no state of the order itself.
RESTING = "resting"


class Why(StrEnum):
    """Why nothing is bought now."""

    BUDGET = "budget"
    NO_MODEL = "no_model"
    NO_FUNDAMENTALS = "no_fundamentals"
    """They are asked for."""
    NO_PRICE = "no_price"
    OTHER_CURRENCY = "other_currency"
    """Of the figures than of the price."""
    NO_SCORE = "no_score"
    """Too few figures are known for one in this style."""
    LATER = "later"
    """The model did not answer lately, and is asked again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has become of the wish for one persona: a word of `OrderState`, or RESTING with its reason."""

    persona: Persona
    state: str
    why: Why | None = None
    until: datetime | None = None


def personas_of(user: User) -> tuple[Persona, ...]:
    return tuple(Persona(name) for name in user.limits.personas)


def want(user: User, ticker: Ticker, personas: Sequence[Persona] = ()) -> list[Wanted]:
    """Of these personas, or of all that the user has; raises PersonaLocked and TooManyRefreshes."""
    own = personas_of(user)
    wanted = list(dict.fromkeys(personas)) or list(own)
    for persona in wanted:
        if persona not in own:
            raise PersonaLocked(persona.value, analyses.LABELS[persona])
    taken = allowance.take(user)
    ordered = analyses.refresh(ticker, wanted, lane=Lane.INTERACTIVE, tier=user.tier)
    found = _by_persona(ordered)
    if not found:
        allowance.give_back(user, taken)
    missing = [persona for persona in wanted if persona not in found]
    without = _without_order(ticker, missing) if missing else {}
    step = step_for(user.tier) if found else Step.NORMAL
    return [
        _state(persona, found[persona], step) if persona in found else without[persona] for persona in wanted
    ]


def step_for(tier: str) -> Step:
    """Of the budgets that bind what a user of this tier waits for."""
    mine = {
        (BudgetScope.DAY.value, ""),
        (BudgetScope.LANE.value, Lane.INTERACTIVE.value),
        (BudgetScope.TIER.value, tier),
    }
    return budget.worst(one.step for one in spending.standing() if (str(one.scope), one.name) in mine)


def _by_persona(orders: Sequence[Order]) -> dict[Persona, Order]:
    rows = Order.objects.filter(pk__in=[order.pk for order in orders]).select_related("analysis")
    return {Persona(row.analysis.persona): row for row in rows if row.analysis}


def _state(persona: Persona, order: Order, step: Step) -> Wanted:
    now = clock.now()
    if order.state != OrderState.QUEUED.value:
        return Wanted(persona, order.state)
    if not budget.allows(step, is_renewal=order.is_renewal):
        return Wanted(persona, RESTING, Why.BUDGET, tomorrow(now))
    if order.not_before > now:
        return Wanted(persona, RESTING, Why.LATER, order.not_before)
    return Wanted(persona, order.state)


def _without_order(ticker: Ticker, personas: Sequence[Persona]) -> dict[Persona, Wanted]:
    """Nothing can be written of them, by nobody, or a model wrote of these very figures already."""
    seen = analyses.look(ticker, personas, clock.now())
    cards = {card.persona: card for card in seen.cards}
    return {
        persona: _as_seen(cards[persona]) if persona in cards else Wanted(persona, RESTING, Why(seen.reason))
        for persona in personas
    }


def _as_seen(card: analyses.Card) -> Wanted:
    if card.is_generated:
        return Wanted(card.persona, OrderState.DONE.value)
    if card.score is None:
        return Wanted(card.persona, RESTING, Why.NO_SCORE)
    return Wanted(card.persona, RESTING, Why.LATER if modelbook.wanted_model() else Why.NO_MODEL)


def tomorrow(now: datetime) -> datetime:
    """When a day of the budgets begins."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
