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
    ("Revenue was 96.8 billion dollars, 7 percent more.", "Revenue", "96.8 billion dollars"),
    ("Earnings per share were 1.62 dollars.", "Earnings per share", "1.62 dollars"),
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
    assert reported.metrics(["Revenue was $5 billion.", "Revenue fell 4 % in Europe."]) == [
        Metric("Revenue", "$5 billion")
    ]


def test_name_and_figure_stand_in_the_sentence_as_they_are_told():
    sentence = "Total net revenue in the year 2025 was US$ 12.3 billion, GAAP operating margin 21 %."

    for metric in reported.metrics([sentence]):
        assert [metric.name.lower() in sentence.lower(), metric.value in sentence] == [True, True]


@pytest.mark.parametrize("sentence", [
    "For the full year, we expect revenue of $50 billion.", "Our outlook is unchanged.",
    "We are raising our guidance for EPS.", "We anticipate a gross margin of 44% next quarter.",
    "Revenue will be between $4 billion and $5 billion.", "Services should grow about 14 percent.",
])  # fmt: skip
def test_what_speaks_of_the_time_to_come(sentence):
    assert reported.is_ahead(sentence)


@pytest.mark.parametrize("sentence", ["Revenue was $5 billion.", "It was better than we expected."])
def test_what_speaks_of_the_past(sentence):
    assert not reported.is_ahead(sentence)


def test_questions_courtesies_and_halves_of_sentences_are_left_out():
    told = [
        "Good afternoon and welcome.",
        "Revenue was $5 billion.",
        "Will revenue of $99 billion come?",
        "This call has forward-looking statements.",
        "it grew 5 %.",
        "Costs fell.",
    ]

    assert reported.statements(told) == ["Revenue was $5 billion.", "Costs fell."]


@pytest.mark.parametrize("speaker", [
    "Jane Doe", "Jane Doe (Chief Financial Officer)", "Jane Q. Doe, Chief Financial Officer", "Jane Doe - CFO",
    "Operator", "Jane Doe — Acme Corp. — Chief Executive",
])  # fmt: skip
def test_who_speaks_is_left_out(speaker):
    text = f"{speaker}: Revenue rose.\nWell: it did.\n\n{speaker}: Costs fell."

    assert reported.without_speakers(text) == "Revenue rose.\nWell: it did.\n\nCosts fell."


@pytest.mark.parametrize(
    "text", ["Guidance: Revenue of $5.", "We did two things: Costs fell.", "At 5:30 we met."]
)
def test_not_every_colon_follows_a_speaker(text):
    assert reported.without_speakers(text) == text


def test_a_figure_of_a_part_of_the_company_is_no_headline():
    told = [
        "Revenue was $9 billion.",
        "Watches sell badly.",
        "Revenue fell 4 % to $1 billion.",
        "Gross margin was 40 %.",
    ]

    assert reported.headlines(told, 2) == [told[0], told[3]]


@pytest.mark.parametrize(
    "piece", ["revenue ", "Revenue 20", "$1", "Aa ", "adjusted ", "2025 quarter ", "Aa, ", "1 billion "]
)
def test_a_sentence_that_was_made_to_be_slow_is_not(piece):
    sentence = (piece * 400)[:400]
    began = time.process_time()

    reported.metrics(reported.statements([sentence] * 20))
    reported.without_speakers(piece * 50_000)

    assert time.process_time() - began < 30
