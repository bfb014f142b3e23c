from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from marketdata.company import EarningsCall, News, Speech
from summaries import lines
from summaries.lines import ArticleLine, Bad, CallLine

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
ARTICLE = {
    "id": "7", "date": "2026-03-01", "headline": "Apple rises", "text": "It rose.", "tickers": ["AAPL"],
    "source": "The Wire", "url": "https://example.com/7", "license": "CC BY 2.5",
}  # fmt: skip
CALL = {
    "symbol": "AAPL", "year": 2026, "quarter": 1, "title": "Apple Q1", "held_on": "2026-01-29",
    "speeches": [{"speaker": "Ada Lee", "role": "CFO", "text": "We sold more."}],
}  # fmt: skip


def articles(*objects):
    return list(
        lines.articles([one if isinstance(one, bytes) else json.dumps(one).encode() for one in objects], NOW)
    )


def calls(*objects):
    return list(lines.calls([json.dumps(one).encode() for one in objects]))


def reasons(found):
    return [(one.number, one.reason) for one in found]


def test_a_line_is_an_article():
    assert articles(ARTICLE) == [
        ArticleLine(
            1,
            News(
                external_id="The Wire:7",
                headline="Apple rises",
                published_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
                symbols=("AAPL",),
                body="It rose.",
                source="The Wire",
                url="https://example.com/7",
            ),
            "CC BY 2.5",
        )
    ]


def test_the_fewest_fields_are_headline_date_and_tickers():
    (found,) = articles({"headline": "Apple rises", "date": "2026-03-01", "tickers": ["AAPL"]})

    assert found.news == News("", "Apple rises", datetime(2026, 3, 1, 12, tzinfo=UTC), ("AAPL",))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T14:30Z", datetime(2026, 3, 1, 14, 30, tzinfo=UTC)),
        ("2026-03-01T14:30:00+02:00", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("2026-03-01 14:30", datetime(2026, 3, 1, 14, 30, tzinfo=UTC)),
    ],
)
def test_a_date_may_have_a_time(text, moment):
    (found,) = articles({**ARTICLE, "date": text})

    assert found.news.published_at == moment


@pytest.mark.parametrize(
    ("hour", "moment"),
    [(9, datetime(2026, 3, 2, 9, tzinfo=UTC)), (14, datetime(2026, 3, 2, 12, tzinfo=UTC))],
)
def test_a_date_alone_is_its_noon_but_never_yet_to_come(hour, moment):
    line = json.dumps({**ARTICLE, "date": "2026-03-02"}).encode()
    (found,) = lines.articles([line], NOW.replace(hour=hour, minute=0))

    assert found.news.published_at == moment


def test_an_article_may_be_so_many_days_old_whenever_it_is_read():
    (found,) = articles({**ARTICLE, "days_ago": 0.5})

    assert found.news.published_at == datetime(2026, 3, 2, 2, 30, tzinfo=UTC)


def test_tickers_are_read_in_any_spelling_and_once():
    (found,) = articles({**ARTICLE, "tickers": ["brk-b", "BRK.B", "aapl", "not a symbol", "AAPL"]})

    assert found.news.symbols == ("BRK.B", "AAPL", "not a symbol")


def test_a_bad_line_costs_no_other_and_blank_lines_count():
    found = articles(b"\xef\xbb\xbf" + json.dumps(ARTICLE).encode(), b"  \n", b"{", ARTICLE, b'["no object"]')

    assert [type(one) for one in found] == [ArticleLine, Bad, ArticleLine, Bad]
    assert [one.number for one in found] == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfe", "This is not JSON."),
        (b"[" * 2_000_001, "The line is longer than 2,000,000 bytes."),
        (b"[" * 100_000, "This is not JSON."),
        (b"7", "This is no JSON object."),
        ({**ARTICLE, "headline": " "}, "The headline is missing."),
        ({**ARTICLE, "headline": ["a"]}, "headline is no text."),
        ({**ARTICLE, "text": True}, "text is no text."),
        ({**ARTICLE, "tickers": []}, "tickers is no list, or it is empty."),
        ({**ARTICLE, "tickers": "AAPL"}, "tickers is no list, or it is empty."),
        ({**ARTICLE, "tickers": [7]}, "tickers is no list, or it is empty."),
        ({**ARTICLE, "tickers": ["A"] * 101}, "tickers has more than 100 entries."),
        (
            {**ARTICLE, "date": "yesterday"},
            "The date is missing or not written as 2026-03-02 or 2026-03-02T14:30Z.",
        ),
        ({**ARTICLE, "days_ago": -1}, "days_ago is no number of days."),
        ({**ARTICLE, "days_ago": 1e300}, "days_ago is no number of days."),
        ({**ARTICLE, "fictional": "yes"}, "fictional is neither true nor false."),
    ],
)
def test_what_is_wrong_with_an_article_is_told(line, reason):
    assert reasons(articles(line)) == [(1, reason)]


def test_a_line_is_an_earnings_call():
    assert calls({**CALL, "fictional": True}) == [
        CallLine(
            1,
            EarningsCall(
                "AAPL", 2026, 1, "Apple Q1", (Speech("Ada Lee", "We sold more.", "CFO"),), date(2026, 1, 29)
            ),
            is_fictional=True,
        )
    ]


def test_a_call_without_a_title_gets_one_and_blank_speeches_are_left_out():
    speeches = [{"speaker": "Ada", "text": " "}, {"text": "Hello."}]

    (found,) = calls({"symbol": "aapl", "year": 2026, "quarter": 3, "speeches": speeches})

    assert found.call == EarningsCall(
        "AAPL", 2026, 3, "AAPL: earnings call, Q3 2026", (Speech("", "Hello."),)
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"quarter": 5}, "The quarter is none of 1 to 4."),
        ({"quarter": "1"}, "quarter is no whole number."),
        ({"year": True}, "year is no whole number."),
        ({"symbol": None}, "symbol: A ticker symbol must be text."),
        ({"held_on": "March"}, "held_on is not written as 2026-03-02."),
        ({"speeches": "We sold more."}, "speeches is no list, or it is empty."),
    ],
)
def test_what_is_wrong_with_a_call_is_told(changed, reason):
    assert reasons(calls({**CALL, **changed})) == [(1, reason)]
