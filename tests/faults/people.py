"""Who is told of what: alerts whose every crossing is known beforehand, and what became of each."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from decimal import Decimal

from alerts.kinds import Kind, Phase
from alerts.models import Alert, Channel, Delivery, Notification, Outbox
from core.redis import client
from marketdata.accepted import key_of
from marketdata.quotes import price_text
from tests.alerts.ticking import TickStream
from tests.factories import make_alert, make_ticker, make_user
from tests.faults.history import FED, PUT, TAKE, TOLD, History

LEVEL = Decimal(100)
UP, DOWN = (Kind.ABOVE, Kind.CROSSES_ABOVE), (Kind.BELOW, Kind.CROSSES_BELOW)
PEOPLE = 10


class Crossings:
    """In each round the price of each symbol goes below its level and above it, to prices that never come again."""

    def __init__(self, plan, address: str, history: History) -> None:
        self._history, self._stream = history, TickStream()
        client().delete(key_of(0))
        people = [make_user(f"storm{number}") for number in range(PEOPLE)]
        for one in people:
            Channel.objects.create(
                user=one, kind="webhook", name="sink", label="sink", address=address, digest_above=0,
                secret="whsec_" + base64.b64encode(b"only for tests, only for tests!!").decode(),
            )  # fmt: skip
        self._alerts: dict[str, dict[Kind, int]] = {}
        for number in range(plan.symbols):
            ticker = make_ticker(f"S{number}")
            made = {
                kind: make_alert(people[number % PEOPLE], ticker, kind, str(LEVEL), mode="repeat")
                for kind in (*UP, *DOWN)
            }
            self._alerts[ticker.symbol] = {kind: alert.pk for kind, alert in made.items()}

    def arm(self, patience_s: float) -> None:
        """The level itself is the near side of each of them; until somebody reads, it is said again."""

        def is_armed() -> bool:
            for symbol in self._alerts:
                self._stream.send(symbol, str(LEVEL))
            return not Alert.objects.exclude(phase=Phase.ARMED.value).exists()

        _until(is_armed, patience_s, every_s=0.5)

    def feed(self, number: int, seconds: float) -> None:
        """One batch for each symbol and way, spread over so long: somebody always has something to commit."""
        pause, pause_s = threading.Event(), seconds / (2 * len(self._alerts))
        for symbol, alerts in self._alerts.items():
            for kinds, price in ((DOWN, LEVEL - number / Decimal(100)), (UP, LEVEL + number / Decimal(100))):
                values = [f"{alerts[kind]}@{price_text(price)}" for kind in kinds]
                for value in values:
                    self._history.invoke(FED, PUT, value)
                self._stream.send(symbol, str(price))
                for value in values:
                    self._history.ok(FED, PUT, value)
                pause.wait(pause_s)

    def wait_until_all_is_done(self, patience_s: float) -> None:
        """Raises TimeoutError: then what is missing shows."""
        fed = sum(tick.price != LEVEL for tick in self._stream.sent) * len(UP)

        def is_done() -> bool:
            return (
                Notification.objects.count() >= fed
                and not Outbox.objects.exists()
                and not Delivery.objects.filter(state="queued").exists()
            )

        _until(is_done, patience_s, every_s=0.2)

    def read(self) -> None:
        """The inbox."""
        for told in Notification.objects.select_related("trigger"):
            self._history.ok(TOLD, TAKE, f"{told.trigger.alert_id}@{price_text(told.current_price)}")


def _until(true: Callable[[], bool], seconds: float, every_s: float) -> None:
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        pause.wait(every_s)
