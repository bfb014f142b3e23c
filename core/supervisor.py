"""Keeps what `manage.py up` started alive, and ends it in order.

    manage.py up   (Django: servers, migrations, demo data)
        └─ exec ─▶ python -m core.supervisor   (this: about 10 MB, imports no Django)
                       servers   postgres, redis        already running, adopted by their pids
                       first     web, tape              at once
                       later     workers, beat          when the first quote is there, or after a while

A dead child is started again, later each time it dies young. The first Ctrl-C or SIGTERM stops roles, then
servers; the second ends them with force.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from core.embedded.machine import last_log_line
from core.processes import Process, StartError, spawn, write_record

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
STEADY_AFTER_S = 60.0
"""A child that lived this long starts again as if it had never died."""
LATER_AFTER_S = 20.0
"""When the rest starts even without a first quote: six imports at once would hold web and tape up by 10 s."""
READY_PATIENCE_S = 45.0
ROLE_PATIENCE_S = 12.0
SERVER_PATIENCE_S = 30.0
SAME_STOP_S = 0.5
"""One wish to stop may arrive twice: `timeout` and `make` signal the program and its whole group."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NAME_WIDTH = 8


@dataclass
class Plan:
    """What to supervise; it travels from `manage.py up` to the supervisor as JSON."""

    record: str
    servers: list[Process] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)
    """Of the servers, which run already."""
    first: list[Process] = field(default_factory=list)
    later: list[Process] = field(default_factory=list)
    url: str = ""
    address: list[Any] = field(default_factory=list)
    """Host and port where the web role will listen."""
    watcher: int | None = None
    """A child that ends, with 0, when the first quote is stored."""
    notes: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        for group in ("servers", "first", "later"):
            fields[group] = [Process(**row) for row in fields[group]]
        return cls(**fields)


class Adopted:
    """A child of this process that an earlier program in it started: enough of Popen for a pid."""

    stdout = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Child:
    """One supervised process over all its lives."""

    def __init__(self, process: Process, running: Adopted | None = None) -> None:
        self.process = process
        self.running: Adopted | subprocess.Popen[bytes] | None = running
        self.since = time.monotonic()
        self.delay_s = FIRST_DELAY_S / 2
        self.due: float | None = None if running else self.since

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def start(self) -> None:
        self.due, self.since = None, time.monotonic()
        self.running = spawn(self.process)

    def schedule(self) -> None:
        """Due again after a while that doubles as long as it keeps dying young."""
        now = time.monotonic()
        steady = now - self.since >= STEADY_AFTER_S
        self.delay_s = FIRST_DELAY_S if steady else min(LONGEST_DELAY_S, self.delay_s * 2)
        self.running, self.due = None, now + self.delay_s

    def end(self, number: int) -> None:
        if self.running is None or not self.alive:
            return
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.running.pid, number)  # with whatever it started itself
            else:
                self.running.send_signal(number)


def say(text: str, name: str = "up") -> None:
    """One line under a name; a closed terminal is no reason to stop."""
    with suppress(OSError):
        sys.stdout.write(f"{name:<{NAME_WIDTH}} | {text}\n" if name else f"{text}\n")
        sys.stdout.flush()


