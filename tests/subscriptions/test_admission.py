from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
import redis.exceptions
from django.conf import settings as django_settings
from django.test import Client as Browser
from django.utils import timezone

from accounts import credentials, tickets
from accounts.credentials import Login
from accounts.models import ApiKey, User
from core.database import in_thread
from core.redis import client, close_async_client
from subscriptions import admission
from subscriptions.admission import Brought, brought_by, is_ours
from subscriptions.errors import Refused
from subscriptions.hub import hub
from tests.accounts.keys import make_api_key
from tests.factories import make_ticker, make_user
from tests.outages import postgres_switch, redis_away
from tests.subscriptions.sockets import PATIENCE_S, Socket

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
async def fresh_hub(quick) -> AsyncIterator[None]:
    client().flushall()
    yield
    await hub().close()
    await close_async_client()


# --- pages of this very site


@pytest.fixture
def site(settings):
    settings.ALLOWED_HOSTS = ["prices.example", ".many.example", "[::1]", "localhost"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example", "https://*.apps.example"]
    return settings


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://prices.example", "prices.example"),
        ("http://prices.example:8000", "prices.example:8000"),
        ("https://PRICES.example", "prices.EXAMPLE"),
        ("https://one.many.example", "one.many.example"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://localhost", "localhost"),
        ("https://app.example", "prices.example"),
        ("https://one.apps.example", "prices.example"),
        ("https://one.two.apps.example", "prices.example"),
        ("https://apps.example", "prices.example"),  # as Django has it
    ],
)
def test_a_page_of_this_site_or_one_that_is_trusted_may_use_its_cookies(site, origin, host):
    assert is_ours(origin, host)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "file://",
        "prices.example",
        "//prices.example",
        "http://",
        "https://evil.example",
        "https://prices.example.evil.example",
        "https://evil-prices.example",
        "https://evilprices.example",
        "https://prices.example@evil.example",
        "https://evil.example@prices.example",
        "https://@prices.example",
        "https://prices.example:8443",
        "https://prices.example:",
        "https://prices.example:port",
        "https://prices.example, https://evil.example",
        "https://evil.example, https://prices.example",
        "https://prices.example https://evil.example",
        "https://prices.example/",
        "https://prices.example/evil",
        "https://prices.example?evil",
        "https://prices.example#evil",
        "https://prices.example\\.evil.example",
        "https://prices.example%2eevil.example",
        "https://рrices.example",  # a Cyrillic letter
        "ws://prices.example",
        "ftp://prices.example",
        "javascript:prices.example",
        "chrome-extension://prices.example",
        "https://[prices.example",
        "https://app.example:8443",
        "http://app.example",
        "http://one.apps.example",
        "https://evil-apps.example",
        "https://app.example.evil.example",
    ],
)
def test_no_other_origin_may(site, origin):
    assert not is_ours(origin, "prices.example")


def test_a_host_that_is_not_ours_makes_no_origin_ours(site):
    assert not is_ours("https://evil.example", "evil.example")
    assert not is_ours("https://prices.example", "")


# --- what a handshake brings


def scope(*headers: tuple[bytes, bytes], query: bytes = b"") -> dict[str, object]:
    return {"headers": list(headers), "query_string": query}


def test_a_ticket_counts_more_than_a_key_and_a_key_more_than_a_cookie():
    cookie, key = (b"cookie", b"sessionid=abc"), (b"authorization", b"Api-Key ot_1")
    assert brought_by(scope(cookie)) == Brought(session_key="abc")
    assert brought_by(scope(cookie, key)) == Brought(api_key="ot_1")
    assert brought_by(scope(cookie, key, query=b"ticket=T&ticket=U")) == Brought(ticket="T")
    assert brought_by(scope(cookie, query=b"ticket=&token=T")) == Brought(session_key="abc")


def test_two_origins_are_none():
    ours, evil = (b"origin", b"https://prices.example"), (b"origin", b"https://evil.example")
    assert brought_by(scope(ours)).origin == "https://prices.example"
    assert brought_by(scope(ours, evil)).origin == brought_by(scope(evil, ours)).origin == ""
    assert brought_by(scope(ours, ours)).origin == ""


@pytest.mark.parametrize(
    "cookies",
    [
        b"",
        b"sessionid",
        b"sessionid=",
        b"=abc",
        b";;;=;",
        b"\xff\xfe=\x00",
        b'sessionid="',
        b"other=abc",
        b"," * 5_000,
    ],
)
def test_broken_cookies_are_no_login(cookies):
    assert brought_by(scope((b"cookie", cookies))).session_key in ("", '"')


