"""The default web server: Daphne, with all its options, on uvloop's event loop where that is installed.

Daphne adds and removes a writer for each frame; uvloop does that without Python, which leaves a third more frames
for each second of processor time (docs/benchmarks.md). Daphne makes its loop when it is imported, so the policy is
set before.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


def main() -> None:
    with suppress(ImportError):  # a system without it
        import uvloop  # noqa: PLC0415 -- where it exists

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    from daphne.cli import CommandLineInterface  # noqa: PLC0415 -- after the policy

    CommandLineInterface.entrypoint()


if __name__ == "__main__":
    main()
