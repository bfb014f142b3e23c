"""Batches whose answers come reordered, short, long, twice, with ids nobody asked for, in prose: no pair is wrong.

And the counter of the budget is exact: each call's tokens are those that the server billed.
"""

from __future__ import annotations

import random
from decimal import Decimal

from benchmarks.bought.shared import is_of
from benchmarks.harness.report import Result, say
from marketdata.models import Price
from summaries import buying, matter, spending
from summaries.kinds import Lane, Task
from summaries.llm.base import ModelError
from summaries.models import Article, ModelCall, Summary
from summaries.orders import BATCH, WORTH_CHARS
from summaries.standins.faults import Fault
from summaries.standins.openai import OpenAIStandIn

FAULTS = (
    Fault.REORDERED, Fault.SHORT, Fault.LONG, Fault.DUPLICATED, Fault.CONTRADICTED, Fault.INVENTED_IDS,
    Fault.PROSE, Fault.FENCED, Fault.TWO_OBJECTS, Fault.STRING_NUMBERS, Fault.NULLS, Fault.WRONG_TYPES,
    Fault.SWAPPED, Fault.UNGROUNDED, Fault.LINKS, Fault.INVALID_JSON, Fault.LENGTH, Fault.REFUSAL,
)  # fmt: skip
REORDER = 4  # of these faults the first is met as often as that


def measure(result: Result, standin: OpenAIStandIn, batches: int) -> None:
    say(f"{batches} batches whose answers are scrambled")
    articles = {f"article-{one.pk}": one for one in Article.objects.all() if len(one.text) >= WORTH_CHARS}
    before = len(standin.asked)
    last = ModelCall.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    standin.fail_always(*[Fault.REORDERED] * REORDER, *FAULTS, seed=7)
    rng, pairs, wrong = random.Random(8), 0, 0
    for _ in range(batches):
        chosen = rng.sample(sorted(articles), BATCH)
        for id_, text in _ask([articles[one] for one in chosen]).items():
            pairs += 1
            wrong += not is_of(text, articles[id_])
    standin.heal()
    result.figures |= {"scrambled_batches": batches, "pairs": pairs, "wrong_pairs": wrong}
    result.must(wrong == 0, f"{wrong} of {pairs} texts are of another article")
    result.must(pairs > batches * BATCH // 3, "most answers were refused: this has shown little")
    _exact(result, standin, before, last)


def _ask(articles: list[Article]) -> dict[str, Summary]:
    """By the way of the buyer, but for orders; what is believed, by id."""
    question = matter.question_of(Task.SUMMARY, [matter.item_of_article(one, []) for one in articles])
    reservation = spending.reserve(question, lane=Lane.MINUTES, tier="", is_renewal=False, symbols=[])
    try:
        answer = reservation.model.ask(question, timeout_s=30)
    except ModelError as error:
        spending.settle(reservation.call, error.outcome, error.usage)
        return {}
    found = buying._checked(answer, question)  # noqa: SLF001 -- what the buyer believes
    good = {id_: one.draft for id_, one in found.items() if one.draft is not None}
    outcome = buying.outcome_of(answer, len(good), len(articles))
    spending.settle(reservation.call, outcome, answer.usage, answered=len(good))
    return {id_: Summary(sentences=list(draft.sentences)) for id_, draft in good.items()}


def _exact(result: Result, standin: OpenAIStandIn, before: int, last: int) -> None:
    rows = ModelCall.objects.filter(pk__gt=last)
    names = ("input", "cached", "output")
    billed = [sum(getattr(one.billed, name) for one in standin.asked[before:]) for name in names]
    counted = [sum(rows.values_list(f"{name}_tokens", flat=True)) for name in names]
    result.figures["tokens_billed"] = sum(billed)
    result.must(billed == counted, f"tokens: {billed} were billed and {counted} are written down")
    price = {
        unit: Price.objects.get(plan="gpt-6-luna", unit=unit, endpoint="").usd
        for unit in ("ktoken_in", "ktoken_cached", "ktoken_out")
    }
    fresh, cached, output = billed[0] - billed[1], billed[1], billed[2]
    usd = (
        fresh * price["ktoken_in"] + cached * price["ktoken_cached"] + output * price["ktoken_out"]
    ) / Decimal(1000)
    femto = sum(rows.values_list("counted_femto", flat=True))
    result.must(femto == usd.scaleb(15), f"the budget counted {femto}, {usd.scaleb(15)} were due")