def test_a_cookie_of_somebody_else_does_not_hide_ours():
    cookies = b'weird[]={"a": 1}; theme=dark; sessionid=abc; other=1'
    assert brought_by(scope((b"cookie", cookies))).session_key == "abc"


@pytest.mark.parametrize(
    "said",
    [
        b"Bearer abc",
        b"Basic dXNlcjpwYXNz",
        b"Api-Key",
        b"Api-Key ",
        b"ot_12345678",
        b"Token x",
        b"\xff",
        b"api_key x",
    ],
)
def test_another_authorization_is_refused_and_not_taken_for_a_visitor(said):
    with pytest.raises(Refused) as refused:
        brought_by(scope((b"authorization", said), (b"cookie", b"sessionid=abc")))
    assert refused.value.code == "not_authenticated"


def test_an_endless_query_is_read_all_the_same():
    query = b"&".join(b"a%d=1" % number for number in range(2_000)) + b"&ticket=T"
    assert brought_by(scope(query=query)).ticket == "T"
    assert brought_by(scope(query=b"&;%%%ff=%zz&\xff=1")) == Brought()


# --- through the door


async def refused_after_accept(socket: Socket) -> str:
    """The error that is told before the connection is closed as not authenticated."""
    assert await socket.connects()
    error = await socket.next("error")
    assert await socket.closed() == 4001
    assert hub().clients == set()
    return error["code"]


async def test_without_an_origin_nobody_gets_in_by_cookie_alone():
    user, browser = await in_thread(make_user), Browser()
    for headers in ([], [(b"host", b"localhost")], [(b"host", b"localhost"), (b"origin", b"null")]):
        assert not await Socket(user, browser=browser, headers=headers).connects()
    assert hub().clients == set()


async def test_a_page_elsewhere_gets_in_neither_as_somebody_nor_as_a_visitor():
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost.evil.example")]
    assert not await Socket(headers=headers).connects()
    assert not await Socket(await in_thread(make_user), headers=headers).connects()


async def test_a_program_with_a_key_needs_no_origin():
    user = await in_thread(make_user)
    _, text = await in_thread(make_api_key, user)
    async with Socket(headers=[(b"authorization", f"Api-Key {text}".encode())]) as socket:
        await socket.next("heartbeat")
        (one,) = hub().clients
        assert one.user_id == user.pk


async def test_a_session_that_is_none_is_a_visitor(settings):
    settings.DEMO_SYMBOLS = ["AAPL"]
    await in_thread(make_ticker, "AAPL")
    user, browser = await in_thread(make_user), Browser()
    await in_thread(browser.force_login, user)
    cookie = browser.cookies[django_settings.SESSION_COOKIE_NAME].value
    await in_thread(browser.logout)
    headers = [
        (b"host", b"localhost"),
        (b"origin", b"http://localhost"),
        (b"cookie", b"sessionid=" + cookie.encode()),
    ]
    async with Socket(headers=headers) as socket:
        answer = await socket.ask({"type": "subscribe", "symbols": ["AAPL"]})
        (one,) = hub().clients
        assert one.login is None
        assert answer["symbols"] == ["AAPL"]


async def test_a_wrong_header_is_told_and_closed():
    for said in (b"Bearer abc", b"Api-Key", b"Api-Key ot_nonsense", b"Api-Key " + b"x" * 9_000):
        socket = Socket(headers=[(b"authorization", said)])
        assert await refused_after_accept(socket) == "not_authenticated"


async def test_a_key_that_was_revoked_or_whose_owner_is_switched_off_is_told_and_closed():
    user = await in_thread(make_user)
    _, text = await in_thread(make_api_key, user)
    headers = [(b"authorization", f"Api-Key {text}".encode())]
    async with Socket(headers=headers):
        pass
    await in_thread(User.objects.update, is_active=False)
    assert await refused_after_accept(Socket(headers=headers)) == "not_authenticated"
    await in_thread(User.objects.update, is_active=True)
    await in_thread(ApiKey.objects.update, revoked_at=timezone.now())
    assert await refused_after_accept(Socket(headers=headers)) == "not_authenticated"


async def ticket_of(user: User) -> str:
    return await in_thread(tickets.issue, Login(user.pk, user.tier))


def with_ticket(ticket: str) -> Socket:
    return Socket(path=f"/ws/v1/stream?ticket={ticket}", headers=[])


async def test_a_ticket_opens_one_connection_from_anywhere():
    user = await in_thread(make_user)
    ticket = await ticket_of(user)
    async with with_ticket(ticket) as socket:
        await socket.next("heartbeat")
        (one,) = hub().clients
        assert one.user_id == user.pk
    assert await refused_after_accept(with_ticket(ticket)) == "not_authenticated"


