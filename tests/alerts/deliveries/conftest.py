from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.EGRESS_ALLOW = ["127.0.0.0/8"]
    settings.PUBLIC_URL = "https://onetape.example.com"
