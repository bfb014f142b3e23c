"""What each vendor tells of companies in its own way: units, spellings, pages, plans, and what is not told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from core import clock
from marketdata.company import FIGURES, News
from marketdata.errors import Kind, Malformed, NotFound, PlanLocked
from marketdata.providers.alpha_vantage_company import fiscal_quarter
from marketdata.providers.base import MOST_NEWS
from marketdata.standins.alpaca import AlpacaStandIn
from marketdata.standins.alpha_vantage import AlphaVantageStandIn
from marketdata.standins.base import Fault, Reply
from marketdata.standins.finnhub import FinnhubStandIn
from marketdata.standins.massive import MassiveStandIn
from marketdata.standins.yahoo import YahooStandIn
from tests.contracts.vendors.case import KEY
from tests.contracts.vendors.test_alpaca import alpaca
from tests.contracts.vendors.test_alpha_vantage import alpha_vantage
from tests.contracts.vendors.test_finnhub import finnhub
from tests.contracts.vendors.test_massive import massive
from tests.contracts.vendors.test_yahoo import unknown as yahoo

D = Decimal


@pytest.fixture
def kind(request):
    return request.param


@pytest.fixture
async def standin(kind):
    from core import http  # noqa: PLC0415 -- closed where it was opened

    async with kind(key=KEY).running() as running:
        yield running
        await http.close_client()


def of(kind):
    return pytest.mark.parametrize("kind", [kind], indirect=True, ids=[kind.vendor])


def answering(standin, monkeypatch, *bodies):
    """These answers one after the other, the last one for ever."""
    left = list(bodies)

    async def respond(asked, fault):
        return Reply(left.pop(0) if len(left) > 1 else left[0])

    monkeypatch.setattr(standin, "respond", respond)


def long_ago():
    return clock.now() - timedelta(days=30)


# --- Alpaca


@of(AlpacaStandIn)
async def test_alpacas_pages_are_read_until_there_are_enough(standin, calls):
    now = clock.now().replace(microsecond=0)
    standin.market.news = [
        News(str(n), f"No. {n}", now - timedelta(minutes=n), ("AAPL",), url=f"https://x.example/{n}")
        for n in range(1, MOST_NEWS + 61)
    ]

    found = await alpaca(standin).fetch_news("AAPL", long_ago())

    assert [one.external_id for one in found] == [str(n) for n in range(1, MOST_NEWS + 1)]
    assert [call.endpoint for call in calls] == ["news"] * 4
    assert standin.asked[0].params["include_content"] == "true"


@of(AlpacaStandIn)
async def test_a_page_of_alpacas_that_fails_fails_the_whole(standin):
    standin.page_size = 1
    standin.fail(Fault.SERVER_ERROR, 1, after=1)

    with pytest.raises(Exception, match="answered 500"):
        await alpaca(standin).fetch_news("AAPL", long_ago())


@of(AlpacaStandIn)
async def test_alpaca_writes_coins_without_a_sign(standin):
    (found,) = await alpaca(standin).fetch_news("BTC-USD", long_ago())

    assert found.symbols == ("BTC-USD",)
    assert standin.asked[0].params["symbols"] == "BTCUSD"


@of(AlpacaStandIn)
async def test_alpacas_coins_and_share_classes_beside_are_ours(standin):
    now = clock.now()
    standin.market.news = [News("1", "A", now, ("AAPL", "BRK.B", "ETH-USD", "BTC-USDT"))]

    (found,) = await alpaca(standin).fetch_news("AAPL", long_ago())

    assert found.symbols == ("AAPL", "BRK.B", "ETH-USD", "BTC-USDT")


# --- what is wrong with one article


def article(**changes):
    return {
        "id": 7, "headline": "A", "created_at": "2026-01-05T11:08:42.5Z", "symbols": ["AAPL"], "summary": "S",
        "content": "", "source": "benzinga", "url": "https://x.example/7", **changes,
    }  # fmt: skip


@of(AlpacaStandIn)
@pytest.mark.parametrize(
    "wrong",
    [
        {"headline": ""},
        {"headline": None},
        {"created_at": "yesterday"},
        {"created_at": None},
        {"symbols": None},
    ],
    ids=str,
)
async def test_an_article_that_cannot_be_read_costs_no_other(standin, monkeypatch, wrong):
    body = {"news": [article(**wrong), article(id=8)], "next_page_token": None}
    answering(standin, monkeypatch, body)

    found = await alpaca(standin).fetch_news("AAPL", datetime(2026, 1, 1, tzinfo=UTC))

    assert [(one.external_id, one.body) for one in found] == [("8", "S")]


@of(AlpacaStandIn)
async def test_articles_none_of_which_can_be_read_are_malformed(standin, monkeypatch, calls):
    answering(standin, monkeypatch, {"news": [article(created_at="?")], "next_page_token": None})

    with pytest.raises(Malformed):
        await alpaca(standin).fetch_news("AAPL", long_ago())

    assert [call.kind for call in calls] == [Kind.MALFORMED]


@of(AlpacaStandIn)
@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x.example", None, 7])
async def test_an_address_that_is_none_of_a_page_is_left_out(standin, monkeypatch, url):
    answering(standin, monkeypatch, {"news": [article(url=url)], "next_page_token": None})

    (found,) = await alpaca(standin).fetch_news("AAPL", datetime(2026, 1, 1, tzinfo=UTC))

    assert found.url == ""


@of(AlpacaStandIn)
async def test_an_article_told_twice_is_one(standin, monkeypatch):
    answering(standin, monkeypatch, {"news": [article(), article()], "next_page_token": None})

    assert len(await alpaca(standin).fetch_news("AAPL", datetime(2026, 1, 1, tzinfo=UTC))) == 1


# --- Finnhub


@of(FinnhubStandIn)
async def test_finnhubs_percents_are_fractions_and_its_millions_whole(standin, monkeypatch):
    metric = {
        "grossMarginTTM": 46.12, "revenueGrowth5Y": -8.1, "epsTTM": 6.42, "beta": 1.21, "bookValuePerShareAnnual": 4.2,
        "totalDebt/totalEquityAnnual": 1.5, "freeCashFlowTTM": 98767, "roeTTM": None, "currentRatioAnnual": 0,
    }  # fmt: skip
    series = {"quarterly": {"eps": [{"period": "2025-12-27", "v": 1}, {"period": "2025-09-27", "v": 1}]}}
    profile = {"currency": "EUR", "shareOutstanding": 15115.823}
    answering(standin, monkeypatch, {"metric": metric, "series": series}, profile)

    found = await finnhub(standin).fetch_fundamentals("AAPL")

    assert (found.gross_margin, found.revenue_growth_5y) == (D("0.4612"), D("-0.081"))
    assert (found.shares, found.fcf_ttm) == (D("15115823000"), D("98767000000"))
    assert found.total_debt == D("1.5") * D("4.2") * D("15115823000")
    assert (found.eps_ttm, found.beta, found.roe, found.current_ratio) == (D("6.42"), D("1.21"), None, None)
    assert (found.as_of, found.currency) == (date(2025, 12, 27), "EUR")


@of(FinnhubStandIn)
async def test_without_a_profile_finnhubs_figures_are_those_of_a_share(standin, monkeypatch):
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    answering(standin, monkeypatch, {"metric": {"epsTTM": 6.42, "bookValuePerShareAnnual": 4}}, {})

    found = await finnhub(standin).fetch_fundamentals("SPY")

    told = {name for name in FIGURES if getattr(found, name) is not None}
    assert told == {"eps_ttm", "book_value_per_share"}
    assert (found.as_of, found.currency) == (now.date(), "USD")


@of(FinnhubStandIn)
async def test_finnhubs_free_cash_flow_follows_from_what_is_paid_for_it(standin, monkeypatch):
    metric = {"pfcfShareTTM": 20, "marketCapitalization": 3_000_000}
    answering(standin, monkeypatch, {"metric": metric}, {"shareOutstanding": 15000})

    assert (await finnhub(standin).fetch_fundamentals("AAPL")).fcf_ttm == D(150_000_000_000)


@of(FinnhubStandIn)
async def test_a_series_of_another_shape_is_malformed(standin, monkeypatch, calls):
    answering(standin, monkeypatch, {"metric": {"epsTTM": 1}, "series": {"quarterly": {"eps": 7}}}, {})

    with pytest.raises(Malformed):
        await finnhub(standin).fetch_fundamentals("AAPL")

    assert [call.kind for call in calls] == [Kind.OK, Kind.MALFORMED]


@of(FinnhubStandIn)
async def test_after_its_list_one_request_reads_a_transcript_of_finnhub(standin, calls):
    provider = finnhub(standin)
    for year, quarter in await provider.fetch_calls("AAPL", 2):
        await provider.fetch_call("AAPL", year, quarter)

    assert [call.endpoint for call in calls] == ["calls", "call", "call"]


@of(FinnhubStandIn)
async def test_the_free_plan_of_finnhub_has_news_and_figures_but_no_transcripts(standin):
    standin.paid = False
    free = finnhub(standin, plan="free")

    can = free.capabilities
    assert (can.news, can.fundamentals, can.transcripts) == (True, True, False)
    assert (await free.fetch_fundamentals("AAPL")).eps_ttm == D("6.42")
    with pytest.raises(PlanLocked):
        await free.fetch_calls("AAPL", 1)


@of(FinnhubStandIn)
@pytest.mark.parametrize("symbol", ["BTC-USD", "EURUSD=X", "SHOP.TO"])
async def test_finnhub_is_not_asked_for_news_that_it_does_not_have(standin, symbol):
    with pytest.raises(NotFound):
        await finnhub(standin).fetch_news(symbol, long_ago())

    assert standin.asked == []


@of(FinnhubStandIn)
async def test_years_are_no_quarters_and_a_transcript_of_nothing_is_none(standin, monkeypatch):
    rows = [{"id": "a", "year": 2026, "quarter": 0}, {"id": "b", "year": 2026, "quarter": 2}, {"id": "c"}]
    silent = {"transcript": [{"name": "Ada", "speech": ["  "]}], "participant": None}
    answering(standin, monkeypatch, {"transcripts": rows}, silent)
    provider = finnhub(standin)

    assert await provider.fetch_calls("AAPL", 9) == [(2026, 2)]
    with pytest.raises(NotFound):
        await provider.fetch_call("AAPL", 2026, 2)


# --- Massive


@of(MassiveStandIn)
async def test_massives_figures_are_exact(standin, monkeypatch):
    ratios = {
        "date": "2026-01-05", "price": 200.5, "market_cap": 3007500000000, "price_to_book": 50, "dividend_yield": 0.004,
        "earnings_per_share": 6.42, "free_cash_flow": 98767000000, "debt_to_equity": 0, "return_on_equity": 0.31,
    }  # fmt: skip
    years = [
        {"period_end": f"{2025 - back}-09-30", "revenue": 1000 - 100 * back, "gross_profit": 440,
         "diluted_earnings_per_share": 4 if back == 0 else -1}
        for back in range(2)
    ]  # fmt: skip
    balance = {"period_end": "2025-12-31", "cash_and_equivalents": 5, "debt_current": 2}
    bodies = [{"status": "OK", "results": rows} for rows in ([ratios], years, [balance])]
    answering(standin, monkeypatch, *bodies)

    found = await massive(standin).fetch_fundamentals("AAPL")

    assert (found.shares, found.book_value_per_share) == (D(15_000_000_000), D("4.01"))
    assert (found.dividend_per_share, found.roe, found.debt_to_equity) == (D("0.802"), D("0.31"), D(0))
    assert (found.gross_margin, found.revenue_growth_1y, found.eps_growth_1y) == (
        D("0.44"), D("0.111111111"), None,
    )  # fmt: skip
    assert (found.cash, found.total_debt, found.current_ratio, found.net_margin) == (D(5), D(2), None, None)
    assert found.as_of == date(2025, 12, 31)


@of(MassiveStandIn)
async def test_where_the_plan_has_no_statements_massives_ratios_are_told(standin, monkeypatch, calls):
    locked = {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}
    ratios = {"date": "2026-01-05", "earnings_per_share": 6.42}
    answering(standin, monkeypatch, {"status": "OK", "results": [ratios]}, locked)

    found = await massive(standin).fetch_fundamentals("AAPL")

    assert {name for name in FIGURES if getattr(found, name) is not None} == {"eps_ttm"}
    assert found.as_of == date(2026, 1, 5)
    assert [call.kind for call in calls] == [Kind.OK, Kind.PLAN_LOCKED, Kind.PLAN_LOCKED]


@of(MassiveStandIn)
async def test_growth_over_a_year_that_is_missing_is_not_told(standin, monkeypatch):
    years = [
        {"period_end": f"{year}-09-30", "revenue": amount}
        for year, amount in ((2025, 8), (2023, 4), (2022, 1))
    ]
    answering(
        standin, monkeypatch,
        *({"status": "OK", "results": rows} for rows in ([{"earnings_per_share": 1}], years, [])),
    )  # fmt: skip

    assert (await massive(standin).fetch_fundamentals("AAPL")).revenue_growth_1y is None


@of(MassiveStandIn)
async def test_a_plan_of_massive_without_figures_refuses_them(standin):
    standin.has_financials = False

    assert not massive(standin, plan="starter").capabilities.fundamentals
    with pytest.raises(PlanLocked):
        await massive(standin).fetch_fundamentals("AAPL")


@of(MassiveStandIn)
@pytest.mark.parametrize(("symbol", "asked"), [("BRK.B", "BRK.B"), ("BTC-USD", "X:BTCUSD")])
async def test_massives_news_are_asked_in_its_spelling(standin, symbol, asked):
    found = await massive(standin).fetch_news(symbol, long_ago())

    assert [one.symbols[0] for one in found] == [symbol]
    assert standin.asked[0].params["ticker"] == asked


# --- Alpha Vantage


@of(AlphaVantageStandIn)
async def test_what_alpha_vantage_calls_none_is_not_told(standin, monkeypatch):
    nothing = dict.fromkeys(
        ("EPS", "BookValue", "Beta", "ProfitMargin", "DividendPerShare", "RevenueTTM"), "None"
    )
    body = {
        **nothing,
        "Symbol": "AAPL",
        "DilutedEPSTTM": "-",
        "ReturnOnEquityTTM": "0",
        "SharesOutstanding": "5",
    }
    answering(standin, monkeypatch, body, {})

    found = await alpha_vantage(standin).fetch_fundamentals("AAPL")

    assert {name for name in FIGURES if getattr(found, name) is not None} == {"shares"}


@of(AlphaVantageStandIn)
async def test_with_the_free_plan_alpha_vantage_is_asked_once(standin, calls):
    free = alpha_vantage(standin, plan="free")

    found = await free.fetch_fundamentals("AAPL")

    assert [asked.params["function"] for asked in standin.asked] == ["OVERVIEW"]
    assert (found.eps_ttm, found.gross_margin, found.fcf_ttm) == (D("6.42"), D("0.4612"), None)


@of(AlphaVantageStandIn)
async def test_free_cash_flow_needs_four_quarters_all_told(standin, monkeypatch):
    rows = [
        {"fiscalDateEnding": f"2025-{month:02}-28", "operatingCashflow": "10", "capitalExpenditures": "3"}
        for month in (3, 6, 9, 12)
    ]
    told = []
    for reports in (rows, rows[1:], [{**rows[0], "operatingCashflow": "None"}, *rows[1:]]):
        bodies = ({"Symbol": "AAPL"}, {"quarterlyReports": reports}, {})
        answering(standin, monkeypatch, *bodies)
        told.append((await alpha_vantage(standin).fetch_fundamentals("AAPL")).fcf_ttm)

    assert told == [D(28), None, None]


@pytest.mark.parametrize(
    ("end", "month", "expected"),
    [
        (date(2025, 12, 31), 12, (2025, 4)),
        (date(2026, 3, 31), 12, (2026, 1)),
        (date(2025, 12, 31), 9, (2026, 1)),
        (date(2025, 9, 30), 9, (2025, 4)),
        (date(2026, 1, 31), 1, (2026, 4)),
        (date(2025, 4, 30), 1, (2026, 1)),
        (date(2025, 11, 30), 8, (2026, 1)),
        (date(2025, 6, 30), 6, (2025, 4)),
    ],
)
def test_a_quarter_belongs_to_the_fiscal_year_in_which_it_ends(end, month, expected):
    assert fiscal_quarter(end, month) == expected


@of(AlphaVantageStandIn)
async def test_a_quarter_that_is_not_reported_yet_is_no_call(standin):
    future = clock.now().date() + timedelta(days=9)
    standin.market.calls.append(replace(standin.market.calls[0], quarter=2, held_on=future))

    assert await alpha_vantage(standin).fetch_calls("AAPL", 1) == [(2026, 1)]


@of(AlphaVantageStandIn)
async def test_no_articles_in_alpha_vantages_words_are_none_found(standin, monkeypatch, calls):
    words = "No articles found. Please adjust the time range or refer to the API documentation."
    answering(standin, monkeypatch, {"Information": words})

    with pytest.raises(NotFound):
        await alpha_vantage(standin).fetch_news("AAPL", long_ago())

    assert [call.kind for call in calls] == [Kind.NOT_FOUND]


@of(AlphaVantageStandIn)
async def test_alpha_vantage_names_coins_with_their_market(standin):
    (found,) = await alpha_vantage(standin).fetch_news("BTC-USD", long_ago())

    assert found.symbols == ("BTC-USD",)
    assert standin.asked[0].params["tickers"] == "CRYPTO:BTC"


@of(AlphaVantageStandIn)
async def test_alpha_vantage_is_asked_in_its_spelling(standin):
    await alpha_vantage(standin).fetch_news("BRK.B", datetime(2026, 1, 5, 1, 30, tzinfo=UTC))

    params = standin.asked[0].params
    assert (params["tickers"], params["time_from"]) == ("BRK-B", "20260105T0130")


# --- Yahoo


@of(YahooStandIn)
async def test_a_crumb_of_yahoos_that_ran_out_is_fetched_anew_once(standin):
    provider = yahoo(standin)
    assert (await provider.fetch_fundamentals("AAPL")).debt_to_equity == D("1.5")
    standin.crumb = "another"

    assert (await provider.fetch_fundamentals("AAPL")).eps_ttm == D("6.42")

    assert [asked.path.rpartition("/")[2] for asked in standin.asked] == [
        "cookie", "getcrumb", "AAPL", "AAPL", "cookie", "getcrumb", "AAPL",
    ]  # fmt: skip


@of(YahooStandIn)
async def test_a_company_that_reports_in_other_money_than_it_trades_in_is_left_out(standin, monkeypatch):
    standin.market.figures["AAPL"] = replace(standin.market.figures["AAPL"], currency="GBP")
    assert (await yahoo(standin).fetch_fundamentals("AAPL")).currency == "GBP"
    body = {"financialData": {"financialCurrency": "GBP"}, "summaryDetail": {"currency": "GBp"}}

    async def respond(asked, fault):
        return Reply({"quoteSummary": {"result": [body], "error": None}})

    monkeypatch.setattr(standin, "respond", respond)

    with pytest.raises(NotFound):
        await yahoo(standin).fetch_fundamentals("AAPL")


@of(YahooStandIn)
async def test_headlines_that_a_search_of_yahoos_found_by_chance_do_not_count(standin):
    standin.market.news = [
        News("1", "Names it", clock.now(), ("AAPL", "MSFT")),
        News("2", "Names another", clock.now(), ("MSFT",)),
    ]
    standin.market.news_of = lambda *_: standin.market.news

    found = await yahoo(standin).fetch_news("AAPL", long_ago())

    assert [(one.external_id, one.symbols) for one in found] == [("1", ("AAPL", "MSFT"))]
