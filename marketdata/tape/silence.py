"""Noticing a connection that is dead without saying so: nothing comes although its market is open."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from core import clock
from marketdata import freshness
from marketdata.providers.base import Capabilities
from marketdata.quotes import Session

# Where even new connections stay silent, nothing is wrong with them: the silence that is borne doubles up to this.
MOST_DOUBLINGS = 4


class Silence:
    """`allowed_s` is borne: what the provider declares, more where reconnecting has brought nothing."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._in_vain = 0
        self._last = 0.0

    @property
    def allowed_s(self) -> float:
        return self._capabilities.silence_s * float(2**self._in_vain)

    def begin(self) -> None:
        """A new connection."""
        self._last = clock.monotonic()

    def heard(self, is_data: bool) -> None:
        self._last = clock.monotonic()
        if is_data:
            self._in_vain = 0

    def is_too_long(self, symbols: Collection[str]) -> bool:
        """Whether the connection counts as dead; a True is remembered as one more silence."""
        # What invents its prices has no wire that could be cut, and may be slow on purpose.
        if not symbols or self._capabilities.simulated:
            self._last = clock.monotonic()
            return False
        if clock.monotonic() - self._last < self.allowed_s:
            return False
        if not self._should_speak(symbols):
            self._last = clock.monotonic()
            return False
        self._in_vain = min(self._in_vain + 1, MOST_DOUBLINGS)
        return True

    def _should_speak(self, symbols: Collection[str]) -> bool:
        """Whether the market of any was open all the while."""
        if self._capabilities.always_open:
            return True
        now = clock.now()
        moments = (now - timedelta(seconds=self.allowed_s), now)
        return any(
            all(freshness.session_of(symbol, moment) is Session.REGULAR for moment in moments)
            for symbol in symbols
        )
