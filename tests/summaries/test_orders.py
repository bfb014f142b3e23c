from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connections

from core import clock
from summaries import modelbook, orders
from summaries.kinds import Lane, OrderState, Task
from summaries.llm import prompts
from summaries.models import Order, Summary
from tests.summaries.making import article, articles, transcript

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "gpt-6-luna")
    monkeypatch.setattr(orders, "wake", lambda: None)


@pytest.fixture
def later(time_machine):
    time_machine.move_to(clock.now(), tick=False)

    def move(**how) -> None:
        time_machine.shift(timedelta(**how))

    return move


def written(one, *, days_ago: float = 0, version: str = "") -> None:
    Summary.objects.create(
        article=one, sentences=["A."], key_points=[], sentiment=0, model="gpt-6-luna",
        prompt_version=version or prompts.version(Task.SUMMARY), created_at=clock.now() - timedelta(days=days_ago),
    )  # fmt: skip


def states() -> list[str]:
    return list(Order.objects.order_by("id").values_list("state", flat=True))


# --- wanting


def test_an_article_is_ordered_once_however_often_it_is_wanted():
    one = article()

    assert [orders.want_summaries([one]) for _ in range(3)] == [1, 0, 0]
    assert Order.objects.count() == 1


def test_nothing_is_ordered_without_a_model(monkeypatch):
    monkeypatch.setattr(modelbook, "wanted_model", lambda: "")

    assert (orders.want_summaries([article()]), orders.want_earnings(transcript())) == (0, None)
    assert Order.objects.count() == 0


def test_an_article_that_is_only_a_headline_is_not_worth_a_call():
    assert orders.want_summaries([article(text="")]) == 0


def test_what_has_the_text_of_a_model_is_not_ordered_again():
    one = article()
    written(one)

    assert orders.want_summaries([one]) == 0


def test_a_new_prompt_is_a_reason_only_after_a_day():
    young, old = article(), article()
    written(young, version="summary-0", days_ago=0.9)
    written(old, version="summary-0", days_ago=1.1)

    orders.want_summaries([young, old])

    (order,) = Order.objects.all()
    assert (order.article_id, order.is_renewal) == (old.pk, True)


def test_the_order_is_kept_when_it_has_ended_so_that_nothing_is_bought_twice():
    one = article()
    orders.want_summaries([one], lane=Lane.INTERACTIVE)
    orders.done(orders.claim().orders)

    assert orders.want_summaries([one]) == 0


def test_who_waits_for_it_brings_an_order_forward():
    one = article()
    orders.want_summaries([one])

    orders.want_summaries([one], lane=Lane.INTERACTIVE, tier="pro")

    (order,) = Order.objects.all()
    assert (order.lane, order.tier) == (Lane.INTERACTIVE, "pro")


def test_an_earnings_call_is_ordered_once_for_ever():
    one = transcript()

    assert orders.want_earnings(one).pk == orders.want_earnings(one).pk


@pytest.mark.django_db(transaction=True)
def test_ten_who_want_the_same_at_once_make_one_order_each():
    wanted = articles(5)
    start = threading.Barrier(10)

    def want() -> None:
        start.wait(30)
        try:
            orders.want_summaries(wanted)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=want) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert Order.objects.count() == 5


# --- claiming


def test_articles_gather_until_they_are_ten_or_five_seconds_old(later):
    orders.want_summaries(articles(9))
    assert orders.claim() is None

    later(seconds=4.9)
    assert orders.claim() is None

    later(seconds=0.1)
    assert len(orders.claim().orders) == 9


def test_ten_articles_are_one_claim_at_once():
    orders.want_summaries(articles(23))

    assert [len(orders.claim().orders), len(orders.claim().orders)] == [10, 10]
    assert orders.claim() is None


def test_who_waits_for_it_does_not_gather():
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)

    assert len(orders.claim().orders) == 1


def test_the_lane_in_which_somebody_waits_goes_first():
    orders.want_summaries(articles(10))
    waited_for = article()
    orders.want_summaries([waited_for], lane=Lane.INTERACTIVE)

    assert [one.article_id for one in orders.claim().orders] == [waited_for.pk]


def test_orders_of_two_tiers_are_never_one_call():
    orders.want_summaries(articles(2), lane=Lane.INTERACTIVE, tier="free")
    orders.want_summaries(articles(2), lane=Lane.INTERACTIVE, tier="pro")

    assert {(claim.tier, len(claim.orders)) for claim in (orders.claim(), orders.claim())} == {
        ("free", 2),
        ("pro", 2),
    }


def test_what_is_claimed_is_nobody_elses_until_the_claim_runs_out(later):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    first = orders.claim()
    assert orders.claim() is None

    later(seconds=orders.LEASE_S + 1)
    second = orders.claim()

    assert [one.pk for one in second.orders] == [one.pk for one in first.orders]
    assert (orders.done(first.orders), orders.done(second.orders)) == (0, 1)


def test_a_renewed_claim_does_not_run_out(later):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    claim = orders.claim()

    later(seconds=orders.LEASE_S - 1)
    assert orders.renew(claim.orders) == 1
    later(seconds=orders.LEASE_S - 1)

    assert orders.claim() is None


