"""One update to thousands of screens: deliveries per second against naive Channels, ages, memory, faults.

`--scenario NAME` runs one; without it all, each on fresh servers, or with `--quick` the comparison on Daphne.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from benchmarks.harness import command

SCENARIOS = (
    "compare-daphne", "compare-uvicorn", "two-workers", "daphne", "idle", "ingest", "sleepers", "faults", "reconnect",
)  # fmt: skip
FIRST = SCENARIOS[0]


def extend(parser: ArgumentParser) -> None:
    parser.add_argument("--scenario", choices=SCENARIOS, default=FIRST)
    parser.add_argument("--server", choices=("daphne", "uvicorn"), help="another server than the scenario's")
    parser.add_argument("--connections", type=int, help="another number of connections")
    parser.add_argument("--rates", help="other updates per second; several, with commas, for a comparison")
    parser.add_argument("--seconds", type=float, help="another length of what is measured")


def all_of_them() -> int:
    """Each in a process of its own; the last line has the figures of the first, and those of all below its name."""
    found: dict[str, dict[str, Any]] = {}
    for scenario in SCENARIOS:
        print(f"== {scenario}", flush=True)
        found[scenario] = _run(scenario)
    line = found[FIRST] | {
        "correct": all(one["correct"] for one in found.values()),
        "ratio": {name: ratio for one in found.values() for name, ratio in one["ratio"].items()},
    }
    for part in ("figures", "baseline"):
        line[part] = found[FIRST][part] | {name: one[part] for name, one in found.items()}
    print(json.dumps(line), flush=True)
    return 0 if line["correct"] else 1


def _run(scenario: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "benchmarks.fanout", "--scenario", scenario, "--json"]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 -- our own command
        assert child.stdout is not None
        line = ""
        for line in child.stdout:
            print(line, end="", flush=True)
    try:
        return dict(json.loads(line))
    except ValueError:  # it did not come to its end, and has said why
        return {"name": "fanout", "figures": {}, "baseline": {}, "ratio": {}, "machine": {}, "correct": False}


def main(argv: list[str]) -> int:
    if not {"--quick", "-h", "--help"} & set(argv) and not any(one.startswith("--scenario") for one in argv):
        return all_of_them()
    return command.run("fanout", "benchmarks.fan_out.measure", argv, extend)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
