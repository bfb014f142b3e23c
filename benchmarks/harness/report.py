"""What a benchmark found, and what it was found on."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass, field
from typing import Any

from core.embedded.machine import MB, memory_bytes

_began = time.monotonic()


@dataclass(frozen=True)
class Bar:
    """A figure that was promised. Missing one is said; only what is wrong makes a run incorrect."""

    text: str
    met: bool


def at_least(name: str, figure: float, least: float) -> Bar:
    return Bar(f"{name} {figure:,.6g} (at least {least:,.6g})", figure >= least)


def at_most(name: str, figure: float, most: float) -> Bar:
    return Bar(f"{name} {figure:,.6g} (at most {most:,.6g})", figure <= most)


@dataclass
class Result:
    """`complaints` are the oracle's: the run is correct when there are none."""

    figures: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    ratio: dict[str, float] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def must(self, holds: bool, complaint: str) -> None:
        """What the oracle demands."""
        if not holds:
            self.complaints.append(complaint)


def machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": memory_bytes() // MB,
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def say(text: str) -> None:
    """A line for the person at the terminal, at once."""
    print(f"[{time.monotonic() - _began:6.1f} s] {text}", flush=True)


def tell(result: Result) -> None:
    for part in ("figures", "baseline", "ratio"):
        print(f"{part}:")
        for name, value in getattr(result, part).items():
            print(f"  {name:<42} {value}")
    for bar in result.bars:
        print(f"  {'met   ' if bar.met else 'MISSED'} {bar.text}")
    for complaint in result.complaints:
        print(f"  WRONG  {complaint}")
    print("NOT CORRECT" if result.complaints else "correct", flush=True)


def line_of(name: str, result: Result, found_on: dict[str, Any]) -> str:
    return json.dumps(
        {
            "name": name,
            "figures": {
                **result.figures,
                "bars_missed": [bar.text for bar in result.bars if not bar.met],
                "wrong": result.complaints[:10],
            },
            "baseline": result.baseline,
            "ratio": result.ratio,
            "machine": found_on,
            "correct": not result.complaints,
        }
    )
