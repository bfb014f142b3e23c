"""What `/readyz` asks. Apps register their checks in `AppConfig.ready()`; a check says what it found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.database import in_thread

logger = logging.getLogger(__name__)

# A probe gives up after a few seconds; both pools time out after two.
BUDGET_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one dependency; `figures` are ages and states worth showing, never secrets."""

    ok: bool
    figures: Mapping[str, Any] = field(default_factory=dict)


Check = Callable[[], Finding]


@dataclass(frozen=True, slots=True)
class Registered:
    check: Check
    required: bool


_checks: dict[str, Registered] = {}


def register(name: str, check: Check, *, required: bool = False) -> None:
    """`required`: without it this process can serve nobody. Anything else degrades and is only reported."""
    _checks[name] = Registered(check, required)


async def run_all() -> tuple[bool, dict[str, Finding]]:
    """(ready, findings), all checks at the same time; one that raises or hangs is a finding, not an error."""
    registered = dict(_checks)
    found = await asyncio.gather(*(_run(one.check) for one in registered.values()))
    findings = dict(zip(registered, found, strict=True))
    ready = all(findings[name].ok for name, one in registered.items() if one.required)
    return ready, findings


async def _run(check: Check) -> Finding:
    try:
        return await asyncio.wait_for(in_thread(check), BUDGET_S)
    except Exception as error:  # noqa: BLE001 -- whatever a dependency raises, the answer is "not ok"
        logger.warning("check failed: %s", type(error).__name__)
        return Finding(ok=False, figures={"error": type(error).__name__})
