"""Time for a busy machine: of the requests in these folders none is about how little of it they are given."""

from __future__ import annotations

import pytest

from core import http
from marketdata.providers import alpha_vantage_company, yahoo_session
from marketdata.providers.vendor import Vendor

LONG_S = 30.0


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test shortens itself, such as `longest_s` of a provider, stays short."""
    monkeypatch.setattr(http, "CONNECT_S", LONG_S)
    monkeypatch.setattr(yahoo_session, "STEP_S", LONG_S)
    monkeypatch.setattr(alpha_vantage_company, "QUOTE_BUDGET_S", LONG_S)
    monkeypatch.setitem(Vendor.get_json.__kwdefaults__, "budget_s", LONG_S)
    monkeypatch.setattr(Vendor, "longest_s", LONG_S)
