from __future__ import annotations

import asyncio

import pytest

from subscriptions.sending import send_now


async def test_a_send_that_need_not_wait_is_done_at_once():
    sent = []

    async def send() -> None:
        sent.append("frame")

    assert send_now(send()) is None
    assert sent == ["frame"]


async def test_a_send_that_waits_goes_on_in_a_task_while_the_caller_continues():
    writable, sent = asyncio.Event(), []

    async def send() -> None:
        await writable.wait()
        await asyncio.sleep(0)
        sent.append("frame")

    task = send_now(send())
    assert task is not None
    assert sent == []
    writable.set()
    await task
    assert sent == ["frame"]


async def test_a_failure_after_the_wait_reaches_the_task():
    async def send() -> None:
        await asyncio.sleep(0)
        raise ConnectionResetError

    task = send_now(send())
    assert task is not None
    with pytest.raises(ConnectionResetError):
        await task


async def test_cancelling_the_rest_reaches_the_send():
    cancelled = []

    async def send() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    task = send_now(send())
    assert task is not None
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == [True]
