from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command

from core import doctor
from core.doctor import Line, Verdict


@pytest.fixture
def examined(monkeypatch):
    """Only what a test says is examined."""

    def says(*lines: Line) -> list[bool]:
        asked: list[bool] = []

        def examination(asks):
            asked.append(asks)
            return lines

        monkeypatch.setattr(doctor, "_examinations", {"all": examination})
        return asked

    return says


def run(*options: str) -> str:
    out = StringIO()
    call_command("doctor", *options, stdout=out, no_color=True)
    return out.getvalue()


def test_it_tells_each_line_with_its_hint_and_counts(examined):
    examined(Line("disk", Verdict.OK, "is fine"), Line("clock", Verdict.WARN, "is late", "Set it."))

    assert run().splitlines() == [
        "ok   disk           is fine",
        "warn clock          is late",
        "                    Set it.",
        "1 ok, 1 to look at, 0 bad",
    ]


def test_something_bad_is_an_exit_code(examined):
    examined(Line("disk", Verdict.BAD, "is full"))

    with pytest.raises(SystemExit) as ended:
        run()

    assert ended.value.code == 1


def test_offline_asks_nobody(examined):
    asked = examined()

    run()
    run("--offline")

    assert asked == [True, False]


def test_json_is_one_object(examined):
    examined(Line("disk", Verdict.OK, "is fine"))

    assert json.loads(run("--json")) == {
        "lines": [{"topic": "disk", "verdict": "ok", "text": "is fine", "hint": ""}],
        "counts": {"ok": 1, "warn": 0, "bad": 0},
    }


@pytest.mark.django_db
def test_the_real_servers_are_examined():
    lines = list(doctor.examine(asks=False))

    topics = {line.topic for line in lines}
    assert {"settings", "database", "redis", "tape", "prices", "keys"} <= topics
    (database,) = (line for line in lines if line.topic == "database")
    assert (database.verdict, database.text.startswith("PostgreSQL ")) == (Verdict.OK, True)
