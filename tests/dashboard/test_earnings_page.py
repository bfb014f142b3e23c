"""The tab of earnings calls; without a script."""

from __future__ import annotations

import html
import re
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client

from dashboard.earnings_page import MOST_QUARTERS
from summaries.kinds import EXTRACTIVE
from tests.factories import make_ticker, make_user
from tests.summaries.stored import MODEL, make_earnings_summary, make_transcript

pytestmark = pytest.mark.django_db
THIN = "\u2009"
TAB = "/tickers/AAPL/?tab=earnings"


@pytest.fixture
def apple(client: Client):
    client.force_login(make_user("alice", time_zone="UTC"))
    return make_ticker("AAPL")


def text(answer) -> str:
    return re.sub(r"\s+", " ", html.unescape(answer.content.decode()))


def quarters(answer) -> list[tuple[str, str, bool]]:
    found = re.findall(
        r'class="filter-chip" href="\?tab=earnings&quarter=([^"]*)"( aria-current="true")?>([^<]+)<',
        text(answer),
    )
    return [(key, label, bool(current)) for key, current, label in found]


def test_the_newest_call_is_shown_and_the_others_can_be_chosen(client: Client, apple) -> None:
    for year, quarter in ((2025, 4), (2026, 3), (2026, 2)):
        make_transcript(apple, year, quarter, title=f"Call {quarter} of {year}")
    make_transcript(make_ticker("MSFT"), 2026, 4)

    newest, older = client.get(TAB), client.get(f"{TAB}&quarter=2025-4")

    assert quarters(newest) == [
        ("2026-3", "Q3 2026", True),
        ("2026-2", "Q2 2026", False),
        ("2025-4", "Q4 2025", False),
    ]
    assert "Call 3 of 2026</h2>" in text(newest)
    assert "Call 4 of 2025</h2>" in text(older)
    assert quarters(older)[2] == ("2025-4", "Q4 2025", True)


@pytest.mark.parametrize("wish", ["2031-1", "2026-5", "x", "", "٢٠٢٦-٣"])
def test_a_quarter_that_there_is_not_is_the_newest(wish: str, client: Client, apple) -> None:
    make_transcript(apple, 2026, 3, title="The newest")

    assert "The newest</h2>" in text(client.get("/tickers/AAPL/", {"tab": "earnings", "quarter": wish}))


def test_what_was_said_is_told_in_short_in_figures_and_in_full(client: Client, apple) -> None:
    call = make_transcript(
        apple,
        held_on=date(2026, 10, 29),
        speeches=[
            {"speaker": "Ann Doe", "role": "CEO", "text": "We grew.\n\nWe go on."},
            {"speaker": "", "role": "", "text": "Why?"},
        ],
        is_fictional=True,
    )
    make_earnings_summary(
        call,
        sentences=["Revenue grew."],
        key_metrics=[{"name": "Revenue", "value": "4.2 billion USD"}],
        guidance=["Growth of 5 % is expected."],
        sentiment=Decimal("0.4"),
    )

    shown = text(client.get(TAB))

    for words in [
        "Held on 29 Oct 2026",
        ">Fictional</span>",
        "<span>Revenue grew.</span>",
        '<th scope="row">Revenue</th><td>4.2 billion USD</td>',
        "<li>Growth of 5 % is expected.</li>",
        "<span>Positive</span>",
        "+0.40",
        f"Summary by {MODEL} · ",
        "not investment advice",
        "Transcript, 6 words",
        '<h3>Ann Doe <span class="muted">CEO</span></h3><p>We grew.</p><p>We go on.</p>',
        "<h3>Unknown speaker</h3><p>Why?</p>",
    ]:
        assert words in shown


def test_sentences_of_the_transcript_itself_are_labelled_so(client: Client, apple) -> None:
    make_earnings_summary(make_transcript(apple), EXTRACTIVE, key_metrics=[], guidance=[])

    shown = text(client.get(TAB))

    assert "Sentences of the transcript itself · not investment advice" in shown
    assert "No figure was named." in shown
    assert "Nothing was said of what comes next." in shown


def test_a_call_without_a_summary_has_its_transcript(client: Client, apple) -> None:
    make_transcript(apple)

    shown = text(client.get(TAB))

    assert "No summary yet." in shown
    assert "We sold 5 things." in shown


def test_a_ticker_without_calls_says_what_will_come(client: Client, apple) -> None:
    assert "No earnings call of AAPL is known" in text(client.get(TAB))


def test_nothing_that_was_said_or_written_becomes_an_element(client: Client, apple) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    link = "[click](https://evil.example/a)"
    call = make_transcript(
        apple, title=hostile, speeches=[{"speaker": hostile, "role": hostile, "text": f"{hostile}\n\n{link}"}]
    )
    make_earnings_summary(
        call,
        hostile,
        sentences=[hostile, link],
        key_metrics=[{"name": hostile, "value": link}],
        guidance=[link],
    )

    page = client.get(TAB).content.decode()

    assert "<img" not in page
    assert re.findall(r'(?:href|src)="[^"]*evil[^"]*"', page) == []
    assert page.count(html.escape(hostile)) == 7
    assert page.count(link) == 4


@pytest.mark.parametrize("count", [1, MOST_QUARTERS + 3])
def test_the_tab_costs_the_same_queries_for_any_number_of_calls(
    count: int, client: Client, apple, django_assert_num_queries
) -> None:
    for number in range(count):
        make_earnings_summary(make_transcript(apple, 2026 - number // 4, 4 - number % 4))

    # session, user, ticker, quote, on the watchlist, watchers, actions, days, calls, the chosen one's words, its
    # summary, the shell's numbers
    with django_assert_num_queries(12):
        answer = client.get(TAB)
    assert len(quarters(answer)) == min(count, MOST_QUARTERS)
