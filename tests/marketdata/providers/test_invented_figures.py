from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from marketdata import metering
from marketdata.company import FIGURES
from marketdata.errors import NotFound
from marketdata.providers import invented_figures
from marketdata.providers.replay import Replay
from marketdata.providers.simulator import Script, Simulator
from tests.marketdata.fake_clock import FakeClock

TODAY = date(2026, 3, 4)
SYMBOLS = [f"{first}{second}X" for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJ"]


def of(symbol="AAPL", price="230", seed=1, today=TODAY):
    return invented_figures.of(symbol, Decimal(price), seed, today)


def test_the_same_question_has_the_same_answer():
    assert of() == of()
    assert of() == of(today=date(2026, 3, 31))
    assert of() != of(seed=2)
    assert of().beta != of("MSFT").beta


@pytest.mark.parametrize(
    ("today", "end"),
    [
        (date(2026, 1, 1), date(2025, 12, 31)),
        (date(2026, 3, 31), date(2025, 12, 31)),
        (date(2026, 4, 1), date(2026, 3, 31)),
        (date(2026, 12, 31), date(2026, 9, 30)),
    ],
)
def test_they_are_of_the_last_quarter_that_has_ended(today, end):
    assert of(today=today).as_of == end


def test_a_new_quarter_changes_earnings_a_little():
    ratio = of(today=date(2026, 4, 1)).eps_ttm / of().eps_ttm

    assert ratio != 1
    assert Decimal("0.94") < ratio < Decimal("1.07")


def test_every_figure_is_told_of_every_company():
    told = [of(symbol) for symbol in SYMBOLS]

    assert [one.symbol for one in told if None in [getattr(one, name) for name in FIGURES]] == []


def test_they_are_plausible():
    for symbol in SYMBOLS:
        told = of(symbol, price="100")
        assert 8 < 100 / told.eps_ttm < 36
        assert 0 < told.net_margin < told.operating_margin < told.gross_margin < 1
        assert 0 < told.roa < told.roe < 1
        assert told.shares >= 100_000_000
        assert 0 <= told.dividend_per_share < told.eps_ttm
        assert -1 < told.eps_growth_5y < Decimal("0.3")


def test_they_agree_with_each_other():
    for symbol in SYMBOLS:
        told = of(symbol, price="100")
        near = Decimal("0.01")
        assert abs(told.eps_ttm / told.revenue_per_share_ttm / told.net_margin - 1) < near
        assert abs(told.eps_ttm / told.book_value_per_share / told.roe - 1) < near
        debt = told.debt_to_equity * told.book_value_per_share * told.shares
        assert abs(told.total_debt / debt - 1) < near


# --- told by the two providers that invent


@pytest.mark.parametrize("make", [Simulator, Replay])
async def test_they_fit_the_prices_of_the_provider(make):
    clock = FakeClock()
    provider = make(now=clock.now, wait=clock.wait)
    with metering.collecting() as calls:
        told = await provider.fetch_fundamentals("AAPL")
        quote = (await provider.fetch_quotes(["AAPL"]))["AAPL"]

    assert 4 < quote.price / told.eps_ttm < 70
    assert (told.symbol, told.as_of) == ("AAPL", date(2025, 12, 31))
    assert (calls[0].provider, calls[0].endpoint, calls[0].symbols) == (
        provider.name, "fundamentals", ("AAPL",),
    )  # fmt: skip
    assert (provider.capabilities.fundamentals, provider.capabilities.simulated) == (True, True)
    assert (provider.capabilities.news, provider.capabilities.transcripts) == (False, False)


@pytest.mark.parametrize("symbol", ["BTC-USD", "EURUSD=X", "ES=F", "^GSPC", "NOSUCH"])
async def test_what_is_no_company_has_none(symbol):
    provider = Simulator(script=Script(unknown=frozenset({"NOSUCH"})))

    with metering.collecting(), pytest.raises(NotFound):
        await provider.fetch_fundamentals(symbol)
