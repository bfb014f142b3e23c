"""Questions that are answered until tomorrow at half the price: the Batch API.

Nothing is kept here between handing in and collecting: a batch is known by the vendor's id, its questions by the names
they were given. Answers come in any order, some perhaps twice or never; what is missing is simply not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from core import clock
from summaries.kinds import Outcome
from summaries.llm import openai_connection
from summaries.llm.base import Answer, Collected, CollectState, ModelError, Question, Usage
from summaries.llm.openai import OpenAIModel, calling
from summaries.llm.openai_answers import Reply, answer_of, usage_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

ENDPOINT: Final = "/v1/chat/completions"
WINDOW: Final = "24h"
# Those of a batch that ended before all was answered, too: what was answered is there, and billed.
ENDED = {"completed", "expired", "cancelled"}
MAX_BYTES = 64 * 1024 * 1024
NOTHING = Usage()
# The name under which a batch bears our key; and how many of the vendor's newest batches are looked through for one.
KEY: Final = "onetape_batch"
PAGE, MOST_PAGES = 100, 10


class OpenAIBatchModel(OpenAIModel):
    """Fulfils `BatchModel`."""

    __slots__ = ()

    def submit(self, questions: Mapping[str, Question], *, timeout_s: float, key: str = "") -> str:
        for question in questions.values():
            self.require_fit(question)
        lines = [_line(name, self.body(question)) for name, question in questions.items()]

        data = "\n".join(lines).encode()

        async def uploading(client: AsyncOpenAI) -> Any:
            return await client.files.create(
                file=("questions.jsonl", data, "application/jsonl"), purpose="batch"
            )

        async def beginning(client: AsyncOpenAI) -> Any:
            return await client.batches.create(
                input_file_id=file, endpoint=ENDPOINT, completion_window=WINDOW, metadata={KEY: key}
            )

        until = clock.monotonic() + timeout_s
        # A file alone costs nothing. A batch of which no word came back may have been begun.
        file = _known(calling(openai_connection.shared(), uploading, timeout_s, NOTHING), NOTHING)
        most = _sum(self.most(question) for question in questions.values())
        left_s = max(until - clock.monotonic(), 0.0)
        return _known(calling(openai_connection.shared(), beginning, left_s, most), most)

    def find(self, key: str, *, timeout_s: float) -> str:
        async def finding(client: AsyncOpenAI) -> str:
            last: dict[str, Any] = {}
            for _ in range(MOST_PAGES):
                page = await client.batches.list(limit=PAGE, **last)
                rows = [one for one in getattr(page, "data", None) or [] if _id_of(one)]
                for row in rows:
                    if (getattr(row, "metadata", None) or {}).get(KEY) == key:
                        return _id_of(row)
                if not rows or not getattr(page, "has_more", False):
                    break
                last = {"after": _id_of(rows[-1])}
            return ""

        return calling(openai_connection.shared(), finding, timeout_s, NOTHING)

    def collect(self, batch_id: str, *, timeout_s: float) -> Collected:
        async def collecting(client: AsyncOpenAI) -> Collected:
            batch = await client.batches.retrieve(batch_id)
            status = getattr(batch, "status", "")
            if status == "failed":
                return Collected(CollectState.FAILED, error="the batch was refused as a whole")
            if status not in ENDED:
                return Collected(CollectState.WAITING)
            return Collected(CollectState.DONE, await _answers(client, batch))

        return calling(openai_connection.shared(), collecting, timeout_s, NOTHING)


def _line(name: str, body: Mapping[str, Any]) -> str:
    request = {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(request, ensure_ascii=False)


def _sum(usages: Iterable[Usage]) -> Usage:
    found = list(usages)
    return Usage(sum(one.input for one in found), 0, sum(one.output for one in found))


def _id_of(thing: Any) -> str:
    found = getattr(thing, "id", None)
    return found if isinstance(found, str) else ""


def _known(thing: Any, most: Usage) -> str:
    """The id of what was made; a server that is none answers without."""
    if found := _id_of(thing):
        return found
    raise ModelError("the answer cannot be read", Outcome.USELESS, usage=most)


async def _answers(client: AsyncOpenAI, batch: Batch) -> dict[str, Answer | ModelError]:
    files = [await _rows(client, file) for file in (batch.output_file_id, batch.error_file_id) if file]
    rows = [row for file in files for row in file]
    most: dict[str, Usage] = {}
    if any(_lacks_usage(row) for row in rows):
        # What the question was is needed only to count an answer that does not say what it used.
        asked = await _rows(client, batch.input_file_id)
        most = {row["custom_id"]: _most_of(row) for row in asked}
    found: dict[str, Answer | ModelError] = {}
    for row in rows:
        name, new = row["custom_id"], _answer(row, most.get(row["custom_id"], NOTHING))
        found[name] = _one_of(found[name], new) if name in found else new
    return found


async def _rows(client: AsyncOpenAI, file_id: str) -> list[dict[str, Any]]:
    data = bytearray()
    async with client.files.with_streaming_response.content(file_id) as response:
        async for part in response.iter_bytes():
            data += part
            if len(data) > MAX_BYTES:
                raise ModelError("the answers are bigger than was agreed", Outcome.CUT)
    return list(_parsed(bytes(data)))


def _parsed(data: bytes) -> Iterator[dict[str, Any]]:
    """A line that is none is passed over: whatever it answered counts as missing."""
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("custom_id"), str):
            yield row


def _response(row: Mapping[str, Any]) -> Mapping[str, Any]:
    response = row.get("response")
    return response if isinstance(response, dict) else {}


def _lacks_usage(row: Mapping[str, Any]) -> bool:
    body = _response(row).get("body")
    return isinstance(body, dict) and "choices" in body and usage_of(body) is None


def _most_of(row: Mapping[str, Any]) -> Usage:
    body = row.get("body") or {}
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    return Usage(input=len(json.dumps(row, ensure_ascii=False).encode()), output=limit)


def _answer(row: Mapping[str, Any], most: Usage) -> Answer | ModelError:
    response = _response(row)
    if row.get("error") or not response:
        # Expired or cancelled before its turn; nothing of it is billed.
        return ModelError("not answered in time", Outcome.DOWN)
    status, told_id = response.get("status_code"), response.get("request_id")
    headers = {"x-request-id": told_id} if isinstance(told_id, str) else {}
    try:
        return answer_of(Reply(status if isinstance(status, int) else 0, headers, response.get("body")), most)
    except ModelError as error:
        return error


def _one_of(first: Answer | ModelError, second: Answer | ModelError) -> Answer | ModelError:
    """Told twice: the same is one; two that differ are none, since nobody knows which is meant."""
    if isinstance(first, Answer) and isinstance(second, Answer):
        if first.text == second.text:
            return first
    elif isinstance(first, Answer) or isinstance(second, Answer):
        return first if isinstance(first, Answer) else second
    used = Usage(*(sum(pair) for pair in zip(_counts(first), _counts(second), strict=True)))
    return ModelError("answered twice, and not alike", Outcome.USELESS, usage=used)


def _counts(one: Answer | ModelError) -> tuple[int, int, int]:
    return one.usage.input, one.usage.cached, one.usage.output
