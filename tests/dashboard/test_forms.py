from __future__ import annotations

import pytest

from dashboard.forms import TickerForm
from tests.factories import make_ticker

pytestmark = pytest.mark.django_db


def errors(symbol: str) -> list[str]:
    form = TickerForm({"symbol": symbol})
    assert not form.is_valid()
    return [error.code for error in form.errors.as_data()["symbol"]]


def test_any_spelling_leads_to_the_ticker() -> None:
    ticker = make_ticker("BRK.B")
    form = TickerForm({"symbol": " brk-b "})

    assert form.is_valid()
    assert form.ticker == ticker


def test_what_is_no_symbol_is_refused_with_a_reason() -> None:
    assert errors("АAPL") == ["invalid_symbol"]  # a Cyrillic A
    assert errors("x" * 100) == ["invalid_symbol"]
    assert errors("") == ["required"]


def test_an_unknown_or_inactive_ticker_is_refused() -> None:
    make_ticker("OLD", is_active=False)

    assert errors("ZZZZ") == ["not_found"]
    assert errors("OLD") == ["not_found"]
