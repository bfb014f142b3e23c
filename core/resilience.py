"""Waiting between attempts, and not asking what is dead. Pure: time and randomness are passed in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Exponential with full jitter, and it never gives up: 0..base, 0..2 base, … up to 0..cap seconds."""

    base_s: float = 1.0
    cap_s: float = 60.0
    rng: random.Random = field(default_factory=random.Random)
    attempts: int = 0

    def next_s(self) -> float:
        ceiling = min(self.cap_s, self.base_s * 2 ** min(self.attempts, 30))
        self.attempts += 1
        return self.rng.uniform(0, ceiling)

    def reset(self) -> None:
        self.attempts = 0


@dataclass
class CircuitBreaker:
    """Opens after `fail_max` failures in a row; when `open_s` have passed, one probe decides.

    A success closes it, a failed probe opens it anew. Times are any one clock's seconds.
    """

    fail_max: int = 3
    open_s: float = 30.0
    probe_s: float = 10.0
    failures: int = 0
    open_until: float = 0.0
    probe_until: float = 0.0

    def allows(self, now: float) -> bool:
        """Whether to ask; a True while half open is the one probe, and must be answered by success or failure."""
        if now < self.open_until:
            return False
        if self.failures < self.fail_max:
            return True
        if now < self.probe_until:
            return False
        self.probe_until = now + self.probe_s
        return True

    def succeeded(self) -> None:
        self.failures, self.open_until, self.probe_until = 0, 0.0, 0.0

    def failed(self, now: float) -> None:
        self.failures += 1
        self.probe_until = 0.0
        if self.failures >= self.fail_max:
            self.open_until = now + self.open_s

    def hold(self, until: float) -> None:
        """Keep it open until then, without counting a failure."""
        self.open_until = max(self.open_until, until)
