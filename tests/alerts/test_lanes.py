from __future__ import annotations

import threading

from alerts import lanes
from alerts.lanes import Lane


def test_the_most_urgent_is_next_and_equals_in_the_order_of_coming():
    done, over = [], threading.Event()
    lane = Lane("x", 1)

    lane.submit([(3, lambda: done.append("c")), (1, lambda: done.append("a")), (1, lambda: done.append("b"))])
    lane.submit([(9, over.set)])

    assert over.wait(30)
    assert done == ["a", "b", "c"]


def test_no_more_threads_than_allowed_however_many_jobs():
    gate, begun = threading.Event(), threading.Semaphore(0)
    names = set()
    done = threading.Semaphore(0)

    def job() -> None:
        names.add(threading.current_thread().ident)
        begun.release()
        gate.wait(30)
        done.release()

    lane = Lane("x", 3)
    lane.submit([(1, job)] * 10)
    assert all(begun.acquire(timeout=30) for _ in range(3))
    assert not begun.acquire(blocking=False)
    gate.set()

    assert all(done.acquire(timeout=30) for _ in range(10))
    assert len(names) == 3


def test_a_thread_with_nothing_to_do_ends_and_another_begins_later(monkeypatch):
    monkeypatch.setattr(lanes, "IDLE_S", 0.01)
    lane, threads = Lane("x", 2), []
    for _ in range(2):
        done = threading.Event()
        lane.submit([(1, lambda done=done: (threads.append(threading.current_thread()), done.set()))])
        assert done.wait(30)
        threads[-1].join(30)
        assert not threads[-1].is_alive()

    assert lane._running == 0
    assert threads[0] is not threads[1]
