from __future__ import annotations

import pytest

from marketdata.providers.massive_symbols import symbol_of, ticker_of
from marketdata.symbols import canonical

SPELLINGS = {
    "AAPL": "AAPL",
    "A": "A",
    "BRK.B": "BRK.B",
    "ABC.U": "ABC.U",
    "ABC.WS": "ABC.WS",
    "ABR.PRD": "ABRpD",
    "BTC-USD": "X:BTCUSD",
    "ETH-EUR": "X:ETHEUR",
    "USDT-USD": "X:USDTUSD",
    "EURUSD=X": "C:EURUSD",
    "USDJPY=X": "C:USDJPY",
    "^GSPC": "I:SPX",
    "^VIX": "I:VIX",
    "AAPL260116C00250000": "O:AAPL260116C00250000",
}


@pytest.mark.parametrize(("symbol", "ticker"), SPELLINGS.items())
def test_a_symbol_is_spelled_for_massive_and_back(symbol, ticker):
    assert (canonical(symbol), ticker_of(symbol), symbol_of(ticker)) == (symbol, ticker, symbol)


@pytest.mark.parametrize(
    "symbol", ["0700.HK", "RCI.B.TO", "MC.PA", "VOD.L", "7203.T", "ES=F", "^FTSE", "ABC.RT"]
)
def test_what_massive_does_not_sell_or_spells_unknown_to_us_has_no_ticker(symbol):
    assert ticker_of(symbol) is None


@pytest.mark.parametrize(
    "ticker",
    ["", "ABCr", "ABCw", "I:XYZ", "X:", "X:USD", "C:EUR", "C:EURUSDX", "O:AAPL", "Z:AAPL", "aapl", "X:$USD"],
)
def test_tickers_that_we_cannot_spell_have_no_symbol(ticker):
    assert symbol_of(ticker) is None


def test_a_preferred_share_is_not_taken_for_the_company_of_the_same_letters():
    assert (ticker_of("ABRPD"), ticker_of("ABR.PRD")) == ("ABRPD", "ABRpD")
