"""Which scenario is run, and of which size."""

from __future__ import annotations

from benchmarks.fan_out import compare, steady
from benchmarks.fan_out.size import Size, asked
from benchmarks.fan_out.stage import take_places
from benchmarks.harness.report import Result, say

PLAYS = {
    "compare-daphne": compare.play,
    "compare-uvicorn": compare.play,
    "two-workers": steady.play,
    "daphne": steady.play,
}
DAPHNE_CLIMB = (200, 400, 600, 800, 900, 1000, 1150, 1300, 1500, 1750, 2000)
UVICORN_CLIMB = (800, 1200, 1500, 1700, 1850, 2000, 2200, 2500, 3000, 3500, 4000)
FULL = {
    "compare-daphne": Size(2_000, DAPHNE_CLIMB, 4.0),
    "compare-uvicorn": Size(2_000, UVICORN_CLIMB, 4.0, server="uvicorn"),
    "two-workers": Size(5_000, (1_000,), 20.0, server="uvicorn", workers=2),
    "daphne": Size(2_000, (300,), 20.0),
}
QUICK = {
    "compare-daphne": Size(500, (600, 1000, 1500, 2000), 1.5),
    "compare-uvicorn": Size(500, (1000, 1500, 2000), 1.5, server="uvicorn"),
    "two-workers": Size(1_000, (1_000,), 5.0, server="uvicorn", workers=2),
    "daphne": Size(500, (300,), 5.0),
}


def measure(*, quick: bool, scenario: str, **other: object) -> Result:
    size = asked((QUICK if quick else FULL)[scenario], **other)
    say(f"{scenario}: {size.connections:,} connections, {size.server}, {size.workers} process(es)")
    take_places()
    result = Result()
    result.figures["scenario"] = scenario
    PLAYS[scenario](size, result)
    return result
