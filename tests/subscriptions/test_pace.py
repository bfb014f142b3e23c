from __future__ import annotations

from subscriptions.cadence import Mode
from subscriptions.pace import (
    ASK_EVERY_S,
    ENOUGH,
    GIVE_UP_S,
    HOLD_S,
    NOBODY,
    QUICK_S,
    RECOVER_AFTER_S,
    SLOW_S,
    Ours,
    Pace,
)


def asked(pace: Pace, at: float) -> int:
    """A question at this moment; answers what has to be told back."""
    now_ms = int(at * 1000)
    pace.asked(at, now_ms)
    return now_ms


def answers(pace: Pace, at: float, took: float) -> None:
    pace.answered(asked(pace, at), at + took)


def made(ours: Ours = NOBODY) -> Pace:
    """Of a client that has answered before: from then on it is judged."""
    pace = Pace(ours)
    answers(pace, -10, 0.1)
    return pace


def test_who_was_never_asked_owes_nothing():
    pace = Pace()
    assert (pace.owes_for(1e6), pace.is_held(1e6), pace.is_given_up(1e6)) == (0.0, False, False)


def test_who_never_answers_is_never_given_up():
    pace = Pace()
    for at in range(0, 600, 10):
        asked(pace, at)
    assert (pace.answers, pace.is_held(605), pace.is_given_up(605)) == (False, False, False)
    assert pace.bearable is Mode.LIVE


def test_who_has_answered_once_is_held_and_then_given_up():
    pace = Pace()
    answers(pace, 0, 0.1)
    asked(pace, 10)

    moments = (10 + HOLD_S, 10 + HOLD_S + 0.01, 10 + GIVE_UP_S, 10 + GIVE_UP_S + 0.01)
    assert [pace.is_held(at) for at in moments] == [False, True, True, True]
    assert [pace.is_given_up(at) for at in moments] == [False, False, False, True]


def test_an_answer_settles_the_debt():
    pace = Pace()
    answers(pace, 0, 0.1)
    answers(pace, 10, 4.9)
    assert (pace.owes_for(100), pace.is_given_up(100)) == (0.0, False)


def test_a_question_that_is_open_stays_the_one_that_counts_for_who_has_answered_before():
    pace = Pace()
    answers(pace, 0, 0.1)
    first = asked(pace, 10)
    asked(pace, 13)
    assert pace.owes_for(14) == 4

    pace.answered(first, 14)
    assert (pace.owes_for(20), pace.bearable) == (0.0, Mode.SECOND)


def test_whoever_begins_to_answer_is_judged_by_the_newest_question_and_not_by_those_it_ignored():
    pace = Pace()
    for at in (0, 10, 20):
        last = asked(pace, at)
    pace.answered(last, 20.1)
    assert (pace.answers, pace.bearable) == (True, Mode.LIVE)


def test_only_the_question_itself_is_answered():
    pace = Pace()
    pace.answered(0, 1)
    assert not pace.answers
    answers(pace, 0, 0.1)
    told = asked(pace, 10)
    for other in (told - 1, told + 1, 2**53, -1, 0):  # an earlier heartbeat, or one that nobody has sent
        pace.answered(other, 10.1)
    assert pace.owes_for(14) == 4


def test_an_answer_counts_once():
    pace = Pace()
    told = asked(pace, 0)
    pace.answered(told, 0.1)
    asked(pace, 10)
    pace.answered(told, 10.1)
    assert pace.owes_for(13) == 3


def test_each_slow_answer_is_a_step_down_and_the_last_step_still_sends():
    pace = made()
    seen = []
    for at in range(0, 50, 10):
        answers(pace, at, SLOW_S + 0.5)
        seen.append(pace.bearable)
    assert seen == ["1s", "5s", "30s", "30s", "30s"]


def test_two_quick_answers_are_a_step_up_and_one_between_them_that_is_neither_does_not_count():
    pace = made()
    answers(pace, 0, SLOW_S + 1)
    answers(pace, 10, SLOW_S + 1)
    seen = []
    for at, took in zip(range(20, 70, 10), (0.1, QUICK_S + 0.5, 0.1, 0.1, 0.1), strict=True):
        answers(pace, at, took)
        seen.append(pace.bearable)
    assert seen == ["5s", "5s", "1s", "1s", "live"]


def test_a_slow_answer_between_two_quick_ones_begins_anew():
    pace = made()
    for at, took in ((0, SLOW_S + 1), (10, 0.1), (20, SLOW_S + 1), (30, 0.1)):
        answers(pace, at, took)
    assert pace.bearable is Mode.FIVE_SECONDS
    answers(pace, 40, 0.1)
    assert pace.bearable is Mode.SECOND


def test_a_connection_that_waited_is_a_step_down():
    pace = Pace()
    pace.slow_down(0)
    assert pace.bearable is Mode.SECOND


def test_who_never_answers_is_given_more_again_when_it_has_not_waited_for_a_while():
    pace = Pace()
    pace.slow_down(100)
    pace.slow_down(101)
    pace.look(100 + RECOVER_AFTER_S)
    assert pace.bearable is Mode.FIVE_SECONDS
    pace.look(101 + RECOVER_AFTER_S)
    assert pace.bearable is Mode.SECOND
    pace.look(102 + RECOVER_AFTER_S)
    assert pace.bearable is Mode.SECOND
    pace.look(101 + 2 * RECOVER_AFTER_S)
    assert pace.bearable is Mode.LIVE


def test_who_answers_is_judged_by_its_answers_only():
    pace = made()
    answers(pace, 0, SLOW_S + 1)
    pace.look(1_000)
    assert pace.bearable is Mode.SECOND


def test_a_debt_is_called_in_before_the_next_question_comes():
    assert HOLD_S < GIVE_UP_S < ASK_EVERY_S


def crowd(size: int) -> tuple[Ours, list[Pace]]:
    ours = Ours()
    paces = [made(ours) for _ in range(size)]
    ours.begin(0)
    for pace in paces:
        asked(pace, 0)
    return ours, paces


def test_when_everybody_is_slow_nobody_is_blamed():
    _, paces = crowd(ENOUGH)
    assert not any(pace.is_held(20) or pace.is_given_up(20) for pace in paces)
    for number, pace in enumerate(paces):
        pace.answered(0, 20 + number / 10)
    assert {pace.bearable for pace in paces} == {Mode.LIVE}


def test_who_is_slow_among_the_quick_is_found_out():
    _, paces = crowd(100)
    quick, slow, asleep = paces[:10], paces[10:50], paces[50:]
    for pace in quick:
        pace.answered(0, 0.2)
    for pace in slow:
        pace.answered(0, 0.2 + SLOW_S + 0.1)
    assert {pace.bearable for pace in quick} == {Mode.LIVE}
    assert {pace.bearable for pace in slow} == {Mode.SECOND}
    assert [pace.is_given_up(GIVE_UP_S + 0.1) for pace in asleep] == [False] * 50
    assert [pace.is_given_up(GIVE_UP_S + 0.3) for pace in asleep] == [True] * 50


def test_a_few_are_judged_by_themselves():
    _, paces = crowd(ENOUGH - 1)
    assert all(pace.is_given_up(GIVE_UP_S + 0.1) for pace in paces)
