"""What accounts tell the apps above."""

from __future__ import annotations

from django.dispatch import Signal

# Sent after the commit, with `user`, `old` and `new` (both `accounts.tiers.Tier`). A process that dies between
# the commit and this signal sends nothing: what must follow from a tier is also derived again on a timer.
tier_changed = Signal()

# Sent after the commit, with `user`.
time_zone_changed = Signal()
