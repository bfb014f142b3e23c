from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from core.batching import Batched


class Desk:
    """Answers each number with its square, keeps what it was asked, and may be held up."""

    def __init__(self, **options: int) -> None:
        self.asked: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.questions = Batched(self.answer, **options)

    async def answer(self, keys):
        self.asked.append(list(keys))
        await self.open.wait()
        return [ValueError(key) if key < 0 else key * key for key in keys]

    async def begun(self, questions: int) -> None:
        async with asyncio.timeout(25):
            while len(self.asked) < questions:
                await asyncio.sleep(0)


async def test_who_comes_in_the_same_moment_is_asked_for_together():
    desk = Desk()
    assert await asyncio.gather(*map(desk.questions.ask, range(300))) == [key * key for key in range(300)]
    assert desk.asked == [list(range(300))]


async def test_who_comes_while_a_question_is_on_its_way_waits_for_the_next():
    desk = Desk()
    desk.open.clear()
    first = asyncio.create_task(desk.questions.ask(1))
    await desk.begun(1)
    others = [asyncio.create_task(desk.questions.ask(key)) for key in (2, 3)]
    await asyncio.sleep(0)
    assert desk.asked == [[1]]

    desk.open.set()

    assert [await first, *await asyncio.gather(*others)] == [1, 4, 9]
    assert desk.asked == [[1], [2, 3]]


async def test_a_question_has_a_largest_size_and_nobody_is_forgotten():
    desk = Desk(largest=100)
    answers = await asyncio.gather(*map(desk.questions.ask, range(250)))
    assert answers == [key * key for key in range(250)]
    assert [len(keys) for keys in desk.asked] == [100, 100, 50]


async def test_the_same_key_is_asked_as_often_as_it_comes():
    desk = Desk()
    assert await asyncio.gather(*map(desk.questions.ask, [5, 5, 5])) == [25, 25, 25]
    assert desk.asked == [[5, 5, 5]]


async def test_an_exception_in_the_place_of_a_key_is_raised_for_that_one_only():
    desk = Desk()
    answers = await asyncio.gather(*map(desk.questions.ask, [1, -2, 3]), return_exceptions=True)
    assert [answers[0], answers[1].args, answers[2]] == [1, (-2,), 9]


async def test_a_question_that_fails_fails_for_all_who_asked_it_and_the_next_is_asked():
    asked = []

    async def answer(keys):
        asked.append(list(keys))
        if len(asked) == 1:
            raise ConnectionError("away")
        return keys

    questions = Batched(answer)
    answers = await asyncio.gather(*map(questions.ask, "ab"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
    assert await questions.ask("c") == "c"
    assert asked == [["a", "b"], ["c"]]


@pytest.mark.parametrize("wrong", [0, 1, 3])
async def test_a_wrong_number_of_answers_is_nobodys_answer_and_nobody_waits_for_ever(wrong):
    async def answer(keys):
        return ["x"] * (wrong if len(keys) == 2 else 1)

    questions = Batched(answer)
    answers = await asyncio.wait_for(
        asyncio.gather(*map(questions.ask, "ab"), return_exceptions=True), timeout=25
    )
    assert [type(answer) for answer in answers] == [ValueError, ValueError]
    assert await asyncio.wait_for(questions.ask("c"), timeout=25) == "x"


async def test_whoever_goes_before_the_answer_harms_nobody():
    desk = Desk()
    desk.open.clear()
    tasks = [asyncio.create_task(desk.questions.ask(key)) for key in range(5)]
    await desk.begun(1)
    tasks[0].cancel()
    tasks[3].cancel()
    late = [asyncio.create_task(desk.questions.ask(key)) for key in (6, 7)]
    await asyncio.sleep(0)
    late[0].cancel()
    desk.open.set()

    answers = await asyncio.gather(*tasks, *late, return_exceptions=True)

    gone = asyncio.CancelledError
    assert [type(one) if isinstance(one, BaseException) else one for one in answers] == [
        gone, 1, 4, gone, 16, gone, 49,
    ]  # fmt: skip
    assert desk.asked == [[0, 1, 2, 3, 4], [7]]  # nobody is asked for who is gone


async def test_where_all_are_gone_nothing_is_asked():
    desk = Desk()
    tasks = [asyncio.create_task(desk.questions.ask(key)) for key in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await desk.questions.ask(9) == 81
    assert desk.asked == [[9]]


async def test_a_question_that_is_cancelled_leaves_nobody_waiting():
    """As at the end of a loop: those of the batch, and those who came after it."""
    desk = Desk()
    desk.open.clear()
    first = asyncio.create_task(desk.questions.ask(1))
    await desk.begun(1)
    second = asyncio.create_task(desk.questions.ask(2))
    await asyncio.sleep(0)

    await desk.questions._tasks.cancel()

    async with asyncio.timeout(25):
        answers = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2
    desk.open.set()
    assert await desk.questions.ask(3) == 9


async def test_a_question_on_its_way_is_not_collected():
    desk = Desk()
    desk.open.clear()
    asking = asyncio.create_task(desk.questions.ask(4))
    await desk.begun(1)
    gc.collect()
    desk.open.set()
    assert await asking == 16


def test_one_that_was_made_on_another_loop_is_not_kept_by_it():
    made = []

    async def ask() -> None:
        desk = Desk()
        await desk.questions.ask(1)
        made.append(weakref.ref(desk.questions))

    asyncio.run(ask())
    gc.collect()
    assert made[0]() is None
