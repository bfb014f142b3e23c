from __future__ import annotations

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from marketdata import directory
from marketdata.models import Ticker
from marketdata.search import search_tickers

pytestmark = pytest.mark.django_db


@pytest.fixture
def shipped():
    directory.load(directory.read(directory.SHIPPED))


def found(text, limit=5):
    return [ticker.symbol for ticker in search_tickers(text, limit=limit)]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("AAPL", ["AAPL"]),
        ("aapl", ["AAPL"]),
        (" aapl ", ["AAPL"]),
        ("ａａｐｌ", ["AAPL"]),
        ("aap", ["AAPL"]),
        ("apple", ["AAPL"]),
        ("Apple Inc.", ["AAPL"]),
        ("brk-b", ["BRK.B"]),
        ("brk/b", ["BRK.B"]),
        ("brk b", ["BRK.B"]),
        ("brk-", ["BRK.B"]),
        ("brk", ["BRK.B"]),
        ("berkshire hath", ["BRK.B"]),
        ("hathaway berk", ["BRK.B"]),
        ("o'reilly", ["ORLY"]),
        ("p & gamble", ["PG"]),
        ("procter & gamble", ["PG"]),
        ("at&t", ["T"]),
        ("goog", ["GOOG", "GOOGL"]),
        ("GOOGL", ["GOOGL"]),
        ("facebook", ["FB"]),
        ("meta", ["META", "FB"]),
        ("xyzzy", []),
    ],
)
def test_a_text_finds_its_tickers(shipped, text, symbols):
    assert found(text) == symbols


def test_the_symbol_comes_before_symbols_that_begin_so_before_names(shipped):
    assert found("c", limit=200)[:3] == ["C", "CB", "CI"]
    assert found("v")[:2] == ["V", "VZ"]
    names = found("ford", limit=200)
    assert names == ["F"]
    assert found("am", limit=200).index("AMZN") < found("am", limit=200).index("AXP")


def test_names_that_begin_with_the_word_come_before_names_that_contain_it(shipped):
    Ticker.objects.create(symbol="ZZ", name="Pineapple Holdings")
    Ticker.objects.create(symbol="Y", name="Big Apple Inc.")

    assert found("apple") == ["AAPL", "Y"]


def test_no_more_than_the_limit_is_found(shipped):
    assert len(found("a", limit=3)) == 3
    assert found("a", limit=0) == []


def test_inactive_tickers_are_not_found(shipped):
    Ticker.objects.filter(symbol="AAPL").update(is_active=False)

    assert found("AAPL") == []
    assert found("apple") == []


HOSTILE = [
    *[
        "",
        " ",
        "\x00",
        "AAPL\x00",
        "\n",
        "'",
        "''",
        '"',
        "\\",
        "&",
        "|",
        "!",
        ":*",
        "a:*",
        "a & ",
        "!a",
        "(",
        "a <-> b",
    ],
    *[
        "%",
        "_",
        "A%",
        "A_P",
        "*",
        "?",
        "[",
        "$",
        "--",
        ";DROP TABLE",
        "^",
        "=",
        ".",
        "..",
        "^" * 30,
        "\ud800",
        "🚀",
        "ß",
    ],
    *["'a':*", "АAPL", "a" * 10_000, "a " * 5_000, "\u202e", "\u200b", "ﷺ" * 80],
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_an_error(shipped, text):
    assert isinstance(search_tickers(text), list)


@pytest.mark.parametrize("text", ["%", "_", "*", "(", "'", "&", "", " ", "\x00", "🚀"])
def test_signs_mean_nothing(shipped, text):
    assert found(text) == []


class AnyText(TestCase):
    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.text(max_size=30))
    def test_no_text_at_all_is_an_error(self, text):
        assert search_tickers(text) == []


def test_one_statement_is_enough_and_uses_the_indexes(shipped, django_assert_num_queries):
    Ticker.objects.bulk_create([Ticker(symbol=f"Z{i}", name=f"Company {i}") for i in range(5_000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE marketdata_ticker")

    with django_assert_num_queries(1) as captured:
        assert found("berkshire") == ["BRK.B"]

    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + captured[0]["sql"])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan" not in plan
    assert "ticker_name_words" in plan
    assert "BitmapOr" in plan
