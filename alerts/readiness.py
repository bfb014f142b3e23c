"""Whether anybody decides alerts, and how far behind: for `/readyz` and `doctor`.

Who decides says each second how far it has read, also when nothing came.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from alerts.models import Position
from core import checks, clock, doctor
from core.checks import Finding
from core.doctor import Line, Verdict
from core.models import Lease
from core.redis import client
from marketdata import health
from marketdata.tape import openset

# A process that died is started again and has read on within so long.
LATE_AFTER = timedelta(seconds=15)


def register() -> None:
    checks.register("alerts", alerts)
    doctor.register("alerts", alert_lines)


def alerts() -> Finding:
    """Not required: pages and prices do not need it. Without a tape there is nothing to decide."""
    lags = _lags()
    is_late = any(lag is None or lag > LATE_AFTER for lag in lags.values())
    figures = {name: None if lag is None else round(lag.total_seconds(), 1) for name, lag in lags.items()}
    return Finding(ok=not is_late or not health.tape_alive(), figures={"lag_s": figures})


def alert_lines(_asks: bool) -> Iterator[Line]:
    if not health.tape_alive():
        yield Line("alerts", Verdict.WARN, "nothing to decide while no price moves")
        return
    held = set(Lease.objects.filter(expires_at__gt=clock.now()).values_list("epoch", flat=True))
    epochs = dict(Position.objects.values_list("shard", "epoch"))
    for name, lag in _lags().items():
        yield _line(name, lag, is_held=epochs.get(name) in held)


def _line(name: str, lag: timedelta | None, *, is_held: bool) -> Line:
    if lag is not None and lag <= LATE_AFTER:
        return Line("alerts", Verdict.OK, f"shard {name} is decided, {lag.total_seconds():.1f} s ago")
    since = "never" if lag is None else f"{lag.total_seconds():.0f} s ago"
    if is_held:
        text = f"shard {name} has an owner that does not get on; it read its ticks last {since}"
        return Line("alerts", Verdict.BAD, text, "Its log says what fails.")
    text = f"nobody decides shard {name}; its ticks were read last {since}"
    return Line("alerts", Verdict.BAD, text, "Start `manage.py runalerts`, one for each shard of the tape.")


def _lags() -> dict[str, timedelta | None]:
    """Of each shard that the tape has; None where nobody has ever read it."""
    now, saved = clock.now(), dict(Position.objects.values_list("shard", "saved_at"))
    shards = openset.shards(client())
    names = [f"{shard}/{shards}" for shard in range(shards)]
    return {name: max(timedelta(), now - saved[name]) if name in saved else None for name in names}
