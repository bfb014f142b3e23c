"""The benchmark of the latest quotes: measure.py reads and judges, table.py writes and watches the table."""

from __future__ import annotations
