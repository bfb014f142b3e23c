"""Which reported trades set the price that people are shown. Pure.

A consolidated tape carries more than trades at the market's price of the moment: averages over a day, prices derived
from an option, trades of an hour ago reported now. Their codes say so. A trade moves the price unless one of its codes
is listed here; an unknown code moves it.

Sources: the columns "update last" of the consolidated processing guidelines in the CTA (CTS) and UTP (UTDF)
specifications, which the vendors reproduce: Alpaca hands the tapes' letters through, Massive gives numbers of its own
("conditions" in its documentation). Finnhub's numbers are explained nowhere: see finnhub_stream.py.

Where we differ from the tapes, on purpose:
- odd lots (I, 37) do move the price: they are most of the trades in dear shares, and who looks at a quote expects it;
- so do trades outside regular hours (T, 12): the quote names its session;
- a corrected consolidated close (9, 38) does not: it is no trade, and comes when later trades have been shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

# C cash sale, N next day, R seller: other terms of settlement. H price variation, 4 derivatively priced, P prior
# reference price, V contingent, 7 qualified contingent: not the market's price. Z sold out of sequence, U the same
# outside regular hours: not the price of now. M official close, Q official open, 9 corrected close: no trades.
_BOTH_TAPES = frozenset("CNRH4PV7ZUMQ9")
# B and W: the tapes give the average price different letters, and B means bunched, a trade like others, on UTP.
CTA = _BOTH_TAPES | frozenset("B")
# G: a bunched trade sold out of sequence.
UTP = _BOTH_TAPES | frozenset("WG")

# By the same reasons: 2 average price, 5 bunched sold, 7 cash, 10 derivatively priced, 13 extended hours out of
# sequence, 15 official close, 16 official open, 20 next day, 21 price variation, 22 prior reference, 29 seller,
# 32 and 33 out of sequence, 38 corrected close, 44 to 49 cancels and corrections, 52 and 53 contingent, 54 errored.
MASSIVE = frozenset({2, 5, 7, 10, 13, 15, 16, 20, 21, 22, 29, 32, 33, 38, 44, 46, 47, 48, 49, 52, 53, 54})


def moves_price(conditions: Iterable[object] | None, unmoving: Collection[object]) -> bool:
    """Whether a trade with these codes sets the price; no codes at all are a regular trade."""
    return not any(code in unmoving for code in conditions or ())


def sip_letters(tape: object) -> frozenset[str]:
    """The unmoving letters of a tape: C is UTP, A and B are CTA."""
    return UTP if tape == "C" else CTA
