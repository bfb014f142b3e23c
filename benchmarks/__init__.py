"""What Onetape promises, measured: each command proves its figures with an oracle and a naive way in the same run.

    sharing.py  subscriptions.py   the commands: python -m benchmarks.NAME [--json] [--quick]
    harness/                       throw-away servers, processes, people and tickers, the line of JSON
    vendor/                        a vendor of market data that counts what it would bill
    one_feed/  storm/              what the two commands do
    fan_out/                       what fanout.py does

See docs/benchmarks.md.
"""

from __future__ import annotations
