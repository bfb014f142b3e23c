"""Fundamentals of made-up companies: from a symbol, a seed and the price around which it moves. Pure.

Every figure follows from a few, as in real accounts: earnings from price, sales from earnings and margin, equity from
earnings and return, debt from equity. So ratios agree with each other, whoever computes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from marketdata.company import Fundamentals

# How far earnings wander from one quarter to the next, at most.
WIGGLE = 0.03
PAYS_NO_DIVIDEND = 0.35
FEWEST_SHARES = 1e8
TAX = 0.21


def of(symbol: str, price: Decimal, seed: int, today: date) -> Fundamentals:
    """Those of the last quarter that has ended before today; always the same for the same question."""
    as_of = quarter_end_before(today)
    draw = Draw(f"{seed} {symbol}")
    eps = float(price) / draw.between("price to earnings", 9, 34) * (1 + draw.wiggle(as_of))
    shares = round(FEWEST_SHARES * 10 ** draw.between("shares", 0, 1.9), -3)
    return Fundamentals(
        symbol,
        as_of,
        shares=Decimal(int(shares)),
        eps_ttm=_rounded(eps),
        dividend_per_share=_rounded(eps * draw.payout()),
        beta=_rounded(draw.between("beta", 0.6, 1.7), 2),
        current_ratio=_rounded(draw.between("current ratio", 0.8, 2.8), 2),
        **_sales(draw, eps, shares),
        **_balance(draw, eps, shares),
        **_growth(draw),
    )


def quarter_end_before(today: date) -> date:
    return today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Draw:
    """Numbers that belong to one company and stay the same for ever."""

    key: str

    def between(self, name: str, low: float, high: float) -> float:
        digest = blake2b(f"{self.key} {name}".encode(), digest_size=6).digest()
        return low + (high - low) * int.from_bytes(digest) / 2**48

    def wiggle(self, day: date) -> float:
        return self.between(f"wiggle {day}", -WIGGLE, WIGGLE)

    def payout(self) -> float:
        """The part of its earnings that it pays out."""
        pays = self.between("pays", 0, 1) > PAYS_NO_DIVIDEND
        return self.between("payout", 0.15, 0.6) if pays else 0.0


def _sales(draw: Draw, eps: float, shares: float) -> dict[str, Any]:
    net = draw.between("net margin", 0.05, 0.28)
    operating = net / (1 - TAX) + draw.between("interest", 0.0, 0.02)
    sales = eps / net
    return {
        "net_margin": _rounded(net),
        "operating_margin": _rounded(operating),
        "gross_margin": _rounded(operating + draw.between("overhead", 0.08, 0.35)),
        "revenue_per_share_ttm": _rounded(sales),
        "fcf_ttm": _rounded(eps * shares * draw.between("free cash", 0.75, 1.2), 0),
        "cash": _rounded(sales * shares * draw.between("cash", 0.05, 0.25), 0),
    }


def _balance(draw: Draw, eps: float, shares: float) -> dict[str, Any]:
    roe, leverage = draw.between("return on equity", 0.07, 0.34), draw.between("leverage", 0.05, 1.7)
    equity = eps / roe
    # What is owed without interest comes on top of equity and debt.
    assets = equity * (1 + leverage) * draw.between("other debts", 1.1, 1.4)
    return {
        "roe": _rounded(roe),
        "roa": _rounded(eps / assets),
        "book_value_per_share": _rounded(equity),
        "debt_to_equity": _rounded(leverage),
        "total_debt": _rounded(equity * leverage * shares, 0),
    }


def _growth(draw: Draw) -> dict[str, Any]:
    """Around one rate for each company: a year may go otherwise, five do less."""
    usual = draw.between("growth", -0.02, 0.22)

    def about(name: str, spread: float) -> Decimal:
        return _rounded(usual + draw.between(name, -spread, spread))

    return {
        "revenue_growth_1y": about("revenue growth of 1 year", 0.06),
        "revenue_growth_5y": about("revenue growth of 5 years", 0.02),
        "eps_growth_1y": about("earnings growth of 1 year", 0.09),
        "eps_growth_3y": about("earnings growth of 3 years", 0.05),
        "eps_growth_5y": about("earnings growth of 5 years", 0.03),
    }


def _rounded(value: float, places: int = 4) -> Decimal:
    return Decimal(f"{value:.{places}f}")
