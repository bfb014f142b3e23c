"""The main vendor is cut off for a minute: quotes keep coming from the next one, and no reader waits."""

from __future__ import annotations

import sys

from benchmarks.harness import command

if __name__ == "__main__":
    sys.exit(command.run("outage", "benchmarks.two_vendors.measure", sys.argv[1:]))
