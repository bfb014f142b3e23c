from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.parts import split, spoken


def test_what_fits_is_one_part():
    assert split("Ada: Good morning.\n\nBob: Hello.", 100) == ["Ada: Good morning.\n\nBob: Hello."]


@pytest.mark.parametrize("text", ["", "  \n\n  "])
def test_a_blank_text_has_no_parts(text):
    assert split(text, 10) == []


def test_it_is_cut_between_speakers_first():
    text = "Ada: One. Two.\nThree.\n\nBob: Four.\n\nCleo: Five."

    assert split(text, 35) == ["Ada: One. Two.\nThree.\n\nBob: Four.", "Cleo: Five."]
    assert split(text, 25) == ["Ada: One. Two.\nThree.", "Bob: Four.\n\nCleo: Five."]


def test_a_speech_that_is_too_long_is_cut_between_paragraphs():
    assert split("Ada: One. Two.\nThree. Four.\nFive.", 20) == ["Ada: One. Two.", "Three. Four.\nFive."]


def test_a_paragraph_that_is_too_long_is_cut_between_sentences():
    text = 'Sales rose 3.5 percent. "Is it enough?" he asked. It was! Costs fell.'

    assert split(text, 35) == ["Sales rose 3.5 percent.", '"Is it enough?" he asked. It was!', "Costs fell."]


def test_a_sentence_that_is_too_long_is_cut_between_words():
    assert split("one two three four five", 9) == ["one two", "three", "four five"]


def test_only_a_word_that_is_too_long_is_cut():
    assert split("aaaaaaaaaaaaaaa bb", 6) == ["aaaaaa", "aaaaaa", "aaa bb"]


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="below 1"):
        split("a", 0)


@given(
    st.text(alphabet='ab .!?\n"', max_size=300) | st.text(max_size=100),
    st.integers(min_value=1, max_value=60),
)
def test_nothing_is_lost_and_nothing_is_too_long(text, most):
    found = split(text, most)

    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(part.strip() and len(part) <= most for part in found)


def test_a_long_call_is_cut_into_as_few_parts_as_whole_speeches_allow():
    text = "\n\n".join(f"Speaker {n}: " + "We sold more. " * 200 for n in range(200))

    found = split(text, 40_000)

    assert len(found) == 15  # fourteen speeches fit into one
    assert all(part.startswith("Speaker") for part in found)


def test_speeches_are_told_with_who_says_them():
    speeches = [
        {"speaker": "Ada Lee", "role": "CFO", "text": "We sold more."},
        {"speaker": "Operator", "role": "", "text": "Thank you."},
        {"speaker": "", "role": "Analyst", "text": "Why?"},
        {"speaker": "", "role": "", "text": "(Silence)"},
    ]

    assert (
        spoken(speeches)
        == "Ada Lee (CFO): We sold more.\n\nOperator: Thank you.\n\nAnalyst: Why?\n\n(Silence)"
    )
