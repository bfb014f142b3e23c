from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock
from summaries import upkeep
from summaries.kinds import EXTRACTIVE, OrderState, Task
from summaries.models import Analysis, Article, ModelCall, Order, RemoteBatch, Summary, Transcript
from tests.summaries.making import article, ticker, transcript

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch):
    """A busy machine is no reason to leave something for the next run."""
    monkeypatch.setattr(upkeep, "RUN_S", 3_000)


def days_ago(number: float):
    return clock.now() - timedelta(days=number)


def old_article(days: float = 91, loaded: float | None = None) -> Article:
    return article(days_ago=days, loaded_at=days_ago(days if loaded is None else loaded))


def order(key: str, state: OrderState, ended: float | None = None, **fields) -> Order:
    return Order.objects.create(
        key=key, task=fields.pop("task", Task.SUMMARY), state=state,
        done_at=None if ended is None else days_ago(ended), **fields,
    )  # fmt: skip


def analysis(days: float, persona: str = "basic", model: str = EXTRACTIVE) -> Analysis:
    return Analysis.objects.create(
        ticker=ticker(), persona=persona, inputs_hash=f"{days}", inputs={}, score=50, criteria=[], sentences=[],
        model=model, prompt_version="1", created_at=days_ago(days),
    )  # fmt: skip


def model_call(days: float, **fields) -> ModelCall:
    return ModelCall.objects.create(
        at=days_ago(days),
        vendor="openai",
        model="m",
        task=Task.SUMMARY,
        lane="minutes",
        prompt_version="1",
        **fields,
    )


def deleted() -> dict[str, int]:
    return {what: rows for what, rows in upkeep.delete_old().items() if rows}


def test_articles_go_after_news_days_with_what_hangs_on_them(settings):
    settings.NEWS_DAYS = 90
    gone, stays = old_article(91), old_article(89)
    for one in (gone, stays):
        Summary.objects.create(
            article=one, model="m", prompt_version="1", sentences=[], key_points=[], sentiment=0
        )
        order(f"k{one.pk}", OrderState.DONE, 1, article=one)

    assert deleted() == {"articles": 1}

    assert [row.pk for row in Article.objects.all()] == [stays.pk]
    assert (Summary.objects.get().article, Order.objects.get().article) == (stays, stays)


def test_old_news_from_a_file_are_kept_as_long_as_any_other():
    stays = old_article(4_000, loaded=89)
    old_article(4_000, loaded=91)

    assert deleted() == {"articles": 1}
    assert Article.objects.get() == stays


def test_fictional_articles_go_like_any_other():
    article(days_ago=91, loaded_at=days_ago(91), is_fictional=True)

    assert deleted() == {"articles": 1}


def test_transcripts_stay_for_ever():
    transcript(year=1999)
    Transcript.objects.update(loaded_at=days_ago(9_000))

    assert deleted() == {}
    assert Transcript.objects.count() == 1


def test_orders_go_thirty_days_after_they_have_ended():
    one = article()
    order("done", OrderState.DONE, 31, article=one)
    order("dead", OrderState.DEAD, 31, article=one)
    order("newer", OrderState.DONE, 29, article=one)
    order("queued", OrderState.QUEUED, article=one, created_at=days_ago(99))

    assert deleted() == {"orders": 2}
    assert sorted(Order.objects.values_list("key", flat=True)) == ["newer", "queued"]


def test_of_analyses_the_newest_of_each_style_and_model_stays():
    analysis(99)
    stays = [analysis(50), analysis(60, model="gpt-6-luna"), analysis(70, persona="dcf")]

    assert deleted() == {"analyses": 1}
    assert set(Analysis.objects.all()) == set(stays)


def test_analyses_of_the_last_thirty_days_stay():
    analysis(29)
    analysis(1)

    assert deleted() == {}


def test_an_analysis_that_is_just_being_explained_stays():
    order("k", OrderState.QUEUED, task=Task.ANALYSIS, analysis=analysis(99))
    analysis(1)

    assert deleted() == {}


def test_model_calls_go_after_ledger_days(settings):
    settings.LEDGER_DAYS = 400
    batch = RemoteBatch.objects.create(model="m", external_id="b", sent_at=days_ago(401))
    model_call(401, batch=batch)
    stays = model_call(399)

    assert deleted() == {"model calls": 1, "remote batches": 1}
    assert ModelCall.objects.get() == stays


def test_what_does_not_fit_into_one_statement_takes_several(monkeypatch):
    monkeypatch.setattr(upkeep, "ROWS", 2)
    for _ in range(5):
        old_article()

    assert deleted() == {"articles": 5}


def test_a_run_ends_when_its_time_is_over_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(upkeep, "ROWS", 2)
    for _ in range(5):
        old_article()

    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "RUN_S", 0)
        assert deleted() == {}

    assert deleted() == {"articles": 5}
