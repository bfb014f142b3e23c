from __future__ import annotations

import pytest

from marketdata.providers import alpha_vantage_answers, finnhub_symbols, yahoo_answers
from marketdata.providers.spelling import Parts, currency_guess, is_canonical, ours, parts_of


@pytest.mark.parametrize(
    ("symbol", "parts"),
    [
        ("AAPL", Parts("AAPL")),
        ("BRK.B", Parts("BRK", "B")),
        ("ABR.PRD", Parts("ABR", "PRD")),
        ("ABC.WS", Parts("ABC", "WS")),
        ("ABC.WSA", Parts("ABC", "WSA")),
        ("ABC.U", Parts("ABC", "U")),
        ("0700.HK", Parts("0700", "", "HK")),
        ("VOD.L", Parts("VOD", "", "L")),
        ("7203.T", Parts("7203", "", "T")),
        ("MC.PA", Parts("MC", "", "PA")),
        ("RCI.B.TO", Parts("RCI", "B", "TO")),
    ],
)
def test_a_symbol_falls_into_root_class_and_exchange(symbol, parts):
    assert parts_of(symbol) == parts


@pytest.mark.parametrize(
    "symbol",
    ["AAPL", "BRK.B", "ABR.PRD", "ABC.WS", "ABC.U", "ABC.RT", "0700.HK", "VOD.L", "RCI.B.TO", "HR.UN.TO",
     "^GSPC", "ES=F", "EURUSD=X", "BTC-USD"],
)  # fmt: skip
def test_yahoos_spelling_leads_back_to_the_symbol(symbol):
    assert ours(yahoo_answers.spelled(symbol)) == symbol


@pytest.mark.parametrize(
    ("symbol", "spelled"),
    [
        ("AAPL", "AAPL"),
        ("BRK.B", "BRK-B"),
        ("SHOP.TO", "SHOP.TRT"),
        ("RCI.B.TO", "RCI-B.TRT"),
        ("BTC-USD", "BTC/USD"),
        ("EURUSD=X", "EUR/USD"),
        ("VOD.L", None),
        ("MC.PA", None),
        ("ABR.PRD", None),
        ("^GSPC", None),
        ("ES=F", None),
    ],
)
def test_alpha_vantages_spelling(symbol, spelled):
    assert alpha_vantage_answers.spelled(symbol) == spelled


@pytest.mark.parametrize(
    ("symbol", "spelled"),
    [
        ("BRK.B", "BRK.B"),
        ("0700.HK", "0700.HK"),
        ("BTC-USD", "BINANCE:BTCUSDT"),
        ("EURUSD=X", "OANDA:EUR_USD"),
        ("BTC-EUR", None),
        ("NPN.JO", None),
        ("^GSPC", None),
    ],
)
def test_finnhubs_spelling(symbol, spelled):
    assert finnhub_symbols.spelled(symbol) == spelled


@pytest.mark.parametrize(
    ("symbol", "currency"),
    [("AAPL", "USD"), ("BRK.B", "USD"), ("BTC-EUR", "EUR"), ("EURJPY=X", "JPY"), ("0700.HK", "")],
)
def test_a_currency_that_the_spelling_does_not_tell_is_not_guessed(symbol, currency):
    assert currency_guess(symbol) == currency


def test_what_is_no_symbol_of_ours():
    assert [is_canonical(text) for text in ("AAPL", "aapl", "BRK-B", "")] == [True, False, False, False]
    assert [ours(text) for text in ("BRK-B", "<b>", None, 7)] == ["BRK.B", None, None, None]
