from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from summaries import modelbook, news, orders
from summaries.models import Article, Order, Summary
from tests.summaries.making import body, ticker

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
CORPUS = (
    Path(os.environ.get("ONETAPE_TRIAL_DATA", ROOT.parent / "shared" / "data")) / "wikinews_business.jsonl"
)


def line(number: int, **fields) -> str:
    values = {
        "id": f"ID{number}", "date": f"2011-03-{number % 28 + 1:02}", "headline": f"News number {number}",
        "text": body(number), "tickers": ["AAPL"], "source": "The Wire", "url": f"https://example.com/{number}",
        "license": "CC BY 2.5", **fields,
    }  # fmt: skip
    return json.dumps(values)


@pytest.fixture
def file(tmp_path) -> Path:
    ticker("AAPL")
    return tmp_path / "articles.jsonl"


def load(file: Path, *args: str):
    out, err = io.StringIO(), io.StringIO()
    call_command("loadarticles", str(file), *args, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().splitlines()


def test_each_line_becomes_an_article_with_a_summary(file):
    file.write_text("\n".join(line(number) for number in range(3)))

    said, complaints = load(file)

    assert said == "3 lines: 3 articles are new, 0 edited, 0 known already, 0 lines not kept."
    assert complaints == []
    assert Summary.objects.count() == 3
    assert set(Article.objects.values_list("provider", "source", "licence")) == {
        ("file", "The Wire", "CC BY 2.5")
    }


def test_articles_come_through_a_pipe_too(file):
    read, write = os.pipe()
    os.write(write, line(1).encode())
    os.close(write)
    try:
        said, _ = load(Path(f"/dev/fd/{read}"))
    finally:
        os.close(read)

    assert said == "1 lines: 1 articles are new, 0 edited, 0 known already, 0 lines not kept."


def test_loading_again_changes_nothing_and_an_edited_line_takes_its_place(file):
    file.write_text("\n".join(line(number) for number in range(3)))
    load(file)

    file.write_text("\n".join([line(0), line(1), line(2, text=body(9))]))

    assert load(file)[0] == "3 lines: 0 articles are new, 1 edited, 2 known already, 0 lines not kept."
    assert Article.objects.count() == 3


def test_the_same_id_of_another_source_is_another_article(file):
    file.write_text("\n".join([line(1), line(1, source="The Other", text=body(9))]))

    assert load(file)[0].startswith("2 lines: 2 articles are new")


def test_bad_lines_are_told_by_number_and_cost_no_other(file):
    file.write_text(
        "\n".join(
            [
                line(1),
                "{",
                line(3, tickers=["NOPE"]),
                "",
                line(5, date="2999-01-01"),
                line(6, tickers=["AAPL", "X"]),
            ]
        )
    )

    said, complaints = load(file)

    assert said == "5 lines: 2 articles are new, 0 edited, 0 known already, 3 lines not kept."
    assert complaints == [
        "line 2: This is not JSON.",
        "line 3: The article names no ticker that is known.",
        "line 5: The article is of the future.",
        "'NOPE' is no ticker that is known (1 article); loadsymbols adds tickers.",
        "'X' is no ticker that is known (1 article); loadsymbols adds tickers.",
    ]


def test_json_tells_everything(file):
    file.write_text("\n".join([line(1), "{", line(3, tickers=["NOPE"])]))

    said, complaints = load(file, "--json")

    assert json.loads(said) == {
        "lines": 3, "new": 1, "updated": 0, "known": 0, "ordered": 0, "unknown": {"NOPE": 1},
        "bad": [
            {"number": 2, "reason": "This is not JSON."},
            {"number": 3, "reason": "The article names no ticker that is known."},
        ],
    }  # fmt: skip
    assert complaints == []


def test_of_many_bad_lines_the_first_are_shown(file):
    file.write_text("{\n" * 30)

    said, complaints = load(file)

    assert said.endswith("30 lines not kept.")
    assert len(complaints) == 21
    assert complaints[-1] == "… 30 lines in all; --json names each of them"


def test_licences_stay_with_their_articles_and_fiction_with_its_own(file):
    file.write_text("\n".join([line(1), line(2, license="CC0"), line(3, fictional=True)]))

    load(file)

    found = Article.objects.order_by("external_id").values_list("external_id", "licence", "is_fictional")
    assert list(found) == [
        ("The Wire:ID1", "CC BY 2.5", False),
        ("The Wire:ID2", "CC0", False),
        ("The Wire:ID3", "CC BY 2.5", True),
    ]


def test_progress_is_told_in_bytes(file, monkeypatch):
    monkeypatch.setattr(news, "AT_ONCE", 2)
    file.write_text("\n".join(line(number) for number in range(5)))
    told: list[int] = []

    news.load_file(file, on_progress=told.append)

    assert told == sorted(told)
    assert (len(told), told[-1]) == (3, file.stat().st_size)


def test_summaries_of_all_can_be_wanted_of_a_model(file, monkeypatch):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "gpt-6-luna")
    monkeypatch.setattr(orders, "wake", lambda: None)
    file.write_text("\n".join([*(line(number) for number in range(3)), line(3, text="")]))

    said, _ = load(file, "--summarize")
    again, _ = load(file, "--summarize", "--json")

    assert said.splitlines() == [
        "4 lines: 4 articles are new, 0 edited, 0 known already, 0 lines not kept.",
        "3 summaries are ordered of a language model.",
    ]
    assert json.loads(again)["ordered"] == 0
    assert Order.objects.count() == 3


def test_without_a_model_that_is_refused_before_anything_is_loaded(file):
    file.write_text(line(1))

    with pytest.raises(CommandError, match="No language model is configured"):
        load(file, "--summarize")

    assert Article.objects.count() == 0


def test_a_file_that_is_not_there_is_told(file):
    with pytest.raises(CommandError, match=r"articles\.jsonl: No such file or directory\."):
        load(file)


@pytest.mark.trial
@pytest.mark.skipif(not CORPUS.exists(), reason=f"{CORPUS} is not there")
def test_a_corpus_of_real_news_loads_whole_and_once():
    real = [json.loads(text) for text in CORPUS.read_text().splitlines()]
    for symbol in {symbol for one in real for symbol in one["tickers"]}:
        ticker(symbol)

    assert json.loads(load(CORPUS, "--json")[0]) == {
        "lines": 149, "new": 149, "updated": 0, "known": 0, "ordered": 0, "bad": [], "unknown": {},
    }  # fmt: skip
    assert load(CORPUS)[0] == "149 lines: 0 articles are new, 0 edited, 149 known already, 0 lines not kept."

    rows = {row.external_id: row for row in Article.objects.prefetch_related("tickers", "summaries")}
    assert len(rows) == 149
    for one in real:
        row = rows[f"Wikinews:{one['id']}"]
        assert row.headline == one["headline"]
        assert "<!--" not in row.text
        if not re.search("[<&]", one["text"]):
            assert row.text.split() == one["text"].split()
        assert [found.symbol for found in row.tickers.all()] == sorted(one["tickers"])
        assert (row.source, row.url, row.licence) == (
            "Wikinews",
            one["url"],
            "CC BY 2.5, Wikinews contributors",
        )
        assert f"{row.published_at:%Y-%m-%d}" == one["date"]
        assert len(row.summaries.all()) == 1
