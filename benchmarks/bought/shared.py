"""Ten processes want and buy for a thousand users, one of them is killed; then a call for each user and article."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from math import ceil

from benchmarks.bought import wishes
from benchmarks.harness.report import Result, at_least, at_most, say
from core import clock
from marketdata.pricing import FEMTO, TokenCall, cost_of_tokens
from summaries import matter, modelbook
from summaries.kinds import EXTRACTIVE, Outcome, Step, Task
from summaries.llm.base import Usage
from summaries.models import Article, ModelCall, Order, Summary
from summaries.orders import BATCH, WORTH_CHARS
from summaries.standins.faults import Fault
from summaries.standins.openai import OpenAIStandIn

PROCESSES = 10
PATIENCE_S = 120.0
# Of the quick run: the claims of a killed process run out sooner.
FASTER = "0.2"


def measure(result: Result, standin: OpenAIStandIn, users: int, *, quick: bool) -> None:
    say(f"{PROCESSES} processes buy for {users} users, and one is killed while it asks")
    standin.slow_s = 1.0
    standin.fail_always(Fault.SLOW)
    killed_at = buy(standin, users, FASTER if quick else "1")
    standin.heal()
    worth = [one for one in Article.objects.all() if len(one.text) >= WORTH_CHARS]
    _figures(result, standin, worth, users)
    _oracle(result, standin, worth, killed=killed_at)
    say("the naive way: a call for each user and article")
    _naive(result, users, worth)


# --- the processes


def buy(standin: OpenAIStandIn, users: int, time_factor: str) -> bool:
    """Until nothing is ordered any more; whether one of them was killed while it asked."""
    each = users // PROCESSES
    command = [sys.executable, "-m", "benchmarks.bought.buyer"]
    environment = {**os.environ, "TIME_FACTOR": time_factor}
    children = [
        subprocess.Popen(  # noqa: S603 -- our own command
            [*command, str(number * each), str(each), str(PATIENCE_S)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, bufsize=1,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        victim = _first_to_ask(children, standin)
        if victim is not None:
            victim.kill()
        for child in children:
            child.wait(PATIENCE_S * 2)
    finally:
        for child in children:
            child.kill()
            child.wait()
    return victim is not None


def _first_to_ask(
    children: list[subprocess.Popen[str]], standin: OpenAIStandIn
) -> subprocess.Popen[str] | None:
    """The process whose question was the first to be told of, once it has reached the server."""
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.stdout, selectors.EVENT_READ, child)  # type: ignore[arg-type]
        for key, _ in selector.select(PATIENCE_S):
            word, id_ = key.fileobj.readline().split()  # type: ignore[union-attr]
            until = time.monotonic() + PATIENCE_S
            while time.monotonic() < until:
                if word == "asking" and any(id_ in one.ids for one in standin.asked):
                    return key.data  # type: ignore[no-any-return]
                time.sleep(0.01)
    return None


# --- what came of it


def _figures(result: Result, standin: OpenAIStandIn, worth: list[Article], users: int) -> None:
    calls = [one for one in standin.asked if one.billed.output]
    lost = unknown(standin)
    bound = ceil(len(worth) / BATCH)
    bought = Summary.objects.exclude(model=EXTRACTIVE).count()
    cost = _usd(sum(map(_femto_of, (one.billed for one in calls))))
    result.figures |= {
        "articles": Article.objects.count(),
        "articles_worth_a_call": len(worth),
        "users": users,
        "model_calls": len(calls),
        "calls_lower_bound": bound,
        "calls_of_the_killed": lost,
        "summaries_bought": bought,
        "cost_usd": cost,
        "cost_per_summary": round(cost / max(bought, 1), 9),
    }
    result.bars.append(at_most("model calls but those of the killed process", len(calls) - lost, bound))


def unknown(standin: OpenAIStandIn) -> int:
    """Calls that the server answered and nobody settled, who asked being dead."""
    return (_billed(standin) - _settled()).total()


def _billed(standin: OpenAIStandIn) -> Counter[Usage]:
    return Counter(one.billed for one in standin.asked)


def _settled() -> Counter[Usage]:
    rows = ModelCall.objects.exclude(outcome=Outcome.OPEN)
    return Counter(Usage(one.input_tokens, one.cached_tokens, one.output_tokens) for one in rows)


def _oracle(result: Result, standin: OpenAIStandIn, worth: list[Article], *, killed: bool) -> None:
    lost, opened = unknown(standin), ModelCall.objects.filter(outcome=Outcome.OPEN).count()
    asked = Counter(id_ for one in standin.asked for id_ in one.ids)
    twice = sum(number - 1 for number in asked.values())
    held = Summary.objects.exclude(model=EXTRACTIVE)
    result.must(killed and lost > 0, "no process was killed while it asked: this has shown little")
    result.must(held.count() == len(worth), f"{held.count()} of {len(worth)} articles have a model's text")
    result.must(twice <= lost * BATCH, f"{twice} articles were bought twice, {lost} calls were lost")
    result.must(not Order.objects.exclude(state="done").exists(), "orders are left over")
    wrong = [one.pk for one in held.select_related("article") if not is_of(one, one.article)]
    result.must(not wrong, f"texts of other articles: {wrong[:5]}")
    result.must(not _settled() - _billed(standin), "calls are written down that were not billed so")
    # The killed process may also have died between setting aside and asking.
    result.must(lost <= opened, "calls were billed of which there is no row")
    calls = ModelCall.objects.count() - opened + lost
    result.must(len(standin.asked) == calls, "there is not one row for each call")


def is_of(summary: Summary, article: Article) -> bool:
    """The server answers with sentences of the item itself, the longest of them cut off."""
    told = _words(f"{article.headline} {article.text}")
    return bool(summary.sentences) and all(_words(one).rstrip("…") in told for one in summary.sentences)


def _words(text: str) -> str:
    return " ".join(text.split())


# --- the naive way


def _naive(result: Result, users: int, worth: list[Article]) -> None:
    """Each article asked for alone, once, and counted as often as users want it: the same call costs the same."""
    model = modelbook.pick(Step.NORMAL)
    costs = {}
    for article in worth:
        question = matter.question_of(Task.SUMMARY, [matter.item_of_article(article, [])])
        costs[article.pk] = _femto_of(model.ask(question, timeout_s=30).usage)
    wanters = wishes.wanters(users)
    calls = sum(wanters[pk] for pk in costs)
    total = _usd(sum(cost * wanters[pk] for pk, cost in costs.items()))
    result.baseline |= {
        "calls": calls,
        "cost_usd": total,
        "cost_per_summary_alone": round(_usd(sum(costs.values())) / len(costs), 9),
    }
    result.ratio["cost_vs_per_user"] = round(total / result.figures["cost_usd"], 1)
    result.ratio["calls_vs_per_user"] = round(calls / result.figures["model_calls"], 1)
    alone = _usd(sum(costs.values())) / len(costs)
    result.ratio["cost_of_one_alone_vs_batched"] = round(alone / result.figures["cost_per_summary"], 2)
    result.bars.append(at_least("times cheaper than a call per user", result.ratio["cost_vs_per_user"], 100))


def _femto_of(usage: Usage) -> int:
    now = clock.now()
    call = TokenCall(now, "openai", "gpt-6-luna", "", usage.input, usage.cached, usage.output)
    cost = cost_of_tokens(call, modelbook.book_at(now))
    assert cost is not None
    return cost


def _usd(femto: int) -> float:
    return float(Decimal(femto) / FEMTO)
