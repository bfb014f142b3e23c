"""Alpha Vantage on loopback: one address, all with status 200, figures as texts, the key repeated in a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from core import clock
from marketdata.quotes import Action, ActionKind, Bar
from marketdata.standins import alpha_vantage_company
from marketdata.standins.base import Asked, Fault, Reply, StandIn
from marketdata.standins.market import Listed

NEW_YORK = ZoneInfo("America/New_York")
PREMIUM = "https://www.alphavantage.co/premium/"
INVALID = {"Error Message": "Invalid API call. Please retry or visit the documentation for {}."}
NO_KEY = {"Error Message": "the parameter apikey is invalid or missing. Please claim your free API key."}
NO_PLAN = {"Information": f"Thank you for using Alpha Vantage! This is a premium endpoint. See {PREMIUM}"}
COMPACT = 100
FX = {"CRYPTO", "FX"}


class AlphaVantageStandIn(StandIn):
    """`paid` opens batches, minutes and the whole history; `answers_samples` is how a free key's batch looks."""

    vendor = "alpha_vantage"

    def __init__(self, *args: Any, paid: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.paid = paid

    async def respond(self, asked: Asked, fault: Fault | None) -> Reply:
        if asked.params.get("apikey") != self.key:
            return Reply(NO_KEY)
        if fault is Fault.THROTTLED_200:
            return Reply(self.burst_message())
        function = asked.params.get("function", "")
        if asked.path == "/query" and function in alpha_vantage_company.ANSWERS:
            return Reply(alpha_vantage_company.ANSWERS[function](self.market, asked.params))
        if asked.path != "/query" or function not in ANSWERS:
            return Reply(invalid(function))
        return Reply(ANSWERS[function](self, asked.params, fault))

    def refusal(self, fault: Fault) -> Reply:
        """All but the last with status 200."""
        return {
            Fault.UNAUTHORIZED: Reply(NO_KEY),
            Fault.PLAN: Reply(NO_PLAN),
            Fault.RATE_LIMITED: Reply(self.daily_message()),
            Fault.RATE_LIMITED_BARE: Reply(self.old_message()),
        }.get(fault, Reply({"error": f"Internal error, apikey={self.key}"}, 500))

    def daily_message(self) -> dict[str, str]:
        return {
            "Information": f"We have detected your API key as {self.key} and our standard API rate limit is "
            f"25 requests per day. Please subscribe to any of the premium plans at {PREMIUM} to instantly "
            "remove all daily rate limits."
        }

    def burst_message(self) -> dict[str, str]:
        return {
            "Information": "Thank you for using Alpha Vantage! Please consider spreading out your free API "
            "requests more sparingly (1 request per second). You may subscribe to any of the premium plans at "
            f"{PREMIUM} to lift the free key rate limit (25 requests per day), raise the per-second burst "
            "limit, and instantly unlock all premium endpoints"
        }

    def old_message(self) -> dict[str, str]:
        return {
            "Note": "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute "
            "and 500 calls per day."
        }

    # --- answers

    def global_quote(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        found = self.market.get(ours(params.get("symbol", "")))
        if found is None or fault is Fault.MISSING:
            return {"Global Quote": {}}
        if fault is Fault.ITEM_ERROR:
            return invalid("GLOBAL_QUOTE")
        return {"Global Quote": _global(found, fault)}

    def bulk(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        asked = params.get("symbol", "").split(",")[:100]
        if not self.paid:
            return {
                "endpoint": "Realtime Bulk Quotes",
                "message": f"This is a premium endpoint. The data below are artificial. See {PREMIUM}",
                "data": [_sample(symbol) for symbol in asked],
            }
        wrong = fault if fault in {Fault.MISSING, Fault.ZEROS, Fault.ITEM_ERROR} else None
        rows = []
        for number, symbol in enumerate(asked):
            found = self.market.get(ours(symbol))
            is_first = number == 0
            if found is None or (is_first and wrong in {Fault.MISSING, Fault.ITEM_ERROR}):
                continue
            rows.append(_bulk(found, fault if is_first or wrong is None else None))
        if fault is Fault.SCRAMBLED and rows:
            rows = [*reversed(rows), *self._extra(), rows[0]]
        return {"endpoint": "Realtime Bulk Quotes", "message": "success", "data": rows}

    def _extra(self) -> list[dict[str, str]]:
        """A row that nobody asked for."""
        found = self.market.get("SPY")
        return [_bulk(found, None)] if found else []

    def rate(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        base, money = params.get("from_currency", ""), params.get("to_currency", "")
        found = self.market.get(f"{base}-{money}") or self.market.get(f"{base}{money}=X")
        if found is None or fault is Fault.MISSING:
            return invalid("CURRENCY_EXCHANGE_RATE")
        return {"Realtime Currency Exchange Rate": _rate(found, base, money, fault)}

    def daily(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        symbol = ours(params.get("symbol", ""))
        if symbol not in self.market.listed:
            return invalid("TIME_SERIES_DAILY")
        is_full = params.get("outputsize") == "full"
        if is_full and not self.paid:
            return NO_PLAN
        now = clock.now()
        days = timedelta(days=365 * 20) if is_full else timedelta(days=200)
        bars = list(self.market.bars(symbol, now - days, now, timedelta(days=1)))
        chosen = bars if is_full else bars[-COMPACT:]
        rows = {bar.start.date().isoformat(): _ohlcv(bar) for bar in reversed(chosen)}
        return {"Meta Data": _meta(params), "Time Series (Daily)": rows}

    def intraday(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        symbol = ours(params.get("symbol", ""))
        if not self.paid:
            return NO_PLAN
        if symbol not in self.market.listed:
            return invalid("TIME_SERIES_INTRADAY")
        first = date.fromisoformat(f"{params['month']}-01")
        after = (first + timedelta(days=32)).replace(day=1)
        start, end = (datetime.combine(day, time(), NEW_YORK).astimezone(UTC) for day in (first, after))
        bars = self.market.bars(symbol, start, min(end, clock.now()), timedelta(minutes=1))
        rows = {bar.start.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S"): _ohlcv(bar) for bar in bars}
        return {"Meta Data": _meta(params), "Time Series (1min)": rows}

    def dividends(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        return self._actions(params, ActionKind.DIVIDEND, _dividend)

    def splits(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        return self._actions(params, ActionKind.SPLIT, _split)

    def _actions(
        self, params: Mapping[str, str], kind: ActionKind, row: Callable[[Action], dict[str, str]]
    ) -> Any:
        found = self.market.actions_of(ours(params.get("symbol", "")), date.min, date.max)
        rows = [row(one) for one in reversed(found) if one.kind is kind]
        return {"symbol": params.get("symbol"), "data": rows}

    def search(self, params: Mapping[str, str], fault: Fault | None) -> Any:
        wanted = params.get("keywords", "").lower()
        rows = [
            _match(one)
            for one in self.market.listed.values()
            if one.exchange not in FX and wanted in f"{one.symbol} {one.name}".lower()
        ]
        return {"bestMatches": rows}


ANSWERS: Mapping[str, Callable[[AlphaVantageStandIn, Mapping[str, str], Fault | None], Any]] = {
    "GLOBAL_QUOTE": AlphaVantageStandIn.global_quote,
    "REALTIME_BULK_QUOTES": AlphaVantageStandIn.bulk,
    "CURRENCY_EXCHANGE_RATE": AlphaVantageStandIn.rate,
    "TIME_SERIES_DAILY": AlphaVantageStandIn.daily,
    "TIME_SERIES_INTRADAY": AlphaVantageStandIn.intraday,
    "DIVIDENDS": AlphaVantageStandIn.dividends,
    "SPLITS": AlphaVantageStandIn.splits,
    "SYMBOL_SEARCH": AlphaVantageStandIn.search,
}


def invalid(function: str) -> dict[str, str]:
    return {name: text.format(function) for name, text in INVALID.items()}


def ours(symbol: str) -> str:
    return symbol.replace("-", ".")


def _price(value: Decimal, fault: Fault | None) -> str:
    if fault is Fault.NOT_A_NUMBER:
        return "NaN"
    return "0.0000" if fault is Fault.ZEROS else f"{value:.4f}"


def _now(found: Listed, fault: Fault | None) -> datetime:
    assert found.at is not None
    return found.at + (timedelta(hours=1) if fault is Fault.SKEWED else timedelta())


def _change(found: Listed) -> tuple[Decimal, Decimal]:
    change = found.price - found.previous_close
    return change, change / found.previous_close * 100 if found.previous_close else Decimal(0)


def _global(found: Listed, fault: Fault | None) -> dict[str, str]:
    change, percent = _change(found)
    return {
        "01. symbol": found.symbol.replace(".", "-"),
        "02. open": f"{found.open:.4f}",
        "03. high": f"{found.high:.4f}",
        "04. low": f"{found.low:.4f}",
        "05. price": _price(found.price, fault),
        "06. volume": str(found.volume),
        "07. latest trading day": _now(found, fault).astimezone(NEW_YORK).date().isoformat(),
        "08. previous close": f"{found.previous_close:.4f}",
        "09. change": f"{change:.4f}",
        "10. change percent": f"{percent:.4f}%",
    }


def _bulk(found: Listed, fault: Fault | None) -> dict[str, str]:
    change, percent = _change(found)
    return {
        "symbol": found.symbol.replace(".", "-"),
        "timestamp": _now(found, fault).astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "open": f"{found.open}",
        "high": f"{found.high}",
        "low": f"{found.low}",
        "close": _price(found.price, fault),
        "volume": str(found.volume),
        "previous_close": f"{found.previous_close}",
        "change": f"{change}",
        "change_percent": f"{percent:.4f}",
        "extended_hours_quote": "",
        "extended_hours_change": "",
        "extended_hours_change_percent": "",
    }


def _sample(symbol: str) -> dict[str, str]:
    """What a key without the plan is shown: invented."""
    return {"symbol": symbol, "timestamp": "2099-01-01 16:00:00.000", "close": "1.23", "volume": "1"}


def _rate(found: Listed, base: str, money: str, fault: Fault | None) -> dict[str, str]:
    return {
        "1. From_Currency Code": base,
        "2. From_Currency Name": found.name,
        "3. To_Currency Code": money,
        "4. To_Currency Name": money,
        "5. Exchange Rate": _price(found.price, fault),
        "6. Last Refreshed": _now(found, fault).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "7. Time Zone": "UTC",
        "8. Bid Price": f"{found.bid:.8f}",
        "9. Ask Price": f"{found.ask:.8f}",
    }


def _ohlcv(bar: Bar) -> dict[str, str]:
    prices = zip(
        ("1. open", "2. high", "3. low", "4. close"), (bar.open, bar.high, bar.low, bar.close), strict=True
    )
    return {**{name: f"{price:.4f}" for name, price in prices}, "5. volume": str(bar.volume)}


def _meta(params: Mapping[str, str]) -> dict[str, str]:
    return {"2. Symbol": params.get("symbol", ""), "5. Time Zone": "US/Eastern"}


def _day(day: date | None) -> str:
    return day.isoformat() if day else "None"


def _dividend(action: Action) -> dict[str, str]:
    return {
        "ex_dividend_date": action.ex_date.isoformat(),
        "declaration_date": _day(action.declared_date),
        "record_date": _day(action.record_date),
        "payment_date": _day(action.pay_date),
        "amount": str(action.amount),
    }


def _split(action: Action) -> dict[str, str]:
    assert action.split_from is not None
    assert action.split_to is not None
    return {
        "effective_date": action.ex_date.isoformat(),
        "split_factor": f"{action.split_to / action.split_from:.4f}",
    }


def _match(found: Listed) -> dict[str, str]:
    return {
        "1. symbol": found.symbol.replace(".", "-"),
        "2. name": found.name,
        "3. type": "ETF" if "ETF" in found.name else "Equity",
        "4. region": "United States",
        "5. marketOpen": "09:30",
        "6. marketClose": "16:00",
        "7. timezone": "UTC-04",
        "8. currency": found.currency,
        "9. matchScore": "0.8000",
    }
