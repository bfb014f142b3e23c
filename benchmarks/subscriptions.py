"""A storm of watching and unwatching: how fast, whether everything still adds up, and how soon the feed follows."""

from __future__ import annotations

import sys

from benchmarks.harness import command

if __name__ == "__main__":
    sys.exit(command.run("subscriptions", "benchmarks.storm.measure", sys.argv[1:]))
