"""A model behind the protocol of OpenAI: OpenAI itself, Groq, a server on this machine.

Servers that speak it differ in what they know: some refuse `max_completion_tokens`, some any schema. What was refused
is left out or said in another way at once (a refused question is not billed), and not tried again in this process.
Temperature is never sent: newer models refuse it, and what we check does not depend on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from summaries.kinds import Outcome, Task
from summaries.llm import openai_connection, prompts
from summaries.llm.base import Answer, ModelError, Question, Usage
from summaries.llm.openai_answers import Reply, answer_of, error_of, refusal_of, reply_of
from summaries.llm.schemas import schema

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
MAX_BYTES = 4 * 1024 * 1024
# Roles, separators and whatever a server puts around our words.
MARGIN_TOKENS = 200
# What an entry of an answer can need, generously; the answer is cut there.
ENTRY_TOKENS = {Task.SUMMARY: 800, Task.EARNINGS: 2_500, Task.ANALYSIS: 900}
# Models that think before they write are billed for it as output.
THINKS = re.compile(r"(?:\w+/)?(?:gpt-[5-9]|gpt-oss|o\d)", re.ASCII)
THINKING_TOKENS, THINKING_TOKENS_PER_ITEM = 4_000, 400
# English has four characters to a token; with fewer tokens than that no text fits.
BYTES_PER_TOKEN = 4

# What a server may refuse, in the words of its refusal.
EFFORT, LIMIT, SCHEMA, JSON = "reasoning_effort", "max_completion_tokens", "json_schema", "json_object"
NAMES = {
    EFFORT: re.compile(r"reasoning_effort"),
    LIMIT: re.compile(r"max_completion_tokens"),
    SCHEMA: re.compile(r"response_format|json_schema|structured output"),
    JSON: re.compile(r"response_format|json_object"),
}
UNKNOWN = re.compile(
    r"unsupported|not support|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|extra (?:inputs|fields)"
    r"|unavailable|must be (?:one of|'|\")",
    re.IGNORECASE,
)


@dataclass(slots=True)
class OpenAIModel:
    """Fulfils `LanguageModel`."""

    name: str
    vendor: str
    supports_schema: bool = True
    context_tokens: int = 128_000
    max_output_tokens: int = 16_000

    def most(self, question: Question) -> Usage:
        told = _told(question, with_words=True)
        size = sum(len(message["content"].encode()) for message in told)
        # The schema is counted twice where it is said in words too: that is on the safe side.
        size += len(json.dumps(schema(question.task))) + MARGIN_TOKENS
        return Usage(input=size, output=self.limit(question))

    def limit(self, question: Question) -> int:
        """Output tokens, those of thinking included."""
        wanted = ENTRY_TOKENS[question.task] * len(question.items)
        if THINKS.match(self.name):
            wanted += THINKING_TOKENS + THINKING_TOKENS_PER_ITEM * len(question.items)
        return min(wanted, self.max_output_tokens)

    def ask(self, question: Question, *, timeout_s: float) -> Answer:
        most = self.most(question)
        self.require_fit(question)
        connection = openai_connection.shared()

        async def asking(client: AsyncOpenAI) -> Reply:
            refused = connection.refused[self.name]
            while True:
                body = self.body(question, refused)
                reply = await _post(client, body)
                new = refused_option(reply, body)
                if new is None:
                    connection.refused[self.name] |= refused
                    return reply
                refused |= {new}

        return answer_of(calling(connection, asking, timeout_s, most), most)

    def require_fit(self, question: Question) -> None:
        """Some servers cut a question that is too long, without a word."""
        size = sum(len(message["content"]) for message in _told(question, with_words=False))
        if size // BYTES_PER_TOKEN + self.limit(question) > self.context_tokens:
            raise ModelError("the question is longer than the model reads", Outcome.BAD_REQUEST)

    def body(self, question: Question, refused: frozenset[str] | None = None) -> dict[str, Any]:
        """The request; without `refused`, as the server is known to take it."""
        if refused is None:
            refused = openai_connection.shared().refused[self.name]
        with_schema = self.supports_schema and SCHEMA not in refused
        body: dict[str, Any] = {
            "model": self.name,
            "messages": _told(question, with_words=not with_schema),
            "max_tokens" if LIMIT in refused else LIMIT: self.limit(question),
        }
        if with_schema:
            shape = {"name": str(question.task), "strict": True, "schema": schema(question.task)}
            body["response_format"] = {"type": SCHEMA, SCHEMA: shape}
        elif JSON not in refused:
            body["response_format"] = {"type": JSON}
        if THINKS.match(self.name) and EFFORT not in refused:
            body[EFFORT] = "low"
        return body


def _told(question: Question, *, with_words: bool) -> list[dict[str, str]]:
    system = prompts.text(question.task, question.persona)
    if with_words:
        system += prompts.spelled_schema(question.task)
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": prompts.document(question)},
    ]


def refused_option(reply: Reply, body: Mapping[str, Any]) -> str | None:
    """The option of this request that the server does not know, if that is why it refused."""
    if reply.status not in {400, 404, 415, 422}:
        return None
    told = json.dumps(error_of(reply.body)) if reply.body is not None else ""
    if not UNKNOWN.search(told):
        return None
    used = {*body, body.get("response_format", {}).get("type")}
    return next((option for option in NAMES if option in used and NAMES[option].search(told)), None)


async def _post(client: AsyncOpenAI, body: dict[str, Any]) -> Reply:
    from openai import APIStatusError  # noqa: PLC0415 -- loaded with the client

    try:
        async with client.chat.completions.with_streaming_response.create(**body) as response:
            data = bytearray()
            async for part in response.iter_bytes():
                data += part
                if len(data) > MAX_BYTES:
                    break
            return reply_of(response.status_code, response.headers, bytes(data))
    except APIStatusError as error:
        return reply_of(error.status_code, error.response.headers, error.response.content)


def calling(
    connection: openai_connection.Connection,
    work: Callable[[AsyncOpenAI], Awaitable[T]],
    timeout_s: float,
    most: Usage,
) -> T:
    """Do it in time; raises ModelError for whatever can go wrong on the way. `most`: what it counts as once sent."""
    import httpx2  # noqa: PLC0415 -- loaded with the client
    import openai  # noqa: PLC0415 -- likewise

    try:
        return connection.do(work, timeout_s)
    except (TimeoutError, httpx2.TimeoutException):
        failed = ModelError(f"no answer within {timeout_s:g} s", Outcome.DOWN, usage=most)
    except CancelledError:
        failed = ModelError("the connection was closed by us", Outcome.DOWN, usage=most)
    except openai.APIConnectionError as error:
        failed = _unreached(error, most)
    except openai.APIStatusError as error:
        failed = refusal_of(
            reply_of(error.status_code, error.response.headers, error.response.content), Usage()
        )
    except httpx2.HTTPError:
        failed = ModelError("the answer broke off", Outcome.CUT, usage=most)
    except openai.OpenAIError:
        failed = ModelError("the answer cannot be read", Outcome.USELESS, usage=most)
    # Out here, where it has no context: theirs holds the address.
    raise failed


def _unreached(error: Exception, most: Usage) -> ModelError:
    import httpx2  # noqa: PLC0415 -- loaded with the client

    never_sent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
    if isinstance(error.__cause__, never_sent):
        return ModelError("the model's server cannot be reached", Outcome.DOWN)
    return ModelError("the model's server said nothing", Outcome.DOWN, usage=most)