async def test_of_twenty_who_come_with_one_ticket_at_once_one_gets_in():
    ticket = await ticket_of(await in_thread(make_user))
    sockets = [with_ticket(ticket) for _ in range(20)]

    assert await asyncio.gather(*(socket.connects() for socket in sockets)) == [True] * 20

    first = [await socket.communicator.receive_output(timeout=PATIENCE_S) for socket in sockets]
    told = sorted(orjson.loads(event["text"]).get("code", "a heartbeat") for event in first)
    assert told == ["a heartbeat"] + ["not_authenticated"] * 19
    assert len(hub().clients) == 1
    for socket in sockets:
        await socket.goes()


async def test_of_twenty_questions_for_one_ticket_in_one_batch_one_is_answered():
    ticket = await ticket_of(await in_thread(make_user))
    answers = await asyncio.gather(
        *(admission.login_of(Brought(ticket=ticket)) for _ in range(20)), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(Login) == 1
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"not_authenticated"}


async def test_a_ticket_that_ran_out_or_was_never_given_is_told_and_closed():
    ticket = await ticket_of(await in_thread(make_user))
    assert 0 < client().ttl(client().keys("ticket:*")[0]) <= 60
    client().flushall()
    for one in (ticket, "x" * 43, "short", "%00", "y" * 5_000):
        assert await refused_after_accept(with_ticket(one)) == "not_authenticated"


async def test_a_user_switched_off_after_the_ticket_was_given_does_not_get_in():
    ticket = await ticket_of(await in_thread(make_user))
    await in_thread(User.objects.update, is_active=False)
    assert await refused_after_accept(with_ticket(ticket)) == "not_authenticated"


async def test_a_ticket_from_before_a_smaller_plan_opens_what_that_plan_gives():
    user = await in_thread(make_user, tier="pro")
    ticket = await ticket_of(user)
    await in_thread(User.objects.filter(pk=user.pk).update, tier="free")
    assert await admission.login_of(Brought(ticket=ticket)) == Login(user.pk, "free")


# --- many at a time


async def test_whoever_comes_at_once_is_looked_up_together(monkeypatch):
    asked: list[int] = []

    def by_sessions(keys):
        asked.append(len(keys))
        return {}

    monkeypatch.setattr(admission.credentials, "by_sessions", by_sessions)
    answers = await asyncio.gather(
        *(admission.login_of(Brought(session_key=f"session{number}")) for number in range(300))
    )
    assert (answers, asked) == ([None] * 300, [300])


async def test_each_gets_its_own_login():
    people = [await in_thread(make_user) for _ in range(5)]
    texts = [(await in_thread(make_api_key, user))[1] for user in people]
    brought = [Brought(api_key=text) for text in (*texts, *texts)]
    logins = await asyncio.gather(*map(admission.login_of, brought))
    assert [login.user_id for login in logins] == [user.pk for user in (*people, *people)]


async def test_servers_that_are_away_are_told_and_the_connection_is_to_come_again():
    _, text = await in_thread(make_api_key, await in_thread(make_user))
    with postgres_switch() as postgres:
        postgres.off()
        socket = Socket(headers=[(b"authorization", f"Api-Key {text}".encode())])
        assert await socket.connects()
        assert (await socket.next("error"))["code"] == "unavailable"
        assert await socket.closed() == 4012
    with redis_away():
        socket = with_ticket("x" * 43)
        assert await socket.connects()
        assert (await socket.next("error"))["code"] == "unavailable"
        assert await socket.closed() == 4012


async def test_a_redis_that_cannot_write_to_its_disk_is_away(monkeypatch):
    def full(_tickets):
        raise redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots")

    monkeypatch.setattr(admission.tickets, "redeem", full)
    socket = with_ticket("x" * 43)
    assert await socket.connects()
    assert (await socket.next("error"))["code"] == "unavailable"
    assert await socket.closed() == 4012


def test_nothing_of_a_session_stands_in_a_log():
    login = Login(make_user().pk, "free", session_key="secretsecret")
    assert "secretsecret" not in repr(login)
    assert credentials.Login.__dataclass_fields__["session_key"].repr is False


def test_a_page_without_tls_is_not_the_site_where_its_cookies_need_tls(settings):
    settings.ALLOWED_HOSTS = ["prices.example"]
    settings.SESSION_COOKIE_SECURE = True
    assert is_ours("https://prices.example", "prices.example")
    assert not is_ours("http://prices.example", "prices.example")
