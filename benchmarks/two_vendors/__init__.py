"""The benchmark of an outage.

measure.py  a cold start, then readers over HTTP while the main vendor hangs and refuses
vendors.py  two stand-ins that sell the same market, and what they were asked
readers.py  processes that read quotes as API users do
"""

from __future__ import annotations
