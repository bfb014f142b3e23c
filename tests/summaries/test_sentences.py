from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.sentences import split


@pytest.mark.parametrize("text", [
    "Apple Inc. reported sales of $94.9 billion.",
    "The U.S. economy grew 3.5 % in March.",
    "Profit was 3.5 percent of $1.2 billion, said J. P. Morgan Chase & Co. yesterday.",
    "Dr. Smith of St. Louis met Mr. and Mrs. Jones.",
    "It closed at 5 p.m. EST on Sept. 5.",
    "No. 5 is alive, see Fig. 3 and vol. 7.",
    "Salesforce.com and Yahoo! are listed, e.g. in New York, i.e. in the U.S. market.",
    "S.A.B. Miller and L.V.M.H. were sold.",
    'He asked "why?" and left.',
    "Shares of Acme Corp. (NYSE: ACM) rose.",
    "It was bought by Foo Ltd. Partners.",
    "Sales grew 5 % vs. Last year's 3 %.",
    "Headline without a stop",
])  # fmt: skip
def test_this_is_one_sentence(text):
    assert split(text) == [text]


@pytest.mark.parametrize("sentences", [
    ["Sales rose.", "Profit fell."],
    ["Is it over?", "Yes!", "It is."],
    ['"We are glad," he said.', '"It was great."', "Shares fell."],
    ["It was bought by Apple Inc.", "The price was $3.5 million."],
    ["He works in the U.S.", "It is large."],
    ["It ended at 5 p.m.", "The bell rang."],
    ["Revenue was $94.", "9 others left."],
    ["It rose in Sept.", "The end was near."],
    ["(He came back.)", "Then he left."],
    ["Is that a yes?", "No.", "That is a no."],
    ["It costs $5.", "“Too much,” he said."],
    ["Wait...", "What?!", "Really."],
    ["彼は言った。", "次の文。"],
])  # fmt: skip
def test_these_are_several(sentences):
    assert split(" ".join(sentences)) == sentences


def test_lines_and_paragraphs_end_sentences():
    assert split("Headline\n\nFirst one. Second one\n- A point") == [
        "Headline",
        "First one.",
        "Second one",
        "- A point",
    ]


def test_a_line_that_was_only_wrapped_goes_on():
    assert split("Sales rose by a\nquarter. Profit\nfell.") == ["Sales rose by a quarter.", "Profit fell."]


def test_spaces_are_made_single():
    assert split("  Sales \t rose.\u00a0 Profit   fell. ") == ["Sales rose.", "Profit fell."]


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_nothing_has_no_sentences(text):
    assert split(text) == []


@given(st.text(alphabet="aA. !?\n\"'()5U株。…", max_size=200))
def test_no_letter_is_lost_or_added(text):
    assert "".join("".join(split(text)).split()) == "".join(text.split())


@pytest.mark.parametrize("piece", ["a", "a. ", "A. ", ".", ". ", " ", " \n", '"', "Inc. ", "!", "(\n"])
def test_a_text_that_was_made_to_be_slow_is_not(piece):
    began = time.process_time()

    split(piece * (400_000 // len(piece)))

    # Linear work takes a second at the most, squared work hours.
    assert time.process_time() - began < 30
