from __future__ import annotations

import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from marketdata.errors import InvalidSymbol
from marketdata.symbols import canonical, group_name

# Channels' own rule for a group name.
CHANNELS_NAME = re.compile(r"[a-zA-Z\d\-_.]{1,99}")

SAME_INSTRUMENT = {
    "BRK.B": ["BRK.B", "BRK-B", "BRK/B", "BRK B", "brk-b", " brk.b ", "ＢＲＫ．Ｂ"],
    "BF.B": ["BF-B", "BF.B"],
    "PBR.A": ["PBR-A", "PBR.A", "PBR/A"],
    "ABC.WS": ["ABC.WS", "ABC-WT", "ABC/WS", "ABC.W", "abc ws"],
    "ABC.WSA": ["ABC.WSA", "ABC-WTA", "ABC.WS.A"],
    "ABC.U": ["ABC.U", "ABC-UN", "ABC/U", "ABC U"],
    "ABC.RT": ["ABC.RT", "ABC.R", "ABC-RI"],
    "ABR.PRD": ["ABR.PRD", "ABR-PD", "ABR/PRD", "ABR.PR.D", "ABR PRD", "abr pr d"],
    "BTC-USD": ["BTC-USD", "BTC/USD", "btc.usd"],
    "EURUSD=X": ["EURUSD=X", "EUR/USD", "eur-usd"],
    "USDJPY=X": ["JPY=X", "USDJPY=X", "USD/JPY"],
    "RCI.B.TO": ["RCI.B.TO", "RCI-B.TO", "RCI/B.TO"],
    "AAPL": ["AAPL", "aapl", "  AAPL  ", "ＡＡＰＬ"],
    "K": ["K", "\u212a"],  # the Kelvin sign is a K to Unicode
}
UNCHANGED = [
    *[
        "A",
        "F",
        "0700.HK",
        "600519.SS",
        "RDSA.L",
        "^GSPC",
        "^TA125.TA",
        "ES=F",
        "MC.PA",
        "REI.UN.TO",
        "REI.U.TO",
        "1",
    ],
    *["NULL", "NAN", "TRUE", "ON", "NA", "INF", "AAPL240119C00190000", "ABC.PR", "BTC-USDT", "ETH-BTC"],
]
NO_SYMBOLS = [
    *[
        "",
        " ",
        "..",
        "../../etc",
        "/",
        "-",
        "=",
        "^",
        ".A",
        "A.",
        "A..B",
        "-A",
        "A-",
        "A.B.C.D",
        "=X",
        "AAPL=",
        "A=B",
    ],
    *[
        "AA PL",
        "BRK  B",
        "AAPL MSFT",
        "A" * 17 + "-PD",
        "A" * 21,
        "A" * 100,
        "A.ABCDE",
        "^" * 3,
        "^GSPC^",
        "AAPL=X=X",
        "^BRK-B",
    ],
    *[
        "АAPL",
        "АААА",
        "ΑAPL",
        "ß",
        "ı",
        "AAPL\u200b",
        "\ufeffAAPL",
        "A\u202eB",
        "AAPL\U0001f680",
        "１２\u0661",
    ],
    *[
        "AAPL\n",
        "AAPL\r\n",
        "\tAAPL",
        "AA\x00PL",
        "AAPL%0d%0a",
        "AAPL;DROP",
        ";DROP",
        "AAPL'--",
        'A"B',
        "<B>",
    ],
    *["*", "A*", "A?", "[A]", "{A}", "A_B", "$AAPL", "ABR$D", "A,B", "A:B", "A@B", "A#B", "A&B", "A\\B", "ﷺ"],
]


@pytest.mark.parametrize(
    ("spelling", "symbol"),
    [(spelling, symbol) for symbol, many in SAME_INSTRUMENT.items() for spelling in many],
)
def test_all_spellings_of_an_instrument_are_one_symbol(spelling, symbol):
    assert canonical(spelling) == symbol


@pytest.mark.parametrize("symbol", UNCHANGED)
def test_other_symbols_stay_as_they_are(symbol):
    assert canonical(symbol) == symbol


@pytest.mark.parametrize("text", NO_SYMBOLS)
def test_what_is_no_symbol_is_refused_with_a_message_that_does_not_repeat_it(text):
    with pytest.raises(InvalidSymbol) as refused:
        canonical(text)

    message = str(refused.value)
    assert 10 < len(message) < 120
    assert message.isascii()
    assert message.isprintable()


@pytest.mark.parametrize("value", [None, 1, 1.5, True, b"AAPL", ["AAPL"], {"symbol": "AAPL"}])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(InvalidSymbol):
        canonical(value)


@given(st.text(max_size=120))
def test_any_text_is_canonical_or_refused(text):
    try:
        symbol = canonical(text)
    except InvalidSymbol:
        return

    assert re.fullmatch(r"[A-Z0-9.\-^=]{1,20}", symbol)
    assert canonical(symbol) == symbol


@given(st.text(alphabet=string.ascii_letters + "0123456789.-/ ^=PRWUX", min_size=1, max_size=22))
def test_canonical_of_a_canonical_symbol_is_itself(text):
    try:
        symbol = canonical(text)
    except InvalidSymbol:
        assume(False)

    assert canonical(symbol) == symbol
    assert canonical(symbol.lower()) == symbol
    assert canonical(f" {symbol} ") == symbol


@given(
    st.text(alphabet=string.ascii_uppercase, min_size=1, max_size=5),
    st.sampled_from(["A", "B", "C", "K", "WS", "U", "WT", "R"]),
)
def test_the_separator_before_a_share_class_does_not_matter(root, share_class):
    spellings = {canonical(f"{root}{separator}{share_class}") for separator in ".-/ "}

    assert len(spellings) == 1


@pytest.mark.parametrize("symbol", [*SAME_INSTRUMENT, *UNCHANGED])
def test_every_symbol_gives_a_group_name_that_channels_takes(symbol):
    assert CHANNELS_NAME.fullmatch(group_name(symbol))


def test_a_plain_symbol_can_be_read_in_its_group_name():
    assert group_name("BRK.B") == "tk_BRK.B"
    assert group_name("^GSPC") == "tk__5EGSPC"


@given(
    st.lists(st.text(alphabet="AB5E3D.-^=_/ é", max_size=20), min_size=2, max_size=2, unique=True),
)
def test_different_symbols_have_different_group_names(symbols):
    first, second = symbols

    assert group_name(first) != group_name(second)
