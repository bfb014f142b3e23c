"""The channels of a user as their page shows them: how each stands, what it sends, when it is quiet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from alerts.kinds import Priority
from alerts.models import Channel, ChannelKind, ChannelState
from dashboard.channel_form import PRIORITIES
from dashboard.moments import moment_words

ICONS = {
    ChannelKind.EMAIL: "mail",
    ChannelKind.WEBHOOK: "hook",
    ChannelKind.SLACK: "chat",
    ChannelKind.DISCORD: "chat",
    ChannelKind.BROWSER: "bell",
}
# Word, badge and icon.
STATES = {
    ChannelState.OK: ("Works", "gain", "check"),
    ChannelState.UNCONFIRMED: ("Not confirmed yet", "high", "hourglass"),
    ChannelState.UNTRIED: ("Not tried yet", "", "hourglass"),
    ChannelState.FAILING: ("Failing", "high", "warning"),
    ChannelState.DISABLED: ("Switched off", "danger", "warning"),
}


@dataclass(frozen=True, slots=True)
class ChannelRow:
    channel: Channel
    now: datetime
    zone: tzinfo

    @property
    def icon(self) -> str:
        return ICONS[ChannelKind(self.channel.kind)]

    @property
    def label(self) -> str:
        """Where it sends to, unless its name says so."""
        return "" if self.channel.label in self.channel.name else self.channel.label

    @property
    def state(self) -> tuple[str, str, str]:
        """Switched off by an error is worse than by its owner."""
        state = ChannelState(self.channel.state)
        if not self.channel.is_enabled and state is not ChannelState.DISABLED:
            return "Off", "", "pause"
        return STATES[state]

    @property
    def is_on(self) -> bool:
        return self.channel.is_enabled and self.channel.state != ChannelState.DISABLED

    @property
    def is_unconfirmed(self) -> bool:
        return self.channel.state == ChannelState.UNCONFIRMED

    @property
    def success(self) -> str:
        at = self.channel.last_success_at
        return f"Last sent {moment_words(at, self.now, self.zone)}" if at else "Nothing sent yet"

    @property
    def error(self) -> str:
        """The last one, while nothing has been sent since."""
        channel = self.channel
        at, fine = channel.last_error_at, channel.last_success_at
        if not channel.last_error or at is None or (fine is not None and fine > at):
            return ""
        times = f", {channel.failures_in_a_row} times in a row" if channel.failures_in_a_row > 1 else ""
        return f"{moment_words(at, self.now, self.zone)}: {channel.last_error}{times}"

    @property
    def options(self) -> str:
        channel = self.channel
        parts = [dict(PRIORITIES)[Priority(channel.lowest_priority)]]
        if channel.quiet_from is not None and channel.quiet_until is not None:
            parts.append(f"quiet {channel.quiet_from:%H:%M} to {channel.quiet_until:%H:%M}")
        if channel.digest_above:
            parts.append(f"digest above {channel.digest_above} a minute")
        if channel.failover is not None:
            parts.append(f"else {channel.failover.name}")
        return ", ".join(parts)
