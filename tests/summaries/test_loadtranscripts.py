from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from summaries import transcripts
from summaries.models import EarningsSummary, Transcript
from tests.summaries.making import ticker

pytestmark = pytest.mark.django_db


def line(quarter: int = 1, **fields) -> str:
    speeches = [
        {"speaker": "Ada Lee", "role": "CFO", "text": f"Revenue of quarter {quarter} was 7 million dollars."}
    ]
    values = {"symbol": "AAPL", "year": 2025, "quarter": quarter, "speeches": speeches, **fields}
    return json.dumps(values)


@pytest.fixture
def file(tmp_path) -> Path:
    ticker("AAPL")
    return tmp_path / "calls.jsonl"


def load(file: Path, *args: str):
    out, err = io.StringIO(), io.StringIO()
    call_command("loadtranscripts", str(file), *args, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().splitlines()


def test_each_line_becomes_a_transcript_with_a_summary(file):
    file.write_text("\n".join([line(1), line(2, fictional=True)]))

    assert load(file) == ("2 lines: 2 transcripts are new, 0 known already, 0 lines not kept.", [])

    found = transcripts.of("AAPL").values_list("quarter", "provider", "is_fictional")
    assert list(found) == [(2, "file", True), (1, "file", False)]
    assert EarningsSummary.objects.count() == 2


def test_loading_again_changes_nothing(file):
    file.write_text(line())
    load(file)

    assert load(file)[0] == "1 lines: 0 transcripts are new, 1 known already, 0 lines not kept."
    assert Transcript.objects.count() == 1


def test_bad_lines_are_told_by_number_and_cost_no_other(file):
    file.write_text("\n".join(["{", line(1), line(2, symbol="NOPE"), line(9), line(3)]))

    said, complaints = load(file)

    assert said == "5 lines: 2 transcripts are new, 0 known already, 3 lines not kept."
    assert complaints == [
        "line 1: This is not JSON.",
        "line 3: NOPE is no ticker that is known.",
        "line 4: The quarter is none of 1 to 4.",
    ]


def test_json_tells_everything(file):
    file.write_text("\n".join([line(1), "{"]))

    assert json.loads(load(file, "--json")[0]) == {
        "lines": 2, "new": 1, "known": 0, "bad": [{"number": 2, "reason": "This is not JSON."}],
    }  # fmt: skip


def test_of_many_bad_lines_the_first_are_shown(file):
    file.write_text("{\n" * 30)

    assert len(load(file)[1]) == 21


def test_a_file_that_is_not_there_is_told(file):
    with pytest.raises(CommandError, match=r"calls\.jsonl: No such file or directory\."):
        load(file)
