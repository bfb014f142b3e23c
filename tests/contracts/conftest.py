from __future__ import annotations

import pytest

from marketdata import metering
from tests.contracts.patience import be_patient


@pytest.fixture(autouse=True)
def calls():
    """What the provider noted; whoever asks one without collecting its calls is refused."""
    with metering.collecting() as noted:
        yield noted


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    be_patient(monkeypatch)
