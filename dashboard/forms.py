from __future__ import annotations

from django import forms

from marketdata.errors import InvalidSymbol
from marketdata.models import Ticker
from marketdata.symbols import canonical


class TickerForm(forms.Form):
    """A symbol in any spelling; after cleaning, `ticker` is the ticker it names."""

    symbol = forms.CharField(
        max_length=200, error_messages={"required": "Enter a ticker symbol, such as AAPL."}
    )

    ticker: Ticker

    def clean_symbol(self) -> str:
        try:
            symbol = canonical(self.cleaned_data["symbol"])
        except InvalidSymbol as error:
            raise forms.ValidationError(str(error), code="invalid_symbol") from error
        ticker = Ticker.objects.filter(symbol=symbol, is_active=True).first()
        if ticker is None:
            raise forms.ValidationError(
                f"There is no ticker {symbol} in the directory. Search by company name to find its symbol.",
                code="not_found",
            )
        self.ticker = ticker
        return symbol
