from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from django.db import connections

from core import clock, metrics
from summaries import sunset
from summaries.llm import openai_connection
from summaries.modelbook import load, wanted_model
from summaries.models import ModelEntry
from summaries.standins.openai import KEY, OpenAIStandIn
from summaries.sunset import Ending, check, dates_of, endings

END = date(2026, 12, 11)
database = pytest.mark.django_db


def day(number: int, month: int = 11) -> datetime:
    return datetime(2026, month, number, 12, tzinfo=UTC)


@pytest.fixture
def server(settings):
    """What lists the models, with the days on which they end."""
    with OpenAIStandIn(models={"gpt-5-mini": None}).running() as standin:
        settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = KEY, standin.url
        settings.LLM_VENDOR, settings.LLM_MODEL = "openai", "gpt-5-mini"
        yield standin
        openai_connection.close()


@pytest.fixture
def at(monkeypatch):
    def set_to(moment: datetime) -> datetime:
        monkeypatch.setattr(clock, "now", lambda: moment)
        return moment

    return set_to


def entry(name: str = "gpt-5-mini") -> ModelEntry:
    return ModelEntry.objects.get(name=name)


def warned(found: list[Ending]) -> list[tuple[str, int]]:
    return [(one.name, one.days) for one in found]


# --- what is told


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("2026-12-11", END),
        ("2026-12-11T00:00:00Z", END),
        (1_796_947_200, END),
        (None, None),
    ],
)
def test_a_date_is_read_in_every_usual_spelling(told, day) -> None:
    assert dict(dates_of({"data": [{"id": "a", "shutdown_date": told}]})) == {"a": day}


@pytest.mark.parametrize(
    "body",
    [
        None, [], "x", {}, {"data": None}, {"data": {"id": "a"}}, {"data": ["a", None, 5]},
        {"data": [{"id": 5, "shutdown_date": "2026-12-11"}]}, {"data": [{"id": "a"}]},
        {"data": [{"id": "a", "shutdown_date": "soon"}]}, {"data": [{"id": "a", "shutdown_date": True}]},
        {"data": [{"id": "a", "shutdown_date": 1e300}]}, {"data": [{"id": "a", "shutdown_date": []}]},
        {"data": [{"id": "a", "shutdown_date": float("nan")}]},
    ],
)  # fmt: skip
def test_whatever_else_a_server_says_is_passed_over(body) -> None:
    assert dict(dates_of(body)) == {}


@database
def test_what_the_server_tells_is_kept_with_its_name(server, at) -> None:
    server.models = {"gpt-5-mini": "2027-06-30", "gpt-6-luna": "2028-01-01", "nobody-knows": "2027-01-01"}

    check(at(day(1)))

    assert (entry().end_of_life, entry().end_of_life_source) == (date(2027, 6, 30), "Told by 127.0.0.1")
    assert entry("gpt-6-luna").end_of_life == date(2028, 1, 1)
    assert not ModelEntry.objects.filter(name="nobody-knows").exists()


@database
def test_a_server_that_takes_its_date_back_is_believed(server, at) -> None:
    server.models = {"gpt-6-luna": "2028-01-01"}
    check(at(day(1)))
    server.models = {"gpt-6-luna": None}

    check(at(day(2)))

    assert (entry("gpt-6-luna").end_of_life, entry("gpt-6-luna").end_of_life_source) == (None, "")


@database
def test_a_server_that_knows_no_date_does_not_take_back_a_published_one(server, at) -> None:
    check(at(day(1)))

    assert entry().end_of_life == END


@database
def test_what_staff_entered_stays(server, at) -> None:
    load()
    ModelEntry.objects.filter(name="gpt-5-mini").update(
        end_of_life=date(2026, 12, 1), end_of_life_source="our contract"
    )
    server.models = {"gpt-5-mini": "2027-06-30"}

    check(at(day(1)))

    assert entry().end_of_life == date(2026, 12, 1)


@database
def test_a_server_that_is_away_is_only_noted(settings, at, caplog) -> None:
    settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = KEY, "http://127.0.0.1:9/v1"
    settings.LLM_MODEL = "gpt-5-mini"

    with caplog.at_level(logging.WARNING):
        found = check(at(day(20)))
    openai_connection.close()

    assert "could not be asked: the model's server cannot be reached" in caplog.text
    assert ("gpt-5-mini", 21) in warned(found)


