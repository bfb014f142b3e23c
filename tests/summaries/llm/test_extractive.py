from __future__ import annotations

import pytest

from summaries.kinds import EXTRACTIVE, Task
from summaries.llm.base import Item, Question, Usage
from summaries.llm.registry import EXTRACTIVE_MODEL
from tests.summaries.llm.asking import ARTICLES, analysis_question, call_question, entries_of, question


def entry_of(item, task=Task.SUMMARY):
    answer = EXTRACTIVE_MODEL.ask(Question(task, (item,), "v"), timeout_s=1)
    return entries_of(answer)[item.id]


def test_it_is_named_so_that_its_texts_can_be_labelled():
    assert (EXTRACTIVE_MODEL.name, EXTRACTIVE_MODEL.vendor) == (EXTRACTIVE, EXTRACTIVE)


def test_it_costs_nothing():
    assert EXTRACTIVE_MODEL.most(question()) == Usage()
    assert EXTRACTIVE_MODEL.ask(question(), timeout_s=1).usage == Usage()


def test_a_summary_is_the_first_sentences_and_the_best_of_the_rest():
    assert entry_of(ARTICLES["apple"]) == {
        "id": "apple",
        "sentences": [
            "Apple Inc. sold phones for $94.9 billion.",
            "Sales rose 5 % in the U.S. market.",
            "It was the best quarter of all.",
        ],
        "key_points": [
            "Analysts (NASDAQ: AAPL) had expected less.",
            "Shares gained 3 % on Thursday.",
            "A dividend of $0.25 was declared.",
        ],
        "sentiment": 0.6,
        "related": ["AAPL"],
    }


def test_bad_news_has_a_bad_sentiment():
    assert entry_of(ARTICLES["ford"])["sentiment"] < -0.5


def test_of_a_headline_alone_the_headline_is_the_summary():
    entry = entry_of(Item("1", "", "Microsoft to buy Sybari", ("MSFT",)))

    assert (entry["sentences"], entry["key_points"]) == (["Microsoft to buy Sybari"], [])


def test_every_sentence_stands_in_the_text():
    for item in ARTICLES.values():
        entry = entry_of(item)
        assert [text for text in entry["sentences"] + entry["key_points"] if text not in item.text] == []


def test_an_earnings_call_has_its_figures_and_what_is_expected():
    entry = entries_of(EXTRACTIVE_MODEL.ask(call_question(), timeout_s=1))["call"]

    assert entry["key_metrics"] == [
        {"name": "Revenue", "value": "$12.3 billion"},
        {"name": "Gross margin", "value": "43.5%"},
    ]
    assert entry["guidance"] == ["For the full year, we expect revenue of $50 billion."]
    assert entry["sentences"] == [
        "Revenue for the third quarter was $12.3 billion, up 8%.",
        "Gross margin was 43.5%.",
    ]


def test_an_analysis_says_the_criteria_and_then_the_figures():
    entry = entries_of(EXTRACTIVE_MODEL.ask(analysis_question(), timeout_s=1))["analysis"]

    assert entry["sentences"] == ["The PEG of 0.9 is below 1.", "Score: 70 of 100; P/E: 18.2; PEG: 0.9."]


@pytest.mark.parametrize("task", Task)
def test_an_item_that_has_nothing_but_a_title_gets_it(task):
    assert entry_of(Item("1", "", "A title"), task)["sentences"] == ["A title"]


@pytest.mark.parametrize("task", Task)
@pytest.mark.parametrize("piece", ["x", "word ", "Sales rose 5 %. ", "Jane Doe: It is so.\n"])
def test_a_megabyte_is_no_trouble(task, piece):
    entry = entry_of(Item("1", piece * (1_000_000 // len(piece)), "A title"), task)

    assert [text for text in entry["sentences"] if not 0 < len(text) <= 400] == []
