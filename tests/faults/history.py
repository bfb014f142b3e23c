"""What happened, as each process saw it, and whether it may have: in the manner of Jepsen's total queue.

One line per event, written at once to a file opened for appending, which is atomic: who is killed loses at most what
it was doing, and that is there as an `invoke`. Of the first and the last end of the queue:

    lost         was put in, and acknowledged, but never came out
    duplicated   came out more than once
    unexpected   came out, but nobody had tried to put it in
    recovered    came out although its acknowledgement was never heard: allowed
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PUT, TAKE = "put", "take"
# Into the tick stream; what came of it in the inbox, and at the receiver of webhooks.
FED, TOLD, EXTERNAL = "fed", "told", "external"


class History:
    """Any number of processes and threads may write one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)

    def invoke(self, queue: str, what: str, value: str) -> None:
        self._write("invoke", queue, what, value)

    def ok(self, queue: str, what: str, value: str, key: str = "") -> None:
        self._write("ok", queue, what, value, key)

    def close(self) -> None:
        os.close(self._fd)

    def _write(self, kind: str, queue: str, what: str, value: str, key: str = "") -> None:
        event = {
            "t": time.time(),
            "p": os.getpid(),
            "type": kind,
            "q": queue,
            "f": what,
            "v": value,
            "k": key,
        }
        os.write(self._fd, (json.dumps(event) + "\n").encode())


@dataclass
class Verdict:
    """Of one queue; a value that came out twice under one key counts once, `repeated`."""

    attempted: int
    acknowledged: int
    delivered: int
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    recovered: int = 0
    repeated: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.duplicated or self.unexpected)


def events(path: Path) -> Iterator[dict]:
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):  # the last one may be half there
                yield json.loads(line)


def check(path: Path, put: str, take: str) -> Verdict:
    """What was put into the queue `put` against what came out of the queue `take`.

    Where values come out under a key, repetitions of one key are removed first, as a receiver would.
    """
    attempted: set[str] = set()
    acknowledged: set[str] = set()
    taken: Counter[str] = Counter()
    keys: set[str] = set()
    repeated = 0
    for event in events(path):
        if (event["q"], event["f"]) == (put, PUT):
            (attempted if event["type"] == "invoke" else acknowledged).add(event["v"])
        elif (event["q"], event["f"], event["type"]) == (take, TAKE, "ok"):
            if event["k"] and event["k"] in keys:
                repeated += 1
                continue
            keys.add(event["k"])
            taken[event["v"]] += 1
    return Verdict(
        attempted=len(attempted),
        acknowledged=len(acknowledged),
        delivered=len(taken),
        lost=sorted(acknowledged - set(taken)),
        duplicated=sorted(value for value, times in taken.items() if times > 1),
        unexpected=sorted(set(taken) - attempted),
        recovered=len(set(taken) & attempted - acknowledged),
        repeated=repeated,
    )
