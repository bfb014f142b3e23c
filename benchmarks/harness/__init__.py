"""What all benchmarks share.

command.py     the command line: throw-away servers, Django on them, the verdict as exit code
report.py      figures, bars, complaints, the machine, the line of JSON
children.py    several processes that begin at the same moment
roles.py       real roles of Onetape on the throw-away servers
population.py  people, tickers and who likes which
"""

from __future__ import annotations
