from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from summaries.standins.batches import BatchFault
from summaries.standins.faults import Fault
from summaries.standins.openai import OpenAIStandIn

FAULTS = [one.value for kind in (Fault, BatchFault) for one in kind]


class Command(BaseCommand):
    help = "Run a stand-in for the OpenAI API on loopback, good or faulty, until Ctrl-C."
    requires_system_checks = []  # the settings it prints are what the checks would ask for

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=0, help="where it listens (default: any free one)")
        parser.add_argument(
            "--fault",
            action="append",
            default=[],
            choices=FAULTS,
            metavar="NAME",
            help=f"what is wrong with its answers; may be given several times: {', '.join(FAULTS)}",
        )
        parser.add_argument("--model", default="gpt-6-luna", metavar="NAME", help="the one that it has")
        parser.add_argument(
            "--rate", type=float, default=1.0, help="the share of answers with a fault, 0 to 1"
        )
        parser.add_argument("--slow", type=float, default=20.0, help="seconds that a slow answer takes")
        parser.add_argument("--seed", type=int, default=1, help="the same seed chooses the same answers")

    def handle(
        self, *, port: int, fault: list[str], model: str, rate: float, slow: float, seed: int, **options: Any
    ) -> None:
        standin = OpenAIStandIn(models={model: None})
        standin.slow_s = slow
        standin.fail_always(*[one for one in Fault if one in fault], rate=rate, seed=seed)
        standin.batches.fault = next((one for one in BatchFault if one in fault), None)
        stop = _stop_on_signals()
        try:
            with standin.running(port):
                self._tell(standin)
                stop.wait()
        except OSError as error:
            self.stderr.write(f"Port {port} cannot be used: {error.strerror}")
            raise SystemExit(1) from None
        used = standin.billed
        self.stdout.write(
            f"{len(standin.asked)} requests; {used.input} tokens read, {used.output} written would have been billed."
        )

    def _tell(self, standin: OpenAIStandIn) -> None:
        self.stdout.write("A language model is simulated; start Onetape with:")
        self.stdout.write(f"  OPENAI_API_KEY={standin.key}")
        self.stdout.write(f"  OPENAI_BASE_URL={standin.url}")
        self.stdout.write(f"  LLM_MODEL={next(iter(standin.models))}")
        self.stdout.write("Its texts are sentences of what it is asked about. Ctrl-C stops it.")
        self.stdout.flush()


def _stop_on_signals() -> threading.Event:
    """From before anybody is told how to stop it."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