@database
def test_a_refused_key_is_only_noted_without_it(server, at, settings, caplog) -> None:
    settings.OPENAI_API_KEY = "wrong-key"

    with caplog.at_level(logging.WARNING):
        check(at(day(20)))

    assert "could not be asked" in caplog.text
    assert "wrong-key" not in caplog.text


@database
def test_without_a_model_nobody_is_asked_or_warned(at, settings, monkeypatch) -> None:
    settings.OPENAI_API_KEY, settings.LLM_MODEL = "", "gpt-5-mini"
    monkeypatch.setattr(sunset, "calling", None)

    assert check(at(day(20))) == []


# --- warning


@pytest.fixture
def ending_in_december(server):
    """Only this one ends, and luna is asked then."""
    load()
    ModelEntry.objects.exclude(name="gpt-5-mini").update(end_of_life=None, end_of_life_source="for the test")


@database
def test_it_is_warned_once_at_each_step(ending_in_december, at) -> None:
    moments = [
        datetime(2026, 9, 11, tzinfo=UTC), datetime(2026, 9, 12, tzinfo=UTC), datetime(2026, 9, 13, tzinfo=UTC),
        day(10), day(11), day(12), day(3, 12), day(4, 12), day(10, 12), day(11, 12), day(12, 12),
    ]  # fmt: skip

    found = [warned(check(at(moment))) for moment in moments]

    assert found == [
        [], [("gpt-5-mini", 90)], [],
        [], [("gpt-5-mini", 30)], [], [], [("gpt-5-mini", 7)], [], [("gpt-5-mini", 0)], [],
    ]  # fmt: skip


@database
def test_a_check_that_comes_late_warns_of_the_nearest_step_only(ending_in_december, at, caplog) -> None:
    before = metrics.model_end_warnings.labels(days="7")._value.get()

    with caplog.at_level(logging.WARNING):
        assert warned(check(at(day(6, 12)))) == [("gpt-5-mini", 5)]

    told = "the model gpt-5-mini ends in 5 days, on 2026-12-11; gpt-6-luna is asked in its place"
    assert told in caplog.messages
    assert metrics.model_end_warnings.labels(days="7")._value.get() == before + 1


@database
def test_an_end_that_was_put_off_is_warned_of_again(ending_in_december, at) -> None:
    check(at(day(6, 12)))
    ModelEntry.objects.filter(name="gpt-5-mini").update(end_of_life=date(2027, 12, 11))
    assert check(at(day(7, 12))) == []
    assert entry().warned_days is None

    assert warned(check(at(datetime(2027, 12, 6, tzinfo=UTC)))) == [("gpt-5-mini", 5)]


@database
def test_after_the_end_another_is_asked_without_any_check(ending_in_december, at) -> None:
    at(datetime(2026, 12, 10, 23, 59, 59, tzinfo=UTC))
    assert wanted_model() == "gpt-5-mini"

    at(datetime(2026, 12, 11, tzinfo=UTC))
    assert wanted_model() == "gpt-6-luna"


@database
def test_a_replacement_that_ends_first_is_none(ending_in_december, at) -> None:
    ModelEntry.objects.filter(name__in=["gpt-6-luna", "gpt-6.1-terra"]).update(end_of_life=date(2026, 12, 1))

    found = {one.name: str(one) for one in endings(at(day(20)))}

    assert found["gpt-5-mini"] == (
        "the model gpt-5-mini ends in 21 days, on 2026-12-11; nothing is asked in its place"
    )


@database
def test_what_ends_is_told_by_when(ending_in_december, at) -> None:
    ModelEntry.objects.filter(name="gpt-5-nano").update(end_of_life=date(2026, 11, 1))

    assert warned(endings(at(day(20)))) == [("gpt-5-nano", -19), ("gpt-5-mini", 21)]


@pytest.mark.django_db(transaction=True)
def test_of_several_checks_one_warns(server, at) -> None:
    load()
    ModelEntry.objects.exclude(name="gpt-5-mini").update(end_of_life=None, end_of_life_source="for the test")
    now = at(day(20))
    start = threading.Barrier(4)

    def work(_: int) -> list[Ending]:
        try:
            start.wait(60)
            return check(now)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        found = [one for result in pool.map(work, range(4)) for one in result]

    assert warned(found) == [("gpt-5-mini", 21)]
