from __future__ import annotations

import pytest

from marketdata import metering


@pytest.fixture(autouse=True)
def calls():
    """What the provider noted; whoever asks one without collecting its calls is refused."""
    with metering.collecting() as noted:
        yield noted
