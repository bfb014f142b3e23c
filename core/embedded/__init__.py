"""The bundled PostgreSQL and Redis: real servers out of pip packages, reachable by Unix sockets only.

    machine.py   how much of the machine they may take
    identity.py  who PostgreSQL runs as
    postgres.py  redis.py   one class each: prepare(), process(), is_ready(), stop_leftover()
    servers.py   start() and stop() of several

Nothing here imports Django; `core.bundled` says where everything lives.
"""

from __future__ import annotations
