from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from core import clock
from marketdata import directory
from marketdata.directory import Rejected
from marketdata.models import Ticker
from marketdata.providers.replay_bars import SYMBOLS
from marketdata.symbols import canonical

pytestmark = pytest.mark.django_db

LISTING = (
    Path(os.environ.get("ONETAPE_TRIAL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "symbols.csv"
)


def load(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "symbols.csv"
    file.write_text(text, encoding=encoding)
    return directory.load(directory.read(file))


def row(symbol):
    return Ticker.objects.values_list("symbol", "name", "exchange", "sector", "asset_class").get(
        symbol=symbol
    )


def test_rows_become_tickers_under_their_canonical_symbol(tmp_path):
    report = load(
        tmp_path,
        "symbol,name,exchange,sector,asset_class\n"
        'brk-b,"Berkshire, Class B",NYSE,Financials,stock\n'
        "SPY,SPDR,NYSE Arca,,etf\n",
    )

    assert (report.rows, report.created, report.updated, report.rejected) == (2, 2, 0, [])
    assert row("BRK.B") == ("BRK.B", "Berkshire, Class B", "NYSE", "Financials", "stock")
    assert row("SPY") == ("SPY", "SPDR", "NYSE Arca", "", "etf")


def test_currencies_are_told_in_their_major_unit_and_kept_when_a_file_has_none(tmp_path):
    load(tmp_path, "symbol,name,currency\nVOD.L,Vodafone,GBp\nSAP.DE,SAP,eur\nAAPL,Apple,\n")
    report = load(tmp_path, "symbol,name,currency\nVOD.L,Vodafone,\nBAD,Bad Inc.,$$\n")

    assert dict(Ticker.objects.values_list("symbol", "currency")) == {
        "VOD.L": "GBP",
        "SAP.DE": "EUR",
        "AAPL": "USD",
    }
    assert [(one.symbol, one.reason) for one in report.rejected] == [
        ("BAD", "The currency is no code of three letters, such as USD.")
    ]


def test_without_a_column_the_spelling_tells_the_asset_class(tmp_path):
    load(tmp_path, "symbol,name\nBTC-USD,Bitcoin\nEURUSD=X,Euro\n^GSPC,S&P 500\nIBM,IBM\n")

    assert dict(Ticker.objects.values_list("symbol", "asset_class")) == {
        "BTC-USD": "crypto",
        "EURUSD=X": "forex",
        "^GSPC": "index",
        "IBM": "stock",
    }


def test_a_listing_of_an_exchange_is_understood(tmp_path):
    report = load(
        tmp_path,
        "symbol,name,exchange,is_etf,cik\nABR$D,Arbor Preferred D,NYSE,0,1\nTY$,Tri P,NYSE,0,\nVTI,V,X,1,\n",
    )

    assert report.rejected == []
    assert set(Ticker.objects.values_list("symbol", "asset_class")) == {
        ("ABR.PRD", "stock"),
        ("TY.PR", "stock"),
        ("VTI", "etf"),
    }


def test_loading_again_updates_and_an_empty_field_erases_nothing(tmp_path):
    load(
        tmp_path, "symbol,name,exchange,sector\nFB,Facebook,NASDAQ,Communication\nT,AT&T,NYSE,Communication\n"
    )
    before = Ticker.objects.get(symbol="FB")

    report = load(tmp_path, "symbol,name,exchange,sector\nFB,Meta,,\nV,Visa,NYSE,Financials\n")

    assert (report.created, report.updated) == (1, 1)
    assert row("FB") == ("FB", "Meta", "NASDAQ", "Communication", "stock")
    assert Ticker.objects.get(symbol="FB").pk == before.pk
    assert Ticker.objects.count() == 3


def test_wrong_rows_are_named_with_their_line_and_the_others_go_in(tmp_path):
    report = load(
        tmp_path,
        "symbol,name,asset_class\nAAPL,Apple,stock\n../../etc,Passwords,stock\nMSFT,,stock\nNAN,Nan\taway,\n"
        "IBM,IBM,house\nAAPL,Apple again,stock\naapl ,And again,stock\nNULL,Null Inc,\nTRUE\n,nothing,\n",
    )

    assert [(one.line, one.symbol) for one in report.rejected] == [
        (3, "../../etc"),
        (4, "MSFT"),
        (5, "NAN"),
        (6, "IBM"),
        (7, "AAPL"),
        (8, "aapl"),
        (10, "TRUE"),
        (11, ""),
    ]
    assert report.rejected[4] == Rejected(7, "AAPL", "AAPL is on line 2 already.")
    assert (report.rows, report.created) == (10, 2)
    assert set(Ticker.objects.values_list("symbol", "name")) == {("AAPL", "Apple"), ("NULL", "Null Inc")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_does_not_matter(tmp_path, encoding):
    assert load(tmp_path, "symbol,name\nORC,Orsted – Ø\n", encoding=encoding).created == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no column symbol and no column name"),
        (b"ticker,name\nAAPL,Apple\n", "names no column symbol"),
        (b"symbol,name\nAAPL,\xff\xfe\n", "not UTF-8"),
        (b'symbol,name\nAAPL,"Apple\n', "not CSV"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_directory_stops_with_one_clear_line(tmp_path, content, message):
    file = tmp_path / "symbols.csv"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(CommandError, match=message) as stopped:
        call_command("loadsymbols", file)

    assert "\n" not in str(stopped.value)
    assert Ticker.objects.count() == 0


def test_the_command_reports_in_words(tmp_path):
    file = tmp_path / "symbols.csv"
    file.write_text("symbol,name\nAAPL,Apple\n" + "".join(f"А{i},Cyrillic\n" for i in range(30)))
    out, err = io.StringIO(), io.StringIO()

    call_command("loadsymbols", file, stdout=out, stderr=err)

    assert out.getvalue().startswith("31 rows: 1 tickers created, 0 updated, 30 rows rejected, in ")
    assert err.getvalue().startswith("line 3: ")
    assert err.getvalue().splitlines()[-1] == "… 30 rows in all; --json names each of them"


def test_the_command_reports_as_json(tmp_path):
    file = tmp_path / "symbols.csv"
    file.write_text("symbol,name\nAAPL,Apple\n..,Dots\n")
    out = io.StringIO()

    call_command("loadsymbols", file, json=True, stdout=out)

    report = json.loads(out.getvalue())
    assert report.pop("seconds") >= 0
    reason = "This does not have the form of a ticker symbol, such as AAPL, BRK.B, 0700.HK or ^GSPC."
    assert report == {
        "rows": 2,
        "created": 1,
        "updated": 0,
        "rejected": [{"line": 3, "symbol": "..", "reason": reason}],
    }


def test_many_rows_take_a_handful_of_statements(tmp_path, django_assert_num_queries):
    lines = [directory.Line(i, {"symbol": f"S{i}", "name": "Some Inc."}) for i in range(3_000)]
    progress = []

    with django_assert_num_queries(6):  # two batches, each one select and one upsert, in one transaction
        report = directory.load(lines, on_progress=progress.append)

    assert report.created == 3_000
    assert progress == [2_000, 3_000]


def test_the_shipped_directory_is_complete_and_clean():
    with directory.SHIPPED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    symbols = {row["symbol"] for row in rows}

    assert [row["symbol"] for row in rows] == [canonical(row["symbol"]) for row in rows]
    assert len(symbols) == len(rows)
    assert {"SPY", "QQQ", "VTI", "SCHD", "BRK.B", "META"} | SYMBOLS <= symbols
    assert len([row for row in rows if row["asset_class"] == "stock" and row["symbol"] != "FB"]) >= 120
    assert all(row["name"] and row["exchange"] for row in rows)
    assert all(row["sector"] or row["asset_class"] == "etf" for row in rows)
    assert directory.load(directory.read(directory.SHIPPED)).created == len(rows)


@pytest.mark.trial
@pytest.mark.skipif(not LISTING.exists(), reason=f"{LISTING} is not there")
def test_a_whole_listing_of_the_united_states_loads():
    began = clock.monotonic()
    report = directory.load(directory.read(LISTING))

    assert clock.monotonic() - began <= 10
    assert report.rows == 13_106
    assert [(one.line, one.reason) for one in report.rejected] == [(11098, "The name is missing.")]
    assert Ticker.objects.count() == report.created == 13_105
