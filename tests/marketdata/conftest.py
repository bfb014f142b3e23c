from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody renews a quote early by chance: on a slow machine, where a fetch takes long, that chance is real."""
    from marketdata import lookup  # noqa: PLC0415 -- models need the settings that pytest-django loads first

    monkeypatch.setattr(lookup._lots, "random", lambda: 1.0)
