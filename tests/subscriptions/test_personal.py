"""Notifications reach every connection of their user, whatever gets lost on the way. The inbox here is a list."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from accounts.credentials import Login
from accounts.models import User
from core import clock, live
from core.database import in_thread
from core.redis import async_client, client
from subscriptions import personal
from subscriptions.cadence import Mode
from subscriptions.fallbacks import EventWire
from subscriptions.feeds import Wire
from subscriptions.personal import Asked, Reach
from tests.factories import make_user
from tests.subscriptions.conftest import PATIENCE_S, Screen

pytestmark = pytest.mark.django_db(transaction=True)


class ListedInbox:
    """`notifications`: (user, time, id) that are committed."""

    def __init__(self) -> None:
        self.notifications: list = []
        self.asked: list[Asked] = []
        self.looked = asyncio.Event()
        """The first look after the start is over."""
        self.before_answer = lambda: None

    def write(self, user: User, number: int, age: timedelta = timedelta()) -> tuple:
        self.notifications.append((user.pk, clock.now() - age, number))
        return user.pk, {"id": number}

    def missed(self, asked):
        self.asked += asked
        self.before_answer()
        return [self._missed_by(*one) for one in asked]

    def _missed_by(self, user, since, again):
        numbers = sorted(number for one, _, number in self.notifications if one == user)
        missed = [number for number in numbers if since is not None and (again or number > since)]
        return SimpleNamespace(
            payloads=[{"id": number} for number in missed[:200]],
            more=len(missed) > 200,
            last=max(numbers, default=0),
            unread=len(numbers),
        )

    def lately(self, users, since, after, limit):
        found = [one for one in self.notifications if one[0] in users and one[1] >= since and one[2] > after]
        return [(user, at, {"id": number}) for user, at, number in sorted(found, key=lambda one: one[2])][
            :limit
        ]


@pytest.fixture
async def inbox(price_hub, monkeypatch) -> ListedInbox:
    made = ListedInbox()
    monkeypatch.setattr(personal, "_inbox", made)
    monkeypatch.setattr(personal, "LOOK_EVERY_S", 0.05)
    read_again = price_hub.people._read_again

    async def noted(since) -> None:
        await read_again(since)
        made.looked.set()

    price_hub.people._read_again = noted
    # A connection that is made only now is listened to anew, and looked after once more.
    early = live.Receiver()
    await early.open()
    await early.join("somebody")
    return made


@pytest.fixture
async def alice() -> User:
    return await in_thread(make_user, "alice")


def told(screen: Screen) -> list[int]:
    return [frame["id"] for frame in screen.frames if frame["type"] == "notification"]


async def members(hub, *users: User) -> None:
    """Until the process is a member of exactly these users' groups."""
    async with asyncio.timeout(PATIENCE_S):
        while await numbers_of(*users) != [1] * len(users) or hub.people._joined != {u.pk for u in users}:
            await asyncio.sleep(0.01)


async def numbers_of(*users: User) -> list[int]:
    names = [f"asgi__group__{live.user_group(user.pk)}" for user in users]
    return [count for _, count in await async_client().pubsub_numsub(*names)]


async def connected(hub, user: User) -> Screen:
    """When the first look after the start is over; what is lost from now on only a later one finds."""
    screen = Screen()
    screen.client.login = Login(user.pk, user.tier)
    await hub.add(screen.client)
    async with asyncio.timeout(PATIENCE_S):
        await personal._inbox.looked.wait()
    return screen


async def test_each_connection_of_a_user_is_told_at_once_and_nobody_elses(price_hub, inbox, alice):
    bob = await in_thread(make_user, "bob")
    one, two, other = [await connected(price_hub, user) for user in (alice, alice, bob)]
    await members(price_hub, alice, bob)

    await live.tell_users([(alice.pk, {"id": 7, "title": "AAPL above 190"}), (bob.pk, {"id": 8})])

    for screen, number in ((one, 7), (two, 7), (other, 8)):
        await screen.until(lambda screen=screen, number=number: told(screen) == [number])
    assert {"type": "notification", "id": 7, "title": "AAPL above 190"} in one.frames


