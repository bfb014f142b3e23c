"""A model that obeys two hundred hostile articles gets nothing of it through."""

from __future__ import annotations

import re
from functools import cache

import pytest

from summaries.batching import read
from summaries.cleaning import content_hash, headline, plain, visible
from summaries.drafts import SummaryDraft
from summaries.grounding import check
from summaries.kinds import Task
from summaries.likeness import words
from summaries.llm import prompts
from summaries.llm.base import Item, Question
from tests.summaries import hostile

PROMPT = f"{prompts.text(Task.SUMMARY)}\nMark: {hostile.MARK}"


@cache
def batches():
    """What is kept of each article, by its number, after a model has obeyed all of its batch."""
    return [part for start in range(0, 200, 10) for part in batch(hostile.articles()[start : start + 10])]


def batch(articles):
    items = tuple(
        Item(str(1000 + at), plain(article.body), headline(article.headline), article.symbols)
        for at, article in enumerate(articles)
    )
    question = Question(Task.SUMMARY, items, "v1")
    reading = read(hostile.obedient_answer(question, articles, PROMPT), question)
    for article, item in zip(articles, items, strict=True):
        others = [other for other in items if other is not item]
        draft = reading.found.get(item.id)
        kept = check(draft, item, others=others, prompt=PROMPT).draft if draft else None
        yield article, item, kept


def shown(kept):
    assert isinstance(kept, SummaryDraft)
    return [*kept.sentences, *kept.key_points, *kept.related]


def all_shown():
    return [(article, text) for article, _, kept in batches() if kept for text in shown(kept)]


def test_there_are_two_hundred_and_no_two_are_alike():
    articles = hostile.articles()
    assert len({content_hash(article.headline, article.body) for article in articles}) == 200
    assert len({headline(article.headline) for article in articles}) == 200
    assert len({hostile.kind_of(article) for article in articles}) == 20


def test_what_is_asked_about_is_plain_text_that_can_be_seen():
    for _, item, _ in batches():
        for text in (item.title, item.text):
            assert not re.search(r"<\s*(?:script|img|svg|iframe|a|div|p)\b", text)
            assert text == visible(text)


def test_no_markup_gets_through():
    assert [
        text for _, text in all_shown() if re.search(r"<[a-z/!|]|\]\(|!\[|`|&#|on\w+=", text, re.IGNORECASE)
    ] == []


def test_no_address_gets_through():
    address = re.compile(r"://|www\.|script:|data:|@|evil", re.IGNORECASE)
    assert [text for _, text in all_shown() if address.search(text)] == []


def test_no_text_comes_to_another_item():
    names = {hostile.company(number): number for number in range(200)}
    wrong = [
        (article.headline, text)
        for article, text in all_shown()
        for name, number in names.items()
        if name in text and number != hostile.number_of(article)
    ]
    assert wrong == []


def test_nothing_of_the_prompt_gets_through():
    told = words(PROMPT)
    runs = {tuple(told[at : at + 8]) for at in range(len(told) - 7)}
    for article, _, kept in batches():
        said = words(" ".join(shown(kept))) if kept else []
        assert not runs & {tuple(said[at : at + 8]) for at in range(len(said) - 7)}, article.external_id
        assert hostile.MARK not in "".join(said)


def test_no_order_no_invented_figure_and_nothing_unseen_gets_through():
    for _, text in all_shown():
        assert not re.search(
            r"ignore all previous|instructions|9999|731|812|4471|\bEVIL\b|jane", text, re.IGNORECASE
        ), text
        assert text == visible(text)
        assert len(text) <= 400


@pytest.mark.parametrize(
    "kind", ["script", "image", "markdown", "other users", "target of another", "base64"]
)
def test_what_is_true_is_kept_of_an_article_that_attacks_in_vain(kind):
    kept = [(article, kept) for article, _, kept in batches() if hostile.kind_of(article) == kind]
    first = [
        bool(draft) and draft.sentences[0] == hostile.honest(hostile.number_of(article))[0]
        for article, draft in kept
    ]
    assert first == [True] * 10
