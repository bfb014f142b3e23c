"""One canonical spelling per instrument, so that two spellings never lead to two tickers.

`canonical` is called once, at every edge where a symbol comes in; all inside uses its answer. The forms:

    AAPL  A  0700           letters and digits; leading zeros stay
    BRK.B                   a share class after a dot; also written BRK-B, BRK/B, BRK B
    PBR.A                   likewise, although Yahoo shows PBR-A
    ABC.WS  ABC.U  ABC.RT   warrant (also .W, .WT), unit (also .UN), right (also .R, .RI)
    ABR.PRD                 preferred share, series D; also written ABR-PD (Yahoo), ABR.PR.D, ABR/PRD
    0700.HK  RCI.B.TO       an exchange after a dot, as Yahoo does; MC.PA is Paris, MC-PA a preferred share
    ^GSPC                   an index
    ES=F                    a future
    EURUSD=X                a currency pair; also written EUR/USD, EUR-USD; JPY=X means USDJPY=X
    BTC-USD                 a coin in a currency; also written BTC/USD, BTC.USD
"""

from __future__ import annotations

import re
import unicodedata

from marketdata.errors import InvalidSymbol

MAX_LENGTH = 20
GROUP_PREFIX = "tk_"

_ALLOWED = re.compile(r"[A-Z0-9.\-^=/]{1,20}")
_INDEX = re.compile(r"\^[A-Z0-9]{1,14}(?:\.[A-Z0-9]{1,4})?")
_DERIVED = re.compile(r"([A-Z0-9]{1,18})=([XF])")
# The only thing a space may stand for is the separator before a share class.
_SPACED_CLASS = re.compile(r"([A-Z0-9]{1,16}) (PR ?[A-Z]?|WS|WT|UN|RT|[A-Z])")
_PARTED = re.compile(r"[A-Z0-9]{1,20}(?:[./-][A-Z0-9]{1,4}){0,2}")
_DASHED_PREFERRED = re.compile(r"-P([A-Z])$")
_WARRANT = re.compile(r"W|W[ST]([A-Z]?)")
_OUTSIDE_GROUP_NAME = re.compile(r"[^A-Z0-9.\-]")

_CURRENCIES = frozenset(
    [
        *["AUD", "BRL", "CAD", "CHF", "CLP", "CNH", "CNY", "COP", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF"],
        *["IDR", "ILS", "INR", "ISK", "JPY", "KRW", "MXN", "MYR", "NOK", "NZD", "PEN", "PHP", "PLN", "RON"],
        *["RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "VND", "ZAR"],
    ]
)
# What a coin is priced in. A suffix from this list makes a pair, any other a share class or an exchange.
_PAIR_QUOTES = frozenset(
    {"AUD", "BRL", "BTC", "CAD", "CHF", "ETH", "EUR", "GBP", "JPY", "USD", "USDC", "USDT"}
)


def canonical(text: object) -> str:
    """The one spelling of the instrument that `text` names; raises InvalidSymbol, safe to show."""
    if not isinstance(text, str):
        raise InvalidSymbol("A ticker symbol must be text.")
    cleaned = _cleaned(text)
    if cleaned.startswith("^"):
        return _checked(cleaned, _INDEX)
    if "=" in cleaned:
        return _derived(cleaned)
    return _parted(_checked(cleaned, _PARTED))


def group_name(symbol: str) -> str:
    """The live group of a canonical symbol: a name legal for Channels, different for different symbols."""
    return GROUP_PREFIX + _OUTSIDE_GROUP_NAME.sub(_as_hex, symbol)


def _cleaned(text: str) -> str:
    if len(text) > 4 * MAX_LENGTH:
        raise InvalidSymbol(f"A ticker symbol has at most {MAX_LENGTH} characters.")
    normal = unicodedata.normalize("NFKC", text).strip(" ")
    if not normal:
        raise InvalidSymbol("Enter a ticker symbol, such as AAPL or BRK.B.")
    if not normal.isascii():  # before upper(), which would make SS of a sharp s
        raise InvalidSymbol(
            "A ticker symbol has plain letters A to Z only; this one has look-alikes or symbols."
        )
    normal = normal.upper()
    if spaced := _SPACED_CLASS.fullmatch(normal):
        normal = f"{spaced[1]}.{spaced[2].replace(' ', '')}"
    if len(normal) > MAX_LENGTH:
        raise InvalidSymbol(f"A ticker symbol has at most {MAX_LENGTH} characters.")
    if not _ALLOWED.fullmatch(normal):
        raise InvalidSymbol("A ticker symbol has only letters, digits and the signs . - ^ = /")
    return normal


def _checked(text: str, shape: re.Pattern[str]) -> str:
    if not shape.fullmatch(text):
        raise InvalidSymbol(
            "This does not have the form of a ticker symbol, such as AAPL, BRK.B, 0700.HK or ^GSPC."
        )
    return text


def _derived(text: str) -> str:
    _checked(text, _DERIVED)
    name, kind = text.split("=")
    if kind == "X" and name in _CURRENCIES:
        return f"USD{name}=X"
    return text


def _parted(text: str) -> str:
    """Join root, share class and exchange by dots, in the one spelling of each class."""
    text = _DASHED_PREFERRED.sub(r".PR\1", text)
    root, *rest = re.split(r"[./-]", text)
    if len(rest) == 2 and rest[0] == "PR" and len(rest[1]) == 1:
        rest = ["PR" + rest[1]]
    if len(rest) == 2 and rest[0] in {"WS", "WT"} and len(rest[1]) == 1:
        rest = ["WS" + rest[1]]
    if len(rest) == 1:  # with an exchange behind it, .UN and .U can be two instruments
        return _with_suffix(root, rest[0])
    return _not_too_long(".".join([root, *rest]))


def _with_suffix(root: str, suffix: str) -> str:
    if suffix in _PAIR_QUOTES:
        both_money = root in _CURRENCIES and suffix in _CURRENCIES
        return f"{root}{suffix}=X" if both_money else f"{root}-{suffix}"
    if warrant := _WARRANT.fullmatch(suffix):
        suffix = "WS" + (warrant[1] or "")
    suffix = {"UN": "U", "R": "RT", "RI": "RT"}.get(suffix, suffix)
    return _not_too_long(f"{root}.{suffix}")


def _not_too_long(symbol: str) -> str:
    if len(symbol) > MAX_LENGTH:
        raise InvalidSymbol(f"A ticker symbol has at most {MAX_LENGTH} characters.")
    return symbol


def _as_hex(match: re.Match[str]) -> str:
    """The underscore occurs in no symbol, so an escape cannot be mistaken for one."""
    return "".join(f"_{byte:02X}" for byte in match[0].encode())