async def test_a_process_is_a_member_only_while_somebody_of_the_user_is_there(price_hub, inbox, alice):
    one, two = await connected(price_hub, alice), await connected(price_hub, alice)
    await members(price_hub, alice)

    await price_hub.remove(one.client)
    await live.tell_users([(alice.pk, {"id": 1})])
    await two.until(lambda: told(two) == [1])
    await price_hub.remove(two.client)

    async with asyncio.timeout(PATIENCE_S):
        while await numbers_of(alice) != [0]:
            await asyncio.sleep(0.01)


async def test_visitors_and_other_protocols_are_told_nothing(price_hub, inbox, alice):
    visitor, foreign = Screen(), Screen()
    foreign.client.login, foreign.client.wire = Login(alice.pk, "free"), Wire()
    for screen in (visitor, foreign):
        await price_hub.add(screen.client)
    ours = await connected(price_hub, alice)
    await members(price_hub, alice)

    await live.tell_users([(alice.pk, {"id": 1})])
    await ours.until(lambda: told(ours) == [1])

    assert (told(visitor), told(foreign)) == ([], [])


async def test_a_paused_client_is_told_as_soon_as_any(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    screen.client.cadence.chosen = Mode.PAUSED
    price_hub.settle(screen.client)
    await members(price_hub, alice)

    await live.tell_users([(alice.pk, {"id": 1})])

    await screen.until(lambda: told(screen) == [1])


async def test_who_does_not_read_gets_all_of_it_afterwards_in_order(price_hub, inbox, alice):
    screen, reader = await connected(price_hub, alice), await connected(price_hub, alice)
    await members(price_hub, alice)
    screen.gate.clear()

    await live.tell_users([(alice.pk, {"id": number}) for number in range(1, 301)])
    await reader.until(lambda: len(told(reader)) == 300)
    assert len(screen.client._sending) == 1
    screen.gate.set()

    await screen.until(lambda: told(screen) == list(range(1, 301)))


async def test_for_who_never_reads_a_bounded_number_waits_and_then_he_is_ended(
    price_hub, inbox, alice, monkeypatch
):
    monkeypatch.setattr(personal, "MOST_WAITING", 10)
    screen, reader = await connected(price_hub, alice), await connected(price_hub, alice)
    ends = []
    screen.client._close = lambda refused: _noted(ends, refused)
    await members(price_hub, alice)
    screen.gate.clear()

    await live.tell_users([(alice.pk, {"id": number}) for number in range(1, 13)])
    await reader.until(lambda: len(told(reader)) == 12)

    assert ends == ["too_slow"]
    assert screen.client not in price_hub.people._behind


async def _noted(ends: list[str], refused) -> None:
    ends.append(refused.code)


async def test_what_was_missed_comes_before_what_is_new_and_nothing_twice(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    await members(price_hub, alice)
    for number in (5, 6, 7):
        inbox.write(alice, number)
    loop = asyncio.get_running_loop()

    def meanwhile() -> None:
        """While the inbox is read, 7 is told late and 8 is new."""
        telling = live.tell_users([(alice.pk, {"id": 7}), (alice.pk, {"id": 8})])
        asyncio.run_coroutine_threadsafe(telling, loop).result(PATIENCE_S)
        asyncio.run_coroutine_threadsafe(_held(price_hub, alice, 2), loop).result(PATIENCE_S)

    inbox.before_answer = meanwhile
    await price_hub.people.follow(screen.client, 5, [], "f")

    await screen.until(lambda: told(screen)[-1:] == [8])
    assert [frame for frame in screen.frames if frame["type"] in ("following", "notification")] == [
        {
            "type": "following",
            "id": "f",
            "notifications": True,
            "last": 7,
            "unread": 3,
            "missed": 2,
            "more": False,
        },
        *[{"type": "notification", "id": number} for number in (6, 7, 8)],
    ]


async def _held(hub, user: User, number: int) -> None:
    (reach,) = hub.people._of[user.pk].values()
    while len(reach.held) < number:
        await asyncio.sleep(0.01)


async def test_at_most_200_are_sent_again_and_it_is_said_that_there_are_more(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    for number in range(1, 251):
        inbox.write(alice, number, age=timedelta(days=1))

    await price_hub.people.follow(screen.client, 10, [], None)
    await screen.until(lambda: len(told(screen)) == 200)

    assert told(screen) == list(range(11, 211))
    (answer,) = [frame for frame in screen.frames if frame["type"] == "following"]
    assert (answer["missed"], answer["more"], answer["last"]) == (200, True, 250)


async def test_what_became_visible_late_is_found_by_who_says_what_he_has_seen(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    for number in (5, 6, 7):
        inbox.write(alice, number)

    await price_hub.people.follow(screen.client, 6, [4, 6], None)
    await screen.until(lambda: told(screen) == [5, 7])

    assert inbox.asked == [Asked(alice.pk, 6, again=True)]


async def test_an_inbox_that_is_away_refuses_the_question_and_loses_nothing_new(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    await members(price_hub, alice)
    loop = asyncio.get_running_loop()

    def fails() -> None:
        telling = live.tell_users([(alice.pk, {"id": 9})])
        asyncio.run_coroutine_threadsafe(telling, loop).result(PATIENCE_S)
        asyncio.run_coroutine_threadsafe(_held(price_hub, alice, 1), loop).result(PATIENCE_S)
        raise ZeroDivisionError

    inbox.before_answer = fails
    with pytest.raises(ZeroDivisionError):
        await price_hub.people.follow(screen.client, 5, [], None)

    await screen.until(lambda: told(screen) == [9])


async def test_many_who_come_back_together_cost_few_questions(price_hub, inbox):
    users = [await in_thread(make_user) for _ in range(20)]
    screens = [await connected(price_hub, user) for user in users]
    looks = []
    inbox.before_answer = lambda: looks.append(len(inbox.asked))

    await asyncio.gather(*[price_hub.people.follow(screen.client, 0, [], None) for screen in screens])

    assert (looks[-1], len(looks) <= 3) == (20, True)


async def test_what_was_lost_with_a_connection_to_redis_is_told_again(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    await members(price_hub, alice)
    await live.tell_users([inbox.write(alice, 1)])
    await screen.until(lambda: told(screen) == [1])

    inbox.write(alice, 2)  # committed, and then the message was lost with the connection
    client().client_kill_filter(_type="pubsub", skipme=False)
    await screen.until(lambda: told(screen) == [1, 2])

    await members(price_hub, alice)
    await live.tell_users([inbox.write(alice, 3)])
    await screen.until(lambda: told(screen) == [1, 2, 3])


async def test_what_was_told_to_nobody_is_found_on_a_timer(price_hub, inbox, alice, monkeypatch):
    monkeypatch.setattr(personal, "HEAL_EVERY_S", 0.1)
    monkeypatch.setattr(personal, "PAGE", 3)
    inbox.write(alice, 1, age=timedelta(seconds=30))  # before it came: nothing that it has missed here
    screen = await connected(price_hub, alice)
    for number in range(2, 10):
        inbox.write(alice, number)

    await screen.until(lambda: told(screen) == list(range(2, 10)))


async def test_the_connection_of_a_layer_that_was_replaced_is_listened_to_anew(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    await members(price_hub, alice)

    await price_hub._hear_again()
    inbox.write(alice, 1)
    await screen.until(lambda: told(screen) == [1])

    await members(price_hub, alice)
    await live.tell_users([(alice.pk, {"id": 2})])
    await screen.until(lambda: told(screen) == [1, 2])


async def test_a_flood_leaves_others_their_turn(price_hub, inbox, alice):
    screen = await connected(price_hub, alice)
    flood = iter(range(1, 501))

    class Flooded:
        async def receive(self) -> dict:
            number = next(flood, None)
            if number is None:
                await asyncio.Event().wait()
            text = f'{{"type":"notification","id":{number}}}'
            return {"type": live.USER_TOLD, "u": alice.pk.hex, "i": number, "d": text}

    listening = asyncio.create_task(price_hub.people._listen(Flooded()))
    turns = 0
    while len(told(screen)) < 500:
        await asyncio.sleep(0)
        turns += 1
    listening.cancel()

    assert turns >= 250


async def test_events_of_one_answer_move_no_position():
    wire = EventWire({"AAPL": (1, 7)})

    text = wire.notifications(['{"type":"notification","id":1}', '{"type":"notification","id":2}'])

    assert text == (
        'event: notification\ndata: {"type":"notification","id":1}\n\n'
        'event: notification\ndata: {"type":"notification","id":2}\n\n'
    )
    assert wire.position == "1,AAPL:7"


def test_what_a_client_is_known_to_have_is_bounded(monkeypatch):
    monkeypatch.setattr(personal, "MOST_KNOWN", 3)
    reach = Reach(clock.now())

    reach.knows(range(10))

    assert list(reach.told) == [7, 8, 9]
