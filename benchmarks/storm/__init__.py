"""`benchmarks.subscriptions`: many people change their minds at once.

measure.py         the story, and what must hold
clients.py         eight connections that send the real statements, and log what was answered
rivals.sql         the naive way: a stored counter, as the first design had it
rivals.py          setting that up, and what became of it
oracle.py          whether rows, intervals and demand agree with the clients' logs
following.py       when what is open equals what is wanted, seen at the vendor and in Redis
over_http.py       the same through a real web process
"""

from __future__ import annotations