@pytest.mark.django_db(transaction=True)
def test_processes_that_claim_at_once_share_nothing_and_fill_their_calls():
    orders.want_summaries(articles(100))
    start = threading.Barrier(10)
    found: list[list[int]] = []

    def take() -> None:
        start.wait(30)
        try:
            found.append([one.pk for one in orders.claim().orders])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [len(ids) for ids in found] == [10] * 10
    assert len({pk for ids in found for pk in ids}) == 100


def test_when_the_next_is_due_is_known(later):
    assert orders.next_at() is None
    orders.want_summaries([article()])

    assert orders.next_at() == clock.now() + timedelta(seconds=orders.GATHER_S)


# --- settling


def test_what_failed_is_asked_alone_and_then_given_up():
    orders.want_summaries(articles(10))
    claim = orders.claim()
    orders.failed(claim.orders[:1], "of no use")
    orders.done(claim.orders[1:])

    again = orders.claim()
    assert [(one.pk, one.is_alone) for one in again.orders] == [(claim.orders[0].pk, True)]
    orders.failed(again.orders, "of no use")

    dead = Order.objects.get(pk=claim.orders[0].pk)
    assert (dead.state, dead.failures, dead.last_error) == (OrderState.DEAD, 2, "of no use")
    assert orders.claim() is None


def test_what_rests_is_not_claimed_before_its_time(later):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    orders.rest(orders.claim().orders, clock.now() + timedelta(minutes=1), "the budget is used up")
    assert orders.claim() is None

    later(minutes=1)

    assert orders.claim().orders[0].last_error == "the budget is used up"


def test_staff_has_dead_and_resting_orders_tried_now():
    orders.want_summaries(articles(2), lane=Lane.INTERACTIVE)
    one, other = orders.claim().orders
    Order.objects.filter(pk=one.pk).update(failures=1)
    one.refresh_from_db()
    orders.failed([one], "of no use")
    orders.rest([other], clock.now() + timedelta(hours=1), "budget")

    assert orders.retry([one.pk, other.pk]) == 2

    assert states() == [OrderState.QUEUED, OrderState.QUEUED]
    assert orders.claim() is not None


def test_a_dead_order_is_tried_again_for_whoever_waits_an_hour_later(later):
    one = article()
    orders.want_summaries([one], lane=Lane.INTERACTIVE)
    Order.objects.update(state=OrderState.DEAD, done_at=clock.now(), failures=2)

    orders.want_summaries([one], lane=Lane.INTERACTIVE)
    assert states() == [OrderState.DEAD]

    later(minutes=61)
    orders.want_summaries([one], lane=Lane.INTERACTIVE)
    assert states() == [OrderState.QUEUED]


def test_what_was_given_up_is_tried_once_more_by_itself_an_hour_later(later):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    orders.failed(orders.claim().orders, "of no use")
    orders.failed(orders.claim().orders, "of no use")
    assert orders.revive() == 0

    later(minutes=61)
    assert orders.revive() == 1
    orders.failed(orders.claim().orders, "of no use")

    later(minutes=61)
    assert (orders.revive(), states()) == (0, [OrderState.DEAD])


def test_what_rested_often_before_it_was_given_up_is_tried_once_more_as_well(later):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    for _ in range(5):
        orders.rest(orders.claim().orders, clock.now(), "the server is down")
    orders.failed(orders.claim().orders, "of no use")
    orders.failed(orders.claim().orders, "of no use")

    later(minutes=61)
    assert orders.revive() == 1
    orders.failed(orders.claim().orders, "of no use")

    later(minutes=61)
    assert (orders.revive(), states()) == (0, [OrderState.DEAD])


def test_what_a_person_gave_up_stays_given_up(later):
    orders.want_summaries([article()])
    Order.objects.update(state=OrderState.DEAD, done_at=clock.now(), last_error="Given up by a person.")

    later(minutes=61)

    assert orders.revive() == 0


@pytest.mark.parametrize("change", ["give_up", "delete"])
def test_what_was_changed_while_it_was_looked_at_is_not_claimed(monkeypatch, change):
    orders.want_summaries(articles(2), lane=Lane.INTERACTIVE)
    gone, stays = Order.objects.order_by("id")
    real = orders._next_of

    def meanwhile(*args):
        found = real(*args)
        mine = Order.objects.filter(pk=gone.pk)
        mine.delete() if change == "delete" else mine.update(state=OrderState.DEAD)
        return found

    monkeypatch.setattr(orders, "_next_of", meanwhile)

    assert [one.pk for one in orders.claim().orders] == [stays.pk]
    Order.objects.all().delete()


def test_nothing_is_claimed_where_all_of_it_was_taken_away(monkeypatch):
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    ids = list(Order.objects.values_list("pk", flat=True))
    Order.objects.all().delete()
    monkeypatch.setattr(orders, "_next_of", lambda *_: ids)

    assert orders.claim() is None


def test_an_order_whose_batch_is_gone_is_taken_back():
    orders.want_summaries([article()], lane=Lane.INTERACTIVE)
    orders.claim()
    Order.objects.update(claimed_until=None, batch=None)

    assert orders.claim() is not None
