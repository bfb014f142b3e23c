from __future__ import annotations

import asyncio
import gzip
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core import http

CANARY = "CANARY-key-5512ab"
# For what answers at once, on a machine that is busy.
PATIENT_S = 20.0


class Host:
    """A server that says the same bytes to whoever comes, and keeps what it was asked."""

    def __init__(self, *parts: bytes, endless: bytes = b"", hang: bool = False) -> None:
        self.parts, self.endless, self.hang = parts, endless, hang
        self.asked: list[bytes] = []
        self.ended = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            for part in self.parts:
                writer.write(part)
            while self.endless:
                writer.write(self.endless)
                await writer.drain()
                await asyncio.sleep(0.01)
            if self.hang:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def host(*parts: bytes, **fields) -> AsyncIterator[Host]:
    one = Host(*parts, **fields)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/quotes"
    try:
        yield one
    finally:
        await http.close_client()
        server.close()
        await server.wait_closed()


def reply(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def refused(url: str, kind: type[http.HttpError], **options) -> http.HttpError:
    """What getting it raises, with the canary in every place where a key can be; it must not tell it."""
    options = {"budget_s": PATIENT_S, "params": {"token": CANARY}, "headers": {"X-Key": CANARY}, **options}
    with pytest.raises(http.HttpError) as raised:
        await http.get(url, **options)
    assert type(raised.value) is kind
    waiting = [raised.value]
    while waiting:
        one = waiting.pop()
        assert CANARY not in f"{one!r} {one.args!r} {''.join(traceback.format_exception(one))}"
        waiting += [link for link in (one.__cause__, one.__context__) if link is not None]
    return raised.value


async def test_an_answer_is_whole_and_its_headers_are_lower_case():
    async with host(reply(b'{"a": 1}', X_RateLimit_Remaining="7")) as one:
        answer = await http.get(one.url, budget_s=PATIENT_S, params={"s": "A,B"}, headers={"X-Key": "k"})

    assert (answer.status, answer.body) == (200, b'{"a": 1}')
    assert answer.headers["x-ratelimit-remaining"] == "7"
    assert answer.took_s > 0
    assert one.asked[0].startswith(b"GET /quotes?s=A%2CB HTTP/1.1\r\n")
    assert b"user-agent: onetape\r\n" in one.asked[0].lower()
    assert b"x-key: k\r\n" in one.asked[0].lower()


@pytest.mark.parametrize("status", ["204 No Content", "401 No", "404 No", "429 Wait", "500 Oh", "599 What"])
async def test_no_status_is_an_error(status):
    async with host(reply(b"", status)) as one:
        assert (await http.get(one.url, budget_s=PATIENT_S)).status == int(status[:3])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(status):
    async with (
        host(reply(b"elsewhere")) as elsewhere,
        host(reply(b"", status, Location=elsewhere.url)) as one,
    ):
        answer = await http.get(one.url, budget_s=PATIENT_S, headers={"X-Key": CANARY})

    assert answer.status == int(status[:3])
    assert elsewhere.asked == []


async def test_a_body_that_comes_in_gzip_is_unpacked():
    async with host(reply(gzip.compress(b"x" * 1000, mtime=0), Content_Encoding="gzip")) as one:
        assert (await http.get(one.url, budget_s=PATIENT_S)).body == b"x" * 1000


# --- time


async def test_who_trickles_is_left_when_the_whole_budget_has_passed():
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    async with host(begun, endless=b" ") as one:
        async with asyncio.timeout(PATIENT_S):
            while not one.asked:  # on a busy machine the budget may end before anybody was reached
                await refused(one.url, http.TimedOut, budget_s=0.2)
            await one.ended.wait()


async def test_headers_that_trickle_are_left_too():
    async with host(b"HTTP/1.1 200 OK\r\n", endless=b"X-A: b\r\n") as one:
        await refused(one.url, http.TimedOut, budget_s=0.2)


async def test_who_accepts_and_says_nothing_is_left():
    async with host(hang=True) as one:
        await refused(one.url, http.TimedOut, budget_s=0.2)


async def test_the_asker_can_be_stopped():
    async with host(hang=True) as one:
        asking = asyncio.create_task(http.get(one.url, budget_s=PATIENT_S))
        while not one.asked:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


# --- size


async def test_a_body_bigger_than_agreed_is_refused():
    async with host(reply(b"x" * 1001)) as one:
        await refused(one.url, http.TooBig, max_bytes=1000)
    async with host(reply(b"x" * 1000)) as one:
        assert len((await http.get(one.url, budget_s=PATIENT_S, max_bytes=1000)).body) == 1000


async def test_a_body_without_end_is_refused():
    async with host(b"HTTP/1.1 200 OK\r\n\r\n", endless=b"x" * 10_000) as one:
        await refused(one.url, http.TooBig, max_bytes=100_000)


async def test_what_becomes_big_when_it_is_unpacked_is_refused():
    bomb = gzip.compress(b"\0" * 20_000_000, mtime=0)
    async with host(reply(bomb, Content_Encoding="gzip")) as one:
        await refused(one.url, http.TooBig, max_bytes=1_000_000)


async def test_what_is_packed_more_than_once_is_not_unpacked():
    body = gzip.compress(gzip.compress(b"\0" * 1000, mtime=0))
    async with host(reply(body, Content_Encoding="gzip, gzip")) as one:
        await refused(one.url, http.Undecodable)


# --- what is broken


async def test_what_comes_after_the_end_of_gzip_is_refused_and_not_kept():
    packed = gzip.compress(b"[1,", mtime=0)
    async with host(reply(packed + gzip.compress(b"2]", mtime=0), Content_Encoding="gzip")) as one:
        with pytest.raises(http.Undecodable, match="after its end"):
            await http.get(one.url, budget_s=PATIENT_S)


async def test_what_comes_after_the_end_of_gzip_without_an_end_fills_no_memory():
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
    async with host(head + gzip.compress(b"{}", mtime=0), endless=b"\0" * 1000) as one:
        with pytest.raises(http.Undecodable, match="after its end"):
            await http.get(one.url, budget_s=PATIENT_S)


async def test_truncated_gzip_cannot_be_unpacked():
    cut = gzip.compress(bytes(range(256)) * 40)[:-12]
    async with host(reply(cut, Content_Encoding="gzip")) as one:
        await refused(one.url, http.Undecodable)


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"x", mtime=0)[:10], b""])
async def test_what_only_says_that_it_is_gzip(body):
    async with host(reply(body, Content_Encoding="gzip")) as one:
        if body:
            await refused(one.url, http.Undecodable)
        else:
            assert (await http.get(one.url, budget_s=PATIENT_S)).body == b""


