"""Ten days of a small service's purchases, for the pages about costs; run on the site's servers."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from accounts.models import User
from core import clock
from marketdata.models import Cause, Price, ProviderCall, Ticker
from subscriptions.models import WatchInterval
from summaries.models import ModelCall

PASSWORD = "correct-horse-7"
STAFF = "boss"
PEOPLE = 12
DAYS = 10


def plant() -> None:
    if User.objects.filter(username=STAFF).exists():
        return
    now = clock.now()
    symbols = list(Ticker.objects.order_by("symbol").values_list("symbol", flat=True)[:12])
    tickers = Ticker.objects.in_bulk(symbols, field_name="symbol")
    for number in range(PEOPLE):
        user = User.objects.create_user(f"reader{number}", f"reader{number}@example.com", PASSWORD)
        for symbol in symbols[: 2 + number % 7]:
            WatchInterval.objects.create(
                user=user, ticker=tickers[symbol], started_at=now - timedelta(days=DAYS)
            )
    User.objects.create_user(STAFF, f"{STAFF}@example.com", PASSWORD, is_staff=True, is_superuser=True)
    _prices(now - timedelta(days=90))
    ModelCall.objects.bulk_create(
        ModelCall(
            at=now - timedelta(days=day, minutes=number * 7),
            vendor="openai",
            model="gpt-6-luna" if number % 4 else "meta-llama/llama-4-maverick-17b-128e-instruct",
            task="summary" if number % 3 else "analysis",
            lane="minutes",
            outcome="ok",
            symbols=symbols[number % 5 : number % 5 + 1 + number % 3],
            asked=10,
            answered=9,
            input_tokens=1_234_567,
            cached_tokens=234_567,
            output_tokens=345_678,
        )
        for day in range(DAYS)
        for number in range(12)
    )
    ProviderCall.objects.bulk_create(
        ProviderCall(
            at=now - timedelta(days=day, minutes=number * 10),
            provider="massive" if number % 9 else "finnhub",
            plan="starter",
            endpoint="quotes",
            cause=Cause.POLL if number % 3 else Cause.WARM,
            symbols=symbols[number % 3 :],
            units=Decimal(1),
            outcome="ok",
        )
        for day in range(DAYS)
        for number in range(40 + day * 7 % 30)
    )


def _prices(since) -> None:
    Price.objects.create(provider="massive", unit="request", usd=Decimal("0.01"), valid_from=since)
    for unit, usd in (("ktoken_in", "0.00025"), ("ktoken_out", "0.002")):
        Price.objects.create(provider="openai", unit=unit, usd=Decimal(usd), valid_from=since)
    Price.objects.create(provider="massive", plan="starter", unit="month", usd=Decimal(29), valid_from=since)
