"""Python's garbage collector in a process with many live connections."""

from __future__ import annotations

import gc

# Ten thousand connections are a million objects that stay: walking them again and again cost a tenth of the
# processor, and pauses of half a second (docs/design/live.md).
THRESHOLDS = (100_000, 50, 100)


def relax() -> None:
    """Collect seldom, and never again look at what exists now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
