"""Simulators of the vendors' protocols, on loopback only: what tests, trials and benchmarks run against.

A stand-in speaks one vendor's REST and stream on one port, as that vendor's own client library expects it, and
misbehaves on request. It is true as far as those libraries accept it (tests/contracts).
"""

from __future__ import annotations
