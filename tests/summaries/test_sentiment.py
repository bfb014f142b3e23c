from __future__ import annotations

from decimal import Decimal

import pytest

from summaries import sentiment


@pytest.mark.parametrize("text", [
    "Company beats estimates, raises dividend",
    "Shares surged after strong growth",
    "Analysts upgraded the stock",
    "Results came in better than expected",
    "The company is not bankrupt",
    "Acme raises guidance",
    "Profits rise",
])  # fmt: skip
def test_good_news_is_good(text):
    assert sentiment.score(text) > 0


@pytest.mark.parametrize("text", [
    "Bank downgrades Apple",
    "Profit warning from Ford",
    "Sales did not grow as expected",
    "Shares fell after the company missed expectations and cut its guidance",
    "No growth this year",
    "Apple falls short",
    "The lawsuit alleges fraud",
    "The company warned of slumping demand",
    "It didn’t beat estimates",
])  # fmt: skip
def test_bad_news_is_bad(text):
    assert sentiment.score(text) < 0


@pytest.mark.parametrize(
    "text", ["", "The meeting is on Monday", "He declined to comment", "12 %", "Risk management"]
)
def test_what_says_nothing_is_neither(text):
    assert sentiment.score(text) == 0


@pytest.mark.parametrize("words", [
    ["miss", "misses", "missed", "missing"],
    ["cut", "cuts", "cutting"],
    ["downgrade", "downgrades", "downgraded", "downgrading"],
    ["penalty", "penalties"],
    ["drop", "drops", "dropped", "dropping"],
    ["loss", "losses"],
])  # fmt: skip
def test_endings_make_no_other_word(words):
    assert {sentiment.score(word) for word in words} == {sentiment.score(words[0])}
    assert sentiment.score(words[0]) < 0


def test_no_word_is_good_and_bad():
    good, bad = (
        {sentiment.stem(word) for word in words.split()} for words in (sentiment.GOOD, sentiment.BAD)
    )

    assert good & bad == set()


def test_a_negation_reaches_three_words():
    assert sentiment.weights_of("not a strong gain") == [-1, -1]
    assert sentiment.weights_of("not in any way a gain") == [1]


def test_the_words_of_a_phrase_do_not_count_again():
    assert sentiment.weights_of("a profit warning") == [-3]


@pytest.mark.parametrize("text", ["beats " * 10_000, "fraud " * 10_000, "s" * 500_000, "gain loss " * 999])
def test_it_stays_within_its_scale_in_hundredths(text):
    score = sentiment.score(text)

    assert -1 <= score <= 1
    assert score == score.quantize(Decimal("0.01"))


def test_one_word_says_less_than_many():
    assert 0 < sentiment.score("gain") < sentiment.score("gain growth profit")
