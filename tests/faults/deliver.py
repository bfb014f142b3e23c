"""A process that sends what is due, until it is told to stop: `python -m tests.faults.deliver LEASE_S`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading


def main(lease_s: float) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django  # noqa: PLC0415 -- settings first

    django.setup()
    from alerts import claiming, dispatch, outbox  # noqa: PLC0415 -- likewise

    logging.getLogger().setLevel(logging.ERROR)
    # What a killed process held is free again after this.
    claiming.LEASE_S = dispatch.LEASE_S = lease_s
    dispatch.RENEW_EVERY_S = lease_s / 4
    outbox.wake = lambda: None  # this one comes by itself
    over = threading.Event()

    def stop(*_: object) -> None:
        dispatch.stop()
        over.set()

    signal.signal(signal.SIGTERM, stop)
    while not over.wait(0.05):
        dispatch.run(5)


if __name__ == "__main__":
    main(float(sys.argv[1]))