class Printer:
    """Writes the children's lines under their names."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.selector = selector
        self.rest: dict[int, bytes] = {}

    def follow(self, child: Child) -> None:
        stream = child.running.stdout if child.running else None
        if stream is not None:
            os.set_blocking(stream.fileno(), False)
            self.selector.register(stream, selectors.EVENT_READ, child.process.name)

    def read(self, key: selectors.SelectorKey) -> None:
        chunk = b""
        with suppress(OSError):
            chunk = os.read(key.fd, 65536)
        *lines, rest = (self.rest.pop(key.fd, b"") + chunk).split(b"\n")
        for line in lines if chunk else [rest]:
            if line:
                say(line.decode(errors="replace"), key.data)
        if chunk:
            self.rest[key.fd] = rest
        else:
            self.selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]


class Supervisor:
    """The loop: read what children say, start what is due, notice who died, until told to stop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.servers = [Child(process, Adopted(plan.pids[process.name])) for process in plan.servers]
        self.roles = [Child(process) for process in plan.first]
        self.watcher = Adopted(plan.watcher) if plan.watcher else None
        self.started = time.monotonic()
        self.ready = False
        self.later_started = not plan.later
        self.stops = 0
        self.stopped_at = 0.0
        self.selector = selectors.DefaultSelector()
        self.printer = Printer(self.selector)

    @property
    def children(self) -> list[Child]:
        return [*self.servers, *self.roles]

    def run(self) -> int:
        self._listen_for_signals()
        while not self.stops:
            self._start_due()
            self._announce()
            self._start_later()
            self._turn(self._pause())
            self._notice_deaths()
        self._shut_down()
        self._ignore_signals()
        return 1 if self.stops > 1 else 0

    def _listen_for_signals(self) -> None:
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self.selector.register(reader, selectors.EVENT_READ, None)
        self._wake = writer  # kept: closing it would end the waking
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOP_SIGNALS:
            signal.signal(number, self._count_stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def _ignore_signals(self) -> None:
        """Everything has ended: a late Ctrl-C must not turn the exit code into a death by signal.

        An ending interpreter gives every handler of ours back to the default; an ignored signal stays ignored.
        """
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _count_stop(self, *_: object) -> None:
        now = time.monotonic()
        if now - self.stopped_at > SAME_STOP_S:
            self.stops += 1
            self.stopped_at = now

    def _pause(self) -> float:
        now = time.monotonic()
        due = [child.due - now for child in self.children if child.due is not None]
        return max(0.0, min([*due, 1.0 if self.ready and self.later_started else 0.05]))

    def _turn(self, pause_s: float) -> None:
        for key, _ in self.selector.select(pause_s):
            if key.data is None:
                with suppress(BlockingIOError):
                    os.read(key.fd, 4096)
            else:
                self.printer.read(key)

    def _start_due(self) -> None:
        due = [child for child in self.children if child.due is not None and child.due <= time.monotonic()]
        for child in due:
            try:
                child.start()
            except StartError as error:
                child.schedule()
                say(f"{error}; trying again in {child.delay_s:g} s")
            else:
                self.printer.follow(child)
        if due:
            self._write_record()

    def _write_record(self) -> None:
        alive = [child for child in self.children if child.running]
        pids = {
            child.process.name: (child.running.pid, child.process.stop_signal)
            for child in alive
            if child.running
        }
        write_record(Path(self.plan.record), pids)

    def _notice_deaths(self) -> None:
        dead = [child for child in self.children if child.running is not None and not child.alive]
        if dead:
            self._turn(0)  # their last words come first
        for child in dead:
            assert child.running is not None
            reason = _ending(child.running.returncode)
            if child.process.log and (child.running.returncode or 0) > 0:
                reason += f": {last_log_line(child.process.log)}"
            child.schedule()
            say(f"{child.process.name} ended ({reason}); starting it again in {child.delay_s:g} s")

    def _announce(self) -> None:
        if self.ready or not self.plan.url:
            return
        quoted = self.watcher is None or self.watcher.poll() == 0
        late = time.monotonic() - self.started > READY_PATIENCE_S
        if not late and not (quoted and _listens(self.plan.address)):
            return
        self.ready = True
        if late:
            say(f"warning: no first quote after {READY_PATIENCE_S:.0f} s; still trying")
        notes = [self.plan.notes] if self.plan.notes else []
        text = "\n".join(["", *notes, f"Onetape runs at {self.plan.url} (Ctrl-C stops it)", ""])
        say(text, name="")

    def _start_later(self) -> None:
        waited = time.monotonic() - self.started > LATER_AFTER_S
        if not self.later_started and (self.ready or waited):
            self.later_started = True
            self.roles += [Child(process) for process in self.plan.later]

    def _shut_down(self) -> None:
        if self.plan.notes and not self.ready:
            say(self.plan.notes, name="")  # passwords nobody has seen yet
        say("stopping")
        if self.watcher:
            self.watcher.send_signal(signal.SIGKILL)
        self._stop(self.roles, ROLE_PATIENCE_S)
        self._stop(self.servers, SERVER_PATIENCE_S)
        self._write_record()
        say("stopped")

    def _stop(self, children: Sequence[Child], patience_s: float) -> None:
        """Ask, wait, then end with force; a second Ctrl-C cuts the waiting short."""
        for child in children:
            child.end(child.process.stop_signal)
        deadline = time.monotonic() + patience_s
        while (alive := [child for child in children if child.alive]) and not self._hurried(deadline):
            self._turn(0.1)
        for child in alive:
            say(f"{child.process.name} does not end; killed")
            child.end(signal.SIGKILL)
        while any(child.alive for child in children):
            self._turn(0.1)
        self._turn(0)

    def _hurried(self, deadline: float) -> bool:
        return self.stops > 1 or time.monotonic() > deadline


def _listens(address: Sequence[Any]) -> bool:
    if not address:
        return True
    with suppress(OSError), socket.create_connection((address[0], address[1]), timeout=0.3):
        return True
    return False


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def main() -> int:
    """Read the plan from the inherited file descriptor that is the one argument."""
    with os.fdopen(int(sys.argv[1])) as pipe:
        plan = Plan.from_json(pipe.read())
    return Supervisor(plan).run()


if __name__ == "__main__":
    sys.exit(main())