@pytest.mark.parametrize(
    "parts",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 999999 What\r\n\r\n",
    ],
)
async def test_a_connection_that_breaks_is_unreachable(parts):
    async with host(parts) as one:
        await refused(one.url, http.Unreachable)


async def test_where_nobody_listens_is_unreachable():
    async with host(reply()) as one:
        pass
    await refused(one.url, http.Unreachable)
    await http.close_client()


@pytest.mark.parametrize(
    "url",
    [
        f"nonsense-{CANARY}",
        f"ftp://127.0.0.1/{CANARY}",
        f"http://127.0.0.1:{CANARY}/",
        f"http://[{CANARY}/",
        "http://127.0.0.1:1/\n" + CANARY,
    ],
)
async def test_an_address_that_is_none_is_not_told(url):
    await refused(url, http.Unreachable)
    await http.close_client()


@pytest.mark.parametrize("key", [f"{CANARY}\r\nX: y", f"{CANARY}\n", f"{CANARY}é", f"{CANARY}\x00"])
async def test_a_key_that_no_header_can_carry_is_not_told(key):
    async with host(reply()) as one:
        await refused(one.url, http.Unreachable, headers={"X-Key": key})
    assert one.asked == []


async def test_nothing_is_logged_of_what_was_asked(caplog):
    async with host(reply()) as one:
        await http.get(one.url, budget_s=PATIENT_S, params={"token": CANARY}, headers={"X-Key": CANARY})

    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert CANARY not in "\n".join(told)


async def test_a_proxy_of_the_environment_never_sees_a_key(monkeypatch):
    async with host(reply(b"proxy")) as proxy, host(reply(b"vendor")) as one:
        await http.close_client()
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)

        answer = await http.get(one.url, budget_s=PATIENT_S, headers={"X-Key": CANARY})

    assert answer.body == b"vendor"
    assert proxy.asked == []


# --- the client


async def test_after_closing_a_new_client_is_made():
    async with host(reply()) as one:
        await http.get(one.url, budget_s=PATIENT_S)
        await http.close_client()

        assert (await http.get(one.url, budget_s=PATIENT_S)).status == 200


async def test_closing_what_was_never_opened_is_nothing():
    await http.close_client()
    await http.close_client()


async def test_a_client_that_is_closed_while_it_is_asked_is_unreachable():
    async with host(hang=True) as one:
        asking = asyncio.create_task(refused(one.url, http.Unreachable))
        while not one.asked:
            await asyncio.sleep(0)

        await http.close_client()
        await asking


def test_each_loop_has_its_own_client():
    async def ask() -> int:
        async with host(reply()) as one:
            return (await http.get(one.url, budget_s=PATIENT_S)).status

    assert [asyncio.run(ask()) for _ in range(2)] == [200, 200]
