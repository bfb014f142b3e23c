"""The benchmark of the alerts.

measure.py   what is done, and the bars
field.py     a million levels over 5,000 tickers, in memory and in the table
oracle.py    brute force: every level against every price
ticking.py   the engine, tick by tick
passes.py    the sweep over minute bars, its plans, and load-and-loop
living.py    the real runner behind the real stream
producer.py  a process that writes the stream as the tape does
"""

from __future__ import annotations
