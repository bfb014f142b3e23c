"""One process that wants what its users want and buys what is ordered: `… buyer FIRST_USER USERS SECONDS`.

It says `ready`, waits for a line, says `asking` when it is about to call the model for the first time, and at the end
how many calls it has begun. It may be killed at any time.
"""

from __future__ import annotations

import sys
import time

import django


def main(first: int, number: int, seconds: float) -> None:
    django.setup()
    from benchmarks.bought.wishes import want  # noqa: PLC0415 -- needs Django
    from summaries import buying  # noqa: PLC0415 -- likewise
    from summaries.llm.openai_connection import Connection  # noqa: PLC0415 -- likewise
    from summaries.models import Order  # noqa: PLC0415 -- likewise

    do = Connection.do

    def told(*arguments: object) -> object:
        """The client is made: the question leaves now."""
        print("asking", flush=True)
        return do(*arguments)  # type: ignore[arg-type]

    Connection.do = told  # type: ignore[assignment,method-assign]
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
