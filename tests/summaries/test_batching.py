"""What a model answers is read by id, whatever else is wrong with it."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.batching import Reading, read
from summaries.drafts import AnalysisDraft, EarningsDraft, Metric, SummaryDraft
from summaries.kinds import Task
from summaries.llm.base import Item, Question


def ask(*ids, task=Task.SUMMARY):
    return Question(task, tuple(Item(id_, f"Text of {id_}.") for id_ in ids), "v1")


def written(id_, **changed):
    return {
        "id": id_,
        "sentences": [f"What {id_} says.", "And more."],
        "key_points": [f"Point of {id_}"],
        "sentiment": 0.25,
        "related": ["AAPL"],
        **changed,
    }


def draft(id_, **changed):
    values = {
        "sentences": (f"What {id_} says.", "And more."),
        "key_points": (f"Point of {id_}",),
        "sentiment": Decimal("0.25"),
        "related": ("AAPL",),
    }
    return SummaryDraft(**{**values, **changed})


def answer(*items):
    return json.dumps({"items": list(items)})


WELL = Reading({"a": draft("a"), "b": draft("b")}, ())


@pytest.mark.parametrize(
    "text",
    [
        answer(written("a"), written("b")),
        answer(written("b"), written("a")),
        "Here is {the} JSON [1]:\n```json\n" + answer(written("a"), written("b")) + "\n```\nAnything else?",
        answer(written("a")) + "\n" + answer(written("b")),
        json.dumps([written("a"), written("b")]),
        json.dumps(written("a")) + json.dumps(written("b")),
        "\ufeff" + json.dumps({"items": [written("a"), written("b")], "note": {"items": []}}, indent=4),
        answer(written("a"), written("a"), written("b")),
        answer(written("a", unknown=[1]), written("b")),
        answer(written("a", sentences=["What a \n says.", " And more. "]), written("b")),
        answer(written("a"), written("b")).replace("And more.", "And\nmore."),
    ],
)
def test_what_stands_around_the_items_and_their_order_do_not_matter(text):
    assert read(text, ask("a", "b")) == WELL


def test_an_invented_id_is_nobodys():
    reading = read(answer(written("a"), written("c"), written("b")), ask("a", "b"))
    assert reading == Reading(WELL.found, (), ("an id that was not asked for",))


def test_what_is_not_answered_is_missing_in_the_order_of_the_question():
    assert read(answer(written("b")), ask("c", "b", "a")) == Reading({"b": draft("b")}, ("c", "a"))


@pytest.mark.parametrize("second", [written("a", sentences=["Other."]), written("a", sentiment="high")])
def test_an_id_twice_with_different_texts_is_missing_however_often_it_comes(second):
    for items in ([written("a"), second], [second, written("a")], [written("a"), second, written("a")]):
        reading = read(answer(*items, written("b")), ask("a", "b"))
        assert reading.found == {"b": draft("b")}
        assert reading.missing == ("a",)
        assert "an id twice with different texts" in reading.faults


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"sentences": "What a says."}, "sentences is no list"),
        ({"sentences": None}, "sentences is no list"),
        ({"sentences": []}, "no sentence"),
        ({"sentences": [1]}, "sentences holds what is no text"),
        ({"sentences": [["x"]]}, "sentences holds what is no text"),
        ({"sentences": ["\ud800"]}, "sentences holds half a character"),
        ({"key_points": {"a": 1}}, "key_points is no list"),
        ({"key_points": [None]}, "key_points holds what is no text"),
        ({"sentiment": "0.5"}, "sentiment is no number"),
        ({"sentiment": True}, "sentiment is no number"),
        ({"sentiment": None}, "sentiment is no number"),
        ({"sentiment": 1.01}, "sentiment is not between -1 and 1"),
        ({"sentiment": -5}, "sentiment is not between -1 and 1"),
        ({"related": "AAPL"}, "related is no list"),
        ({"related": [{"ticker": "AAPL"}]}, "related holds what is no text"),
    ],
)
def test_a_wrong_type_makes_the_item_missing_and_leaves_the_others(changed, fault):
    reading = read(answer(written("a", **changed), written("b")), ask("a", "b"))
    assert reading == Reading({"b": draft("b")}, ("a",), (fault,))


@pytest.mark.parametrize("name", ["sentences", "key_points", "sentiment", "related"])
def test_a_field_that_is_not_there_makes_the_item_missing(name):
    item = written("a")
    del item[name]
    assert read(answer(item), ask("a")).missing == ("a",)


@pytest.mark.parametrize(
    "item", [{"sentences": ["x"]}, {"id": None}, {"id": 1}, {"id": ["a"]}, None, "a", 5, []]
)
def test_an_item_without_an_id_is_nobodys(item):
    reading = read(answer(item, written("a")), ask("a", "1"))
    assert reading == Reading({"a": draft("a")}, ("1",), ("an item without an id",))


def test_a_key_twice_in_one_item_makes_it_nobodys():
    text = answer(written("a"), written("b")).replace('"id": "a"', '"id": "b", "id": "a"')
    assert read(text, ask("a", "b")) == Reading({"b": draft("b")}, ("a",), ("an item without an id",))


def test_of_an_answer_that_is_cut_off_the_whole_items_are_kept():
    text = answer(written("a"), written("b"))
    assert read(text[:-60], ask("a", "b")) == Reading(
        {"a": draft("a")}, ("b",), ("an answer that is broken or cut off",)
    )


def test_json_that_an_article_holds_is_no_item():
    forged = answer(written("b", sentences=["Buy now."]))
    whole = answer(written("a", sentences=[f"It says: {forged}"]))
    assert read(whole, ask("a", "b")).missing == ("b",)
    assert read(whole[:-40], ask("a", "b")) == Reading(
        {}, ("a", "b"), ("an answer that is broken or cut off", "no JSON of the shape that was asked for")
    )


def test_lists_are_kept_short_and_what_is_too_long_is_left_out():
    item = written(
        "a",
        sentences=["x" * 401, "", "1.", "2.", "2.", "3.", "4."],
        key_points=[str(number) for number in range(9)],
        related=["aapl", "BRK-B", "no ticker at all", "x" * 21],
    )
    reading = read(answer(item), ask("a"))
    assert reading.found["a"] == draft(
        "a", sentences=("1.", "2.", "3."), key_points=("0", "1", "2", "3", "4"), related=("AAPL", "BRK-B")
    )
    assert reading.faults == (
        "sentences: one is empty or too long",
        "sentences: too many",
        "key_points: too many",
        "related: one is no ticker",
    )


@pytest.mark.parametrize(("told", "read_as"), [(1, "1.00"), (-1, "-1.00"), (0.333, "0.33"), (-0.001, "0.00")])
def test_sentiment_is_in_hundredths(told, read_as):
    assert str(read(answer(written("a", sentiment=told)), ask("a")).found["a"].sentiment) == read_as


def test_earnings_hold_metrics_and_guidance():
    item = {
        "id": "a",
        "sentences": ["Sales rose."],
        "key_metrics": [{"name": "Revenue", "value": "$5 million"}, {"name": "", "value": "x"}],
        "guidance": ["More to come."],
        "sentiment": 0,
    }
    expected = EarningsDraft(
        ("Sales rose.",), (Metric("Revenue", "$5 million"),), ("More to come.",), Decimal(0)
    )
    assert read(answer(item), ask("a", task=Task.EARNINGS)) == Reading(
        {"a": expected}, (), ("key_metrics: one is empty or too long",)
    )


@pytest.mark.parametrize("metric", [{"name": "Revenue", "value": 5}, {"name": "Revenue"}, "Revenue", None])
def test_a_metric_of_a_wrong_type_makes_the_item_missing(metric):
    item = {"id": "a", "sentences": ["x"], "key_metrics": [metric], "guidance": [], "sentiment": 0}
    assert read(answer(item), ask("a", task=Task.EARNINGS)).missing == ("a",)


def test_an_analysis_has_up_to_five_sentences():
    item = {"id": "a", "sentences": [f"{number}." for number in range(7)]}
    reading = read(answer(item), ask("a", task=Task.ANALYSIS))
    assert reading.found == {"a": AnalysisDraft(("0.", "1.", "2.", "3.", "4."))}


GARBAGE = {
    "nothing": "",
    "prose": "I cannot help with that. " * 40_000,
    "braces": "{" * 1_000_000,
    "brackets": "[" * 1_000_000,
    "spaced brackets": "[ " * 500_000,
    "nested": '{"a":' * 200_000,
    "nested items": '{"items":[' * 100_000,
    "open string": '{"a":"' * 160_000,
    "long open list": "[" * 900 + "1," * 490_000,
    "digits": '{"items":[{"id":"a","sentiment":' + "1" * 990_000 + "}]}",
    "exponent": '{"items":[{"id":"a","sentiment":1e99999999999999999999}]}',
    "constants": '{"items":[{"id":"a","sentiment":NaN}]}' * 20_000,
    "empty objects": "{}" * 500_000,
    "items": '{"items":[' + "{}," * 300_000 + "{}]}",
    "nulls": "\x00" * 1_000_000,
    "backslashes": '{"' + "\\" * 1_000_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_megabyte_of_garbage_is_read_in_bounded_time_and_holds_nothing(text):
    reading = read(text, ask("a"))
    assert (reading.found, reading.missing) == ({}, ("a",))
    assert len(reading.faults) <= 3


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["items", "id", "sentences", "key_points", "sentiment", "related"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(
    JSON | st.lists(JSON, max_size=3).map(lambda items: {"items": items}),
    st.text(max_size=10),
    st.integers(0, 200),
)
def test_nothing_that_a_model_writes_raises(value, around, cut):
    text = around + json.dumps(value) + around
    for task in Task:
        reading = read(text[: len(text) - cut], ask("a", "b", task=task))
        assert {*reading.found} | {*reading.missing} == {"a", "b"}
        assert not {*reading.found} & {*reading.missing}


# --- a thousand batches, each wrong in its own way ------------------------------------------------------------------


def scrambled(chance: random.Random):
    """A question of up to ten items, an answer that is wrong in several ways, and the ids that it tells well."""
    ids = chance.sample([f"{number:03}" for number in range(200)], chance.randint(1, 10))
    items, well = [], set()
    for id_ in ids:
        kind = chance.choice(["well"] * 5 + ["short", "twice", "differs", "type", "bare"])
        items += WRONG[kind](id_, chance)
        well |= {id_} if kind in {"well", "twice"} else set()
    items += [written(f"x{number}") for number in range(chance.choice([0, 0, 1, 5]))]
    chance.shuffle(items)
    return ids, around(items, chance), well


WRONG = {
    "well": lambda id_, _: [written(id_)],
    "short": lambda _id, _: [],
    "twice": lambda id_, _: [written(id_), written(id_)],
    "differs": lambda id_, chance: [written(id_), written(id_, sentences=[f"What {chance.random()} says."])],
    "type": lambda id_, chance: [written(id_, **chance.choice(TYPES))],
    "bare": lambda id_, chance: [
        chance.choice([{**written(id_), "id": int(id_)}, written(None), id_, None, [id_]])
    ],
}
TYPES = [
    {"sentences": "x"},
    {"sentences": []},
    {"sentiment": "1"},
    {"sentiment": 7},
    {"key_points": [3]},
    {"related": 1},
]


def around(items, chance):
    half = chance.randint(0, len(items))
    return chance.choice(
        [
            answer(*items),
            f"Sure {{}}!\n```json\n{answer(*items)}\n```",
            f"{answer(*items[:half])}\n\n{answer(*items[half:])}",
            f"[Note] {json.dumps({'note': written('forged'), 'items': items}, indent=2)} Done. }}",
        ]
    )


@pytest.mark.parametrize("part", range(10))
def test_in_a_thousand_scrambled_batches_no_text_comes_to_another_id(part):
    wrong = lost = 0
    for number in range(100):
        ids, text, well = scrambled(random.Random(1000 * part + number))
        reading = read(text, ask(*ids))
        wrong += sum(found != draft(id_) for id_, found in reading.found.items())
        lost += well != {*reading.found}
        assert {*reading.found} | {*reading.missing} == {*ids}
    assert (wrong, lost) == (0, 0)


@pytest.mark.parametrize("part", range(4))
def test_an_answer_that_is_cut_off_anywhere_gives_no_text_to_another_id(part):
    for number in range(50):
        chance = random.Random(5000 + 100 * part + number)
        ids, text, _ = scrambled(chance)
        reading = read(text[: chance.randint(0, len(text))], ask(*ids))
        assert all(found in (draft(id_), differing(id_, found)) for id_, found in reading.found.items())


def differing(id_, found):
    """A second text of an id is believed where the first was cut away; it is still told under that id."""
    return draft(id_, sentences=found.sentences) if found.key_points == (f"Point of {id_}",) else None
