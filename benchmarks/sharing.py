"""However many people want a ticker, it is bought and streamed once: counted at a vendor, for twice as many as well."""

from __future__ import annotations

import sys

from benchmarks.harness import command

if __name__ == "__main__":
    sys.exit(command.run("sharing", "benchmarks.one_feed.measure", sys.argv[1:]))
