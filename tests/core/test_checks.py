from __future__ import annotations

import threading

import pytest

from core import checks
from core.checks import Finding


@pytest.fixture(autouse=True)
def _no_checks(monkeypatch):
    monkeypatch.setattr(checks, "_checks", {})
    monkeypatch.setattr(checks, "BUDGET_S", 30.0)


def broken():
    raise ConnectionError("host=10.0.0.1")


async def test_ready_without_what_is_only_nice_to_have():
    checks.register("database", lambda: Finding(ok=True), required=True)
    checks.register("redis", lambda: Finding(ok=False))

    assert await checks.run_all() == (True, {"database": Finding(ok=True), "redis": Finding(ok=False)})


async def test_not_ready_without_what_is_required():
    checks.register("database", broken, required=True)

    ready, found = await checks.run_all()

    assert not ready
    assert found == {"database": Finding(ok=False, figures={"error": "ConnectionError"})}


async def test_a_check_that_hangs_is_a_finding_within_the_budget(monkeypatch):
    monkeypatch.setattr(checks, "BUDGET_S", 0.05)
    let_go = threading.Event()
    checks.register("hung", lambda: Finding(ok=let_go.wait(30)), required=True)

    ready, found = await checks.run_all()
    let_go.set()

    assert (ready, found["hung"].figures) == (False, {"error": "TimeoutError"})
