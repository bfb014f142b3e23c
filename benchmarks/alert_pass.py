"""A million alerts: what a tick costs, what the safety pass costs, how soon a fire is committed; and the naive way."""

from __future__ import annotations

import sys

from benchmarks.harness import command

if __name__ == "__main__":
    sys.exit(command.run("alert_pass", "benchmarks.evaluation.measure", sys.argv[1:]))
