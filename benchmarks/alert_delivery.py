"""From a tick to the people: browsers, e-mail and webhooks, at ten fires a second and at a thousand in one moment."""

from __future__ import annotations

import sys

from benchmarks.harness import command

if __name__ == "__main__":
    sys.exit(command.run("alert_delivery", "benchmarks.told.measure", sys.argv[1:]))
