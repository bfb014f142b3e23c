"""Which scenario is run, and of which size."""

from __future__ import annotations

from benchmarks.fan_out import compare, faults, idle, ingest, reconnect, sleepers, steady
from benchmarks.fan_out.load import language
from benchmarks.fan_out.size import Size, asked
from benchmarks.fan_out.stage import take_places
from benchmarks.harness.report import Result, say

PLAYS = {
    "compare-daphne": compare.play,
    "compare-uvicorn": compare.play,
    "two-workers": steady.play,
    "daphne": steady.play,
    "idle": idle.play,
    "ingest": ingest.play,
    "sleepers": sleepers.play,
    "faults": faults.play,
    "reconnect": reconnect.play,
}
DAPHNE_CLIMB = (200, 400, 600, 800, 900, 1000, 1150, 1300, 1500, 1750, 2000)
UVICORN_CLIMB = (800, 1200, 1500, 1700, 1850, 2000, 2200, 2500, 3000, 3500, 4000)
FULL = {
    "compare-daphne": Size(2_000, DAPHNE_CLIMB, 4.0),
    "compare-uvicorn": Size(2_000, UVICORN_CLIMB, 4.0, server="uvicorn"),
    "two-workers": Size(5_000, (1_000,), 20.0, server="uvicorn", workers=2),
    "daphne": Size(2_000, (300,), 20.0),
    "idle": Size(10_000, (100,), 30.0),
    "ingest": Size(5_000, (50_000,), 60.0),
    "sleepers": Size(300, (1_000,), 45.0),
    "faults": Size(300, (200,), 60.0),
    "reconnect": Size(2_000, (300,), 3.0),
}
QUICK_NAIVE = (2_000, 3_500)
QUICK = {
    "compare-daphne": Size(500, (800, 1300, 2000), 1.5, naive=QUICK_NAIVE, thorough=False),
    "compare-uvicorn": Size(
        500, (1000, 1500, 2000), 1.5, server="uvicorn", naive=QUICK_NAIVE, thorough=False
    ),
    "two-workers": Size(1_000, (1_000,), 5.0, server="uvicorn", workers=2, thorough=False),
    "daphne": Size(500, (300,), 5.0),
    "idle": Size(1_500, (100,), 6.0),
    "ingest": Size(1_000, (10_000,), 4.0),
    "sleepers": Size(150, (1_000,), 18.0),
    "faults": Size(60, (100,), 25.0),
    "reconnect": Size(500, (300,), 2.0),
}


def measure(*, quick: bool, scenario: str, **other: object) -> Result:
    size = asked((QUICK if quick else FULL)[scenario], **other)
    say(f"{scenario}: {size.connections:,} connections, {size.server}, {size.workers} process(es)")
    take_places()
    result = Result()
    result.figures["scenario"] = scenario
    PLAYS[scenario](size, result)
    result.figures["load_client"] = language()
    return result
