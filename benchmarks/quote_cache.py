"""What a quote costs where nobody is paid: from memory, from Redis, and durably into PostgreSQL."""

from __future__ import annotations

import sys

from benchmarks.harness import command

if __name__ == "__main__":
    sys.exit(command.run("quote_cache", "benchmarks.latest.measure", sys.argv[1:]))
