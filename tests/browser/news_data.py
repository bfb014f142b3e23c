"""Articles, earnings calls and analyses for the pages about them; run on the site's servers."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from core import clock
from marketdata.models import Fundamentals, Ticker
from summaries import analyses
from summaries.kinds import EXTRACTIVE, Lane, OrderState, Persona
from summaries.models import Analysis, Article, Order
from tests.summaries.factories import ACME, make_fundamentals
from tests.summaries.stored import (
    make_article,
    make_earnings_summary,
    make_order,
    make_summary,
    make_transcript,
)

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
MARKDOWN = "![x](https://evil.example/p.png) [click](https://evil.example/a)"
SPEECH = (
    "Thank you, and good afternoon. We had a strong quarter in every region, and orders grew faster than we could "
    "ship.\n\nRevenue was 4.2 billion dollars, up 12 percent from a year ago. Gross margin was 41 percent."
)


def plant() -> None:
    """Once; a second time changes nothing."""
    if Article.objects.filter(headline__contains="onerror").exists():
        return
    apple, microsoft, ibm = (Ticker.objects.get(symbol=symbol) for symbol in ("AAPL", "MSFT", "IBM"))
    _articles(apple, microsoft)
    _calls(apple)
    for ticker in (apple, microsoft):
        Fundamentals.objects.filter(ticker=ticker).delete()
        make_fundamentals(ticker, ACME, provider="simulator", simulated=True, eps_ttm=Decimal("29.4"))
    make_article(
        ibm, headline="IBM opens a laboratory in Zurich", published_at=clock.now() - timedelta(days=9)
    )


def add_article(symbol: str, headline: str) -> None:
    make_article(Ticker.objects.get(symbol=symbol), headline=headline, content_hash=uuid4().hex * 2)


# --- the steps of one analysis, as who buys texts does them


def queue(symbol: str) -> None:
    ticker = Ticker.objects.get(symbol=symbol)
    analyses.refresh(ticker, [Persona.BASIC], lane=Lane.INTERACTIVE, tier="free")
    row = Analysis.objects.filter(ticker=ticker, persona=Persona.BASIC, model=EXTRACTIVE).latest("created_at")
    make_order(row, key=f"browser {symbol}")


def begin(symbol: str) -> None:
    Order.objects.filter(key=f"browser {symbol}").update(state=OrderState.RUNNING)


def end(symbol: str, sentence: str) -> None:
    order = Order.objects.get(key=f"browser {symbol}")
    row = order.analysis
    row.pk, row.model, row.sentences, row.created_at = None, "gpt-6-luna", [sentence], clock.now()
    row.save(force_insert=True)
    Order.objects.filter(pk=order.pk).update(state=OrderState.DONE)


def _articles(apple: Ticker, microsoft: Ticker) -> None:
    now = clock.now()
    first = make_article(
        apple,
        microsoft,
        headline="Pre-orders for the new tablet sell out, shipping moves to three weeks",
        source="The Daily Ledger",
        url="https://news.example/tablet?a=1&b=2",
        published_at=now - timedelta(minutes=42),
    )
    make_summary(
        first,
        "gpt-6-luna",
        sentences=[
            "First allotments sold out within the launch weekend and delivery estimates moved out.",
            "Analysts raised unit estimates for the quarter.",
        ],
        key_points=[
            "Sold out within a weekend",
            "Delivery in three weeks",
            "Estimates for the quarter were raised",
        ],
        sentiment=Decimal("0.62"),
    )
    second = make_article(
        apple,
        headline="Regulator asks for views on e-book pricing",
        url="",
        is_fictional=True,
        published_at=now - timedelta(hours=26),
    )
    make_summary(
        second,
        EXTRACTIVE,
        sentences=["The inquiry covers five publishers and the agency model.", "No finding has been made."],
        key_points=["Five publishers"],
        sentiment=Decimal("-0.41"),
    )
    third = make_article(
        microsoft,
        headline="A short note on cloud contracts",
        url="",
        licence="CC BY 2.5",
        published_at=now - timedelta(hours=27),
    )
    make_summary(third, EXTRACTIVE, sentiment=Decimal("0.05"))
    make_article(apple, headline="Only a headline was told of this", published_at=now - timedelta(days=3))
    hostile = make_article(
        apple,
        headline=HOSTILE,
        source=HOSTILE,
        url="javascript:alert(1)",
        published_at=now - timedelta(days=5),
    )
    make_summary(
        hostile, HOSTILE[:60], sentences=[HOSTILE, MARKDOWN], key_points=[MARKDOWN], related=["AAPL"]
    )


def _calls(apple: Ticker) -> None:
    speeches = [
        {"speaker": "Operator", "role": "", "text": "Welcome to the call."},
        {"speaker": "Maria Lindqvist", "role": "Chief executive", "text": SPEECH},
        {"speaker": HOSTILE, "role": "Analyst", "text": f"{HOSTILE}\n\n{MARKDOWN}"},
        {"speaker": "Tom Okafor", "role": "Chief financial officer", "text": SPEECH},
    ]
    for year, quarter in ((2031, 3), (2031, 2), (2030, 4)):
        call = make_transcript(
            apple,
            year,
            quarter,
            title=f"Earnings call of the third quarter {year}" if quarter == 3 else f"Q{quarter} {year}",
            speeches=speeches,
            is_fictional=True,
        )
        make_earnings_summary(
            call,
            "gpt-6-luna",
            sentences=[
                "Revenue grew by 12 percent to 4.2 billion dollars.",
                "Orders outran what could be shipped.",
            ],
            key_metrics=[
                {"name": "Revenue", "value": "4.2 billion USD"},
                {"name": "Gross margin", "value": "41 %"},
                {"name": HOSTILE, "value": MARKDOWN},
            ],
            guidance=["Revenue of 4.4 to 4.6 billion dollars in the next quarter", MARKDOWN],
            sentiment=Decimal("0.55"),
        )
