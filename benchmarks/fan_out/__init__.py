"""One update to thousands of screens: how many deliveries a second, how old a value is when it arrives, what is lost.

    measure.py     which scenario, and of which size
    stage.py       what every scenario needs: tickers, people who are logged in, publisher, load client
    audience.py    who follows what, and the sessions of all of them
    publisher.py   a process that publishes as the tape does, on a fixed schedule
    client.c       the load client; client.py where there is no C compiler
    naive.py       the same with Channels alone: each browser in a group per ticker, a frame per update
    oracle.py      what may not happen: positions that fall, wrong prices, a last value that somebody does not hold

Every value tells when it was due: the volume holds microseconds since the run began, so the age of what was delivered
is known to the microsecond, and nobody who is late can hide it. Every price follows from the ticker and its number, so
each delivered value can be checked where it arrives.
"""

from __future__ import annotations
