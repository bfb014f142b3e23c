"""One process that wants what its users want and buys what is ordered: `… buyer FIRST_USER USERS SECONDS`.

It says `ready`, waits for a line, says `asking` and the first id each time that it is about to call the model, and at
the end how many calls it has begun. It may be killed at any time.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from summaries.llm.base import Answer, Question


def main(first: int, number: int, seconds: float) -> None:
    django.setup()
    from benchmarks.bought.wishes import want  # noqa: PLC0415 -- needs Django
    from summaries import buying  # noqa: PLC0415 -- likewise
    from summaries.llm.openai import OpenAIModel  # noqa: PLC0415 -- likewise
    from summaries.models import Order  # noqa: PLC0415 -- likewise

    ask = OpenAIModel.ask

    def told(self: OpenAIModel, question: Question, *, timeout_s: float) -> Answer:
        print(f"asking {question.ids[0]}", flush=True)
        return ask(self, question, timeout_s=timeout_s)

    OpenAIModel.ask = told  # type: ignore[method-assign]
    print("ready", flush=True)
    sys.stdin.readline()
    want(first, number)
    until, calls = time.monotonic() + seconds, 0
    while time.monotonic() < until and Order.objects.filter(state__in=["queued", "running"]).exists():
        calls += buying.run(until - time.monotonic())
        time.sleep(0.05)  # until others' claims have run out
    print(f"calls {calls}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
