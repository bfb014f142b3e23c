"""`benchmarks.sharing`: many people, few tickers, one feed.

measure.py    the story, and what must hold
refreshes.py  the periodic fetch of a provider that does not stream, and the naive way
askers.py     many processes and threads that ask at the same moment
"""

from __future__ import annotations
