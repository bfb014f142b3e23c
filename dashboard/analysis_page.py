"""Analyses of a ticker as its page shows them: one card per style, and for those of other plans what they look at.

Scores and figures are computed; a model only writes the reasoning. All of it is text, which a page escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from accounts.models import User
from accounts.tiers import Tier, cheapest_with, limits_of
from dashboard import formats
from dashboard.moments import ago_words, clock_words, moment_words, zone_name
from dashboard.rows import source_label
from dashboard.text_labels import label_of
from marketdata.models import Ticker
from summaries import analyses, budget, refreshing
from summaries.analyses import Card, Text
from summaries.kinds import OrderState, Persona
from summaries.measures import Estimate, percent
from summaries.personas import HIGH, LABELS, LOW, Aggregate
from summaries.ratios import Ratio
from summaries.refreshing import Wanted, Why

LOOKS_AT = {
    Persona.BASIC: "Price, profit, growth, debt and dividend, each against plain thresholds.",
    Persona.BUFFETT: "Wide margins, little debt, and a price below what the cash flows are worth.",
    Persona.LYNCH: "Growth at a reasonable price: how much is paid for it, how steady it is, how little is owed.",
    Persona.DCF: "What the cash flows to come are worth today, under nine sets of assumptions.",
}
UNDER_WAY = (OrderState.QUEUED.value, OrderState.RUNNING.value)
STATES = {
    OrderState.QUEUED.value: "A new text is queued",
    OrderState.RUNNING.value: "A new text is being written",
    OrderState.DEAD.value: "The model's text could not be used. What stands here is computed.",
}
COMPUTED = "Computed sentences, no model asked"
NO_REASON = "There is nothing to look at yet."
REASONS = {
    "no_fundamentals": "No figures of its business are known yet. They have been asked for and come within a day.",
    "no_price": "It has no price yet, and a score needs one.",
    "other_currency": "Its figures are in another currency than its price, so they cannot be compared.",
}


def word_of(score: int | None) -> str:
    if score is None:
        return "No score"
    return "High" if score > HIGH else "Low" if score < LOW else "Middle"


@dataclass(frozen=True, slots=True)
class CriterionLine:
    name: str
    points: int
    of: int
    text: str
    rule: str

    @property
    def percent(self) -> int:
        return round(100 * self.points / self.of) if self.of else 0


@dataclass(frozen=True, slots=True)
class InputLine:
    name: str
    value: str
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class OlderText:
    """What a model wrote of earlier figures, shown until it has written of these."""

    sentences: list[str]
    score: int
    moment: str
    label: str

    @classmethod
    def of(cls, text: Text, now: datetime, zone: tzinfo) -> OlderText:
        label = label_of("Reasoning", text.model, text.created_at, zone, without_model=COMPUTED)
        return cls(text.sentences, text.score, moment_words(text.created_at, now, zone), label)


@dataclass(frozen=True, slots=True)
class WorthCell:
    text: str
    is_assumed: bool
    """It is the value that the score is of; the others show how far it depends on what was assumed."""


@dataclass(frozen=True, slots=True)
class WorthTable:
    """The discounted value per share: a row per growth, a column per required return."""

    returns: list[str]
    rows: list[tuple[str, list[WorthCell]]]

    @classmethod
    def of(cls, estimate: Estimate) -> WorthTable:
        grid = estimate.grid
        assumed = (estimate.growth, estimate.discount)
        rows = [
            (
                percent(growth),
                [
                    WorthCell(formats.price(value, 2), (growth, discount) == assumed)
                    for discount, value in zip(grid.discounts, values, strict=True)
                ],
            )
            for growth, values in zip(grid.growths, grid.values, strict=True)
        ]
        return cls([percent(discount) for discount in grid.discounts], rows)


@dataclass(frozen=True, slots=True)
class AnalysisCard:
    """One style that the reader's plan has."""

    card: Card
    criteria: list[CriterionLine]
    inputs: list[InputLine]
    label: str
    older: OlderText | None
    worth: WorthTable | None
    """Of the style that looks at it."""
    state: str
    state_words: str

    is_locked = False

    @property
    def key(self) -> str:
        return self.card.persona.value

    @property
    def word(self) -> str:
        return word_of(self.card.score)

    @property
    def looks_at(self) -> str:
        return LOOKS_AT[self.card.persona]

    @property
    def is_under_way(self) -> bool:
        return self.state in UNDER_WAY

    @property
    def has_rules(self) -> bool:
        return any(one.rule for one in self.criteria)


@dataclass(frozen=True, slots=True)
class LockedCard:
    """One style of a higher plan."""

    persona: Persona

    is_locked = True

    @property
    def key(self) -> str:
        return self.persona.value

    @property
    def label(self) -> str:
        return LABELS[self.persona]

    @property
    def looks_at(self) -> str:
        return LOOKS_AT[self.persona]

    @property
    def plan(self) -> str:
        return limits_of(cheapest_with(self.persona.value)).label


