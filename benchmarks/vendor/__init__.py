"""A vendor of market data that counts what it would bill, so that sharing is proved where the money is spent.

    server.py    the vendor: one process on a Unix socket, lines of JSON
    provider.py  our provider of it, for `registry.override`
    bill.py      reading what was counted
    tape.py      the real `runtape` with this vendor as its only provider

It is a process of its own: all of ours are counted in one place, and it notices by itself when a connection of a
killed process ends.
"""

from __future__ import annotations
