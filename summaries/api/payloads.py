"""The JSON shapes of texts: plain text as text, numbers that matter as text, times ending in Z."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.tiers import cheapest_with
from marketdata.payload import time_text
from summaries.analyses import LABELS, Aggregate, Card, Input, Look, Text
from summaries.kinds import OrderState, Persona
from summaries.models import Article, EarningsSummary, Generated, Summary, Transcript
from summaries.refreshing import Wanted

DISCLAIMER = "Not investment advice."
# What an address may begin with; a client may make a link of it.
WEB = ("https://", "http://")
# Of an order that has ended as it should, the text itself tells.
UNDER_WAY = {OrderState.QUEUED, OrderState.RUNNING, OrderState.DEAD}


def article_payload(row: Article, text: Summary | None) -> dict[str, Any]:
    """Needs its tickers fetched. `summary` is null where there is none (yet)."""
    return {
        "id": row.pk,
        "headline": row.headline,
        "source": row.source,
        "url": row.url if row.url.lower().startswith(WEB) else None,
        "published_at": time_text(row.published_at),
        "symbols": sorted(ticker.symbol for ticker in row.tickers.all()),
        "is_fictional": row.is_fictional,
        "licence": row.licence,
        "summary": _summary(text) if text else None,
        "disclaimer": DISCLAIMER,
    }


def _summary(row: Summary) -> dict[str, Any]:
    return {
        "sentences": row.sentences,
        "key_points": row.key_points,
        "sentiment": str(row.sentiment),
        "related": row.related,
        **_written(row),
    }


def _written(row: Generated) -> dict[str, Any]:
    return {
        "model": row.model,
        "is_generated": not row.is_extractive,
        "created_at": time_text(row.created_at),
        "grounding": {"claims": row.claims, "grounded": row.grounded},
    }


def call_payload(row: Transcript, text: EarningsSummary | None) -> dict[str, Any]:
    """Needs its ticker fetched."""
    return {
        "symbol": row.ticker.symbol,
        "year": row.year,
        "quarter": row.quarter,
        "title": row.title,
        "held_on": row.held_on.isoformat() if row.held_on else None,
        "is_fictional": row.is_fictional,
        "summary": _earnings(text) if text else None,
        "disclaimer": DISCLAIMER,
    }


def _earnings(row: EarningsSummary) -> dict[str, Any]:
    return {
        "sentences": row.sentences,
        "key_metrics": row.key_metrics,
        "guidance": row.guidance,
        "sentiment": str(row.sentiment),
        **_written(row),
    }


def look_payload(seen: Look, allowed: frozenset[Persona]) -> dict[str, Any]:
    """All four personas in one order: those of the user's tier with what there is of them, the others locked."""
    cards = {card.persona: card for card in seen.cards}
    return {
        "symbol": seen.ticker.symbol,
        "reason": seen.reason or None,
        "is_simulated": seen.simulated,
        "personas": [
            _card(persona, cards.get(persona)) if persona in allowed else _locked(persona)
            for persona in Persona
        ],
        "ratios": [{"name": one.name, "text": one.text or None} for one in seen.ratios],
        "aggregate": _aggregate(seen.aggregate) if seen.aggregate else None,
        "disclaimer": DISCLAIMER,
    }


def _locked(persona: Persona) -> dict[str, Any]:
    needs = cheapest_with(persona.value).value
    return {"persona": persona.value, "label": LABELS[persona], "locked": True, "needs_tier": needs}


def _card(persona: Persona, card: Card | None) -> dict[str, Any]:
    shown = {"persona": persona.value, "label": LABELS[persona], "locked": False}
    if card is None:
        return {**shown, "score": None}
    return {
        **shown,
        "score": card.score,
        "criteria": [
            {"name": one.name, "points": one.points, "of": one.of, "text": one.text} for one in card.criteria
        ],
        "inputs": [_input(one) for one in card.inputs],
        "sentences": card.sentences,
        "model": card.model,
        "is_generated": card.is_generated,
        "created_at": time_text(card.created_at),
        "older": _older(card.older) if card.older else None,
        "order": card.order_state if card.order_state in UNDER_WAY else None,
    }


def _input(one: Input) -> dict[str, Any]:
    """`value` is for programs, `text` for people."""
    as_of = time_text(one.as_of) if isinstance(one.as_of, datetime) else one.as_of.isoformat()
    return {
        "key": one.key,
        "name": one.name,
        "value": one.raw,
        "text": one.value,
        "as_of": as_of,
        "source": one.source,
    }


def _older(text: Text) -> dict[str, Any]:
    return {
        "score": text.score,
        "sentences": text.sentences,
        "model": text.model,
        "created_at": time_text(text.created_at),
    }


def _aggregate(found: Aggregate) -> dict[str, Any]:
    return {
        "score": found.score,
        "agreement": found.agreement,
        "spread": found.spread,
        "words": found.words,
        "count": found.count,
    }


def wanted_payload(one: Wanted) -> dict[str, Any]:
    return {
        "persona": one.persona.value,
        "label": LABELS[one.persona],
        "state": one.state,
        "why": one.why.value if one.why else None,
        "until": time_text(one.until) if one.until else None,
    }
