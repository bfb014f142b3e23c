from __future__ import annotations

import time

import pytest

from summaries import reported
from summaries.drafts import Metric


@pytest.mark.parametrize(("sentence", "name", "value"), [
    ("Revenue of $12.3 billion was a record.", "Revenue", "$12.3 billion"),
    ("Total revenue for the third quarter of 2025 was $12.3 billion.", "Total revenue", "$12.3 billion"),
    ("Net sales came in at €4,120.5 million.", "Net sales", "€4,120.5 million"),
    ("EPS of $1.20 beat the plan.", "EPS", "$1.20"),
    ("Non-GAAP diluted EPS was $0.95.", "Non-GAAP diluted EPS", "$0.95"),
    ("Diluted earnings per share were $2.18.", "Diluted earnings per share", "$2.18"),
    ("Gross margin was 43.5%.", "Gross margin", "43.5%"),
    ("Our adjusted operating margin expanded to 28 percent.", "Adjusted operating margin", "28 percent"),
    ("We made $3.1bn in free cash flow.", "Free cash flow", "$3.1bn"),
    ("Net income was $500 million.", "Net income", "$500 million"),
    ("Revenue grew 12 percent from a year ago.", "Revenue grew", "12 percent"),
    ("Sales were down 3%.", "Sales down", "3%"),
])  # fmt: skip
def test_a_figure_is_found_by_its_wording(sentence, name, value):
    assert reported.metrics([sentence]) == [Metric(name, value)]


@pytest.mark.parametrize("sentence", [
    "We talked about revenue.", "The dinner cost $5.", "Revenue is not what it was, and we spent much; $5 was left.",
    "Margins matter.", "Gross margin was $5.",
])  # fmt: skip
def test_where_none_is_told_none_is_found(sentence):
    assert reported.metrics([sentence]) == []


def test_the_first_figure_of_a_name_counts():
    assert reported.metrics(["Revenue was $5 billion.", "Revenue was $4 billion in Europe."]) == [
        Metric("Revenue", "$5 billion")
    ]


def test_name_and_figure_stand_in_the_sentence_as_they_are_told():
    sentence = "Total net revenue in the year 2025 was US$ 12.3 billion, GAAP operating margin 21 %."

    for metric in reported.metrics([sentence]):
        assert [metric.name.lower() in sentence.lower(), metric.value in sentence] == [True, True]


@pytest.mark.parametrize("sentence", [
    "For the full year, we expect revenue of $50 billion.", "Our outlook is unchanged.",
    "We are raising our guidance for EPS.", "We anticipate a gross margin of 44% next quarter.",
    "Revenue will be between $4 billion and $5 billion.",
])  # fmt: skip
def test_what_speaks_of_the_time_to_come(sentence):
    assert reported.is_ahead(sentence)


@pytest.mark.parametrize("sentence", ["Revenue was $5 billion.", "It was better than we expected."])
def test_what_speaks_of_the_past(sentence):
    assert not reported.is_ahead(sentence)


def test_questions_courtesies_and_who_speaks_are_left_out():
    told = [
        "Operator: Good afternoon and welcome.",
        "Jane Doe, Chief Financial Officer: Revenue was $5 billion.",
        "Will revenue of $99 billion come?",
        "This call has forward-looking statements.",
        "John Roe: Costs fell.",
    ]

    assert reported.statements(told) == ["Revenue was $5 billion.", "Costs fell."]


@pytest.mark.parametrize("piece", ["revenue ", "Revenue 20", "$1", "Aa ", "adjusted ", "2025 quarter "])
def test_a_sentence_that_was_made_to_be_slow_is_not(piece):
    sentence = (piece * 400)[:400]
    began = time.process_time()

    reported.metrics(reported.statements([sentence] * 20))

    assert time.process_time() - began < 30
