"""What a model's summaries cost when a thousand users want them, against a call for each user and article."""

from __future__ import annotations

import sys

from benchmarks.harness import command

if __name__ == "__main__":
    sys.exit(command.run("summaries", "benchmarks.bought.measure", sys.argv[1:]))