@dataclass(frozen=True, slots=True)
class AnalysisView:
    ticker: Ticker
    cards: list[AnalysisCard | LockedCard]
    aggregate: Aggregate | None
    ratios: list[Ratio]
    reason: str
    """Why there is none; empty where there is one."""
    simulated: bool
    resting: str
    """Why no new text is written today; empty where nothing keeps it."""
    is_visitor: bool

    @classmethod
    def of(cls, ticker: Ticker, user: User | None, now: datetime, zone: tzinfo) -> AnalysisView:
        tier = user.tier if user else Tier.FREE.value
        own = [Persona(name) for name in limits_of(tier).personas]
        seen = analyses.look(ticker, own, now)
        open_cards = [_card(card, seen.estimate, now, zone) for card in seen.cards]
        locked = [LockedCard(persona) for persona in Persona if persona not in own]
        return cls(
            ticker=ticker,
            cards=[*open_cards, *locked],
            aggregate=seen.aggregate,
            ratios=[one for one in seen.ratios if one.text],
            reason=REASONS.get(seen.reason, NO_REASON) if not seen.cards else "",
            simulated=seen.simulated,
            resting=_resting(open_cards, tier, now, zone),
            is_visitor=user is None,
        )

    @property
    def is_under_way(self) -> bool:
        """Whether somebody who waits sees it change soon."""
        return not self.resting and any(
            isinstance(one, AnalysisCard) and one.is_under_way for one in self.cards
        )

    @property
    def aggregate_word(self) -> str:
        return word_of(self.aggregate.score) if self.aggregate else ""


def _card(card: Card, estimate: Estimate | None, now: datetime, zone: tzinfo) -> AnalysisCard:
    state = card.order_state or ""
    if card.is_generated and state not in UNDER_WAY:
        state = ""  # what was wanted is there
    return AnalysisCard(
        card=card,
        criteria=[CriterionLine(one.name, one.points, one.of, one.text, one.rule) for one in card.criteria],
        inputs=[
            InputLine(one.name, one.value, _as_of(one.as_of, zone), source_label(one.source))
            for one in card.inputs
        ],
        label=label_of("Reasoning", card.model, card.created_at, zone, without_model=COMPUTED),
        older=OlderText.of(card.older, now, zone) if card.older else None,
        worth=WorthTable.of(estimate) if estimate and card.persona is Persona.DCF else None,
        state=state,
        state_words=STATES.get(state, ""),
    )


def _as_of(at: date | datetime, zone: tzinfo) -> str:
    """Prices have a moment, figures of a business a day."""
    if not isinstance(at, datetime):
        return formats.day(at)
    return f"{formats.day(at.astimezone(zone).date())}, {clock_words(at, zone)}"


def _resting(cards: Sequence[AnalysisCard], tier: str, now: datetime, zone: tzinfo) -> str:
    """The budget is looked at only where somebody waits for a text."""
    waiting = [one.card for one in cards if one.state == OrderState.QUEUED]
    if not waiting:
        return ""
    newest = max((moment for card in waiting if (moment := _written_at(card))), default=None)
    if budget.allows(refreshing.step_for(tier), is_renewal=newest is not None):
        return ""
    begins = refreshing.tomorrow(now)
    again = f"The next are written from {clock_words(begins, zone)} {zone_name(begins, zone)} on."
    if newest is None:
        return f"Today's budget for new texts is used up. {again}"
    return f"The text is from {ago_words(newest, now)}; today's budget for new ones is used up. {again}"


def _written_at(card: Card) -> datetime | None:
    """When a model last wrote of it."""
    if card.is_generated:
        return card.created_at
    return card.older.created_at if card.older else None


# --- what became of a wish, in one sentence


def wanted_words(wanted: Iterable[Wanted], symbol: str, zone: tzinfo) -> str:
    found = list(wanted)
    if any(one.state in UNDER_WAY for one in found):
        return "New texts are being written; they appear here by themselves or when the page is opened again."
    if any(one.state == OrderState.DEAD for one in found):
        return STATES[OrderState.DEAD.value]
    held = next((one for one in found if one.why is not None), None)
    if held is None or held.why is None:
        return "The texts are of these very figures already."
    until = f"{clock_words(held.until, zone)} {zone_name(held.until, zone)}" if held.until else ""
    return _WHY[held.why].format(symbol=symbol, until=until, at=f"at {until}" if until else "later")


_WHY = {
    Why.BUDGET: "Today's budget for new texts is used up; the next are written from {until} on.",
    Why.NO_MODEL: "Looked at again. No language model is connected, so the sentences are computed.",
    Why.NO_FUNDAMENTALS: "No figures of {symbol} are known yet; they have been asked for.",
    Why.NO_PRICE: "{symbol} has no price yet, and a score needs one.",
    Why.OTHER_CURRENCY: "The figures of {symbol} are in another currency than its price, so there is no score.",
    Why.NO_SCORE: "Too few figures of {symbol} are known for a score.",
    Why.LATER: "The model does not answer just now; it is asked again {at}.",
}
