from __future__ import annotations

import json
import re

import pytest

from summaries.kinds import Persona, Task
from summaries.llm import prompts, schemas
from summaries.llm.base import Item, Question
from tests.summaries.llm.asking import question


@pytest.fixture
def forgetful():
    """Versions are worked out once; what a test changes must not stay."""
    prompts.version.cache_clear()
    prompts.words.cache_clear()
    yield
    prompts.version.cache_clear()
    prompts.words.cache_clear()


@pytest.fixture
def folder(tmp_path, monkeypatch, forgetful):
    for file in prompts.FOLDER.glob("*.txt"):
        (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize("task", Task)
def test_a_version_names_the_task_and_fits_its_column(task):
    assert re.fullmatch(rf"{task}-[0-9a-f]{{8}}", prompts.version(task))
    assert len(prompts.version(task)) <= 20


@pytest.mark.parametrize(("file", "changed"), [
    ("rules.txt", {"summary", "earnings", "analysis"}),
    ("summary.txt", {"summary"}),
    ("earnings.txt", {"earnings"}),
    ("analysis.txt", {"analysis"}),
    ("analysis_dcf.txt", {"analysis"}),
])  # fmt: skip
def test_whoever_edits_a_prompt_makes_a_new_version(folder, file, changed):
    before = {task: prompts.version(task) for task in Task}
    with (folder / file).open("a") as prompt:
        prompt.write("One more rule.\n")
    prompts.version.cache_clear()
    prompts.words.cache_clear()

    assert {task for task in Task if prompts.version(task) != before[task]} == changed


def test_whoever_edits_a_shape_makes_a_new_version(monkeypatch, forgetful):
    before = prompts.version(Task.SUMMARY)
    monkeypatch.setitem(schemas.ENTRIES, Task.SUMMARY, schemas.METRIC)
    prompts.version.cache_clear()

    assert prompts.version(Task.SUMMARY) != before


def test_each_persona_has_a_style_of_its_own():
    assert len({prompts.text(Task.ANALYSIS, persona) for persona in Persona}) == len(Persona)


def test_a_persona_that_is_none_is_refused():
    with pytest.raises(ValueError, match="nobody"):
        prompts.text(Task.ANALYSIS, "nobody")


def objects_of(schema):
    """The schema and all within it that describe objects."""
    if schema.get("type") == "object":
        yield schema
    for inner in [*schema.get("properties", {}).values(), schema.get("items", {})]:
        if inner:
            yield from objects_of(inner)


@pytest.mark.parametrize("task", Task)
def test_shapes_are_such_as_strict_mode_takes(task):
    for one in objects_of(schemas.schema(task)):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])


@pytest.mark.parametrize("task", Task)
def test_a_prompt_names_every_field_that_the_shape_has(task):
    fields = schemas.ENTRIES[task]["properties"]

    assert [name for name in fields if f'"{name}"' not in prompts.text(task)] == []


def test_the_document_holds_all_items_as_json():
    body = json.loads(prompts.document(question("apple", "ibm")).split("\n")[1])

    assert [set(item) for item in body["items"]] == [{"id", "title", "symbols", "text"}] * 2
    assert [item["id"] for item in body["items"]] == ["apple", "ibm"]


def test_the_same_items_make_the_same_document():
    assert prompts.document(question()) == prompts.document(question())


def test_a_very_long_article_is_read_to_its_limit_and_a_call_is_not_cut():
    item = Item("1", "x" * 100_000)

    def size(task):
        body = prompts.document(Question(task, (item,), "v")).split("\n")[1]
        return len(json.loads(body)["items"][0]["text"])

    assert (size(Task.SUMMARY), size(Task.EARNINGS)) == (prompts.ARTICLE_CHARS, 100_000)


def test_figures_of_an_analysis_are_told_as_they_are():
    item = Item("1", "Text", "Acme", ("ACME",), {"P/E": "18.2"})
    body = prompts.document(Question(Task.ANALYSIS, (item,), "v")).split("\n")[1]

    assert json.loads(body)["items"][0]["facts"] == {"P/E": "18.2"}
