"""Several processes that do the same thing at the same moment; each keeps what it opened from one task to the next."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

T = TypeVar("T")

# A client that died must not leave the others waiting.
BARRIER_PATIENCE_S = 60.0

_barrier: Barrier | None = None


class Crowd:
    """So many processes. `do` runs a function in each of them, begun together, and returns what each answers."""

    def __init__(self, pool: ProcessPoolExecutor, size: int) -> None:
        self.size = size
        self._pool = pool

    def do(self, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
        """One tuple of arguments for each process; what goes wrong in one is raised here."""
        assert len(arguments) == self.size
        futures = [self._pool.submit(_together, function, one) for one in arguments]
        return [future.result() for future in futures]

    def do_named(self, function: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The same for `package.module.function`, imported there."""
        futures = [self._pool.submit(_together, _named, (function, *one)) for one in arguments]
        return [future.result() for future in futures]


@contextmanager
def crowd(size: int, set_up: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Crowd]:
    """Forked from a process that has imported everything and opened nothing, so that nobody inherits a connection."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.harness.ready"])
    pool = ProcessPoolExecutor(
        size, context, initializer=_begin, initargs=(context.Barrier(size), set_up, arguments)
    )
    try:
        yield Crowd(pool, size)
    finally:
        pool.shutdown(cancel_futures=True)


def meet() -> None:
    """Wait until all are here."""
    assert _barrier is not None
    _barrier.wait(BARRIER_PATIENCE_S)


def _begin(barrier: Barrier, set_up: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    global _barrier  # noqa: PLW0603 -- one per process
    _barrier = barrier
    if set_up is not None:
        set_up(*arguments)


def _together(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    meet()  # whoever waits here takes no second task, so that each process gets exactly one
    return function(*arguments)


def _named(function: str, *arguments: Any) -> Any:
    module, _, name = function.rpartition(".")
    return getattr(import_module(module), name)(*arguments)
