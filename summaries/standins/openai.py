"""A server on loopback that speaks the protocol of OpenAI, for tests, benchmarks and trying things out.

Its answers are made of the sentences of what it is asked about, so they are true to it; everything that can go wrong
with a model goes wrong when it is told to. It writes down what it was asked and what it would have billed.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Self

from summaries.llm.base import Usage
from summaries.standins.batches import Batches
from summaries.standins.completions import Asked, Completion, complete
from summaries.standins.faults import Fault

LOOPBACK = "127.0.0.1"
KEY = "standin-key"
# Nobody may wait for a stand-in for longer than that, whatever he forgot to set.
LONGEST_SILENCE_S = 120.0
JSON, HTML = "application/json", "text/html"
CHUNK_CHARS = 40


class OpenAIStandIn:
    """`with OpenAIStandIn().running() as standin:` and then `standin.url` is the base URL."""

    def __init__(
        self, *, key: str = KEY, models: Mapping[str, str | None] | None = None, cached_share: float = 0.0
    ) -> None:
        self.key = key
        self.models = dict(models or {"gpt-6-luna": None, "gpt-5-nano": None})
        """Names, and the day on which each is shut down."""
        self.cached_share = cached_share
        self.unknown_options: set[str] = set()
        """Names of options that are refused, as servers do that do not know them; a kind of answer is one too:
        "response_format.json_schema"."""
        self.retry_after_s = 2.0
        self.slow_s = 1.0
        self.asked: list[Asked] = []
        self.batches = Batches(self)
        self.port = 0
        self.has_asked = threading.Event()
        """Set when a question has arrived; who waits for the next one clears it."""
        self.closing = threading.Event()
        self._faults: deque[Fault | None] = deque()
        self._always: tuple[Fault, ...] = ()
        self._rate = 1.0
        self._rng = Random(1)  # noqa: S311 -- which request is spoiled
        self._lock = threading.Lock()

    # --- what it is told to do

    def fail(self, fault: Fault, times: int = 1, *, after: int = 0) -> None:
        """Meet so many requests with this fault, once the first `after` have been answered well."""
        with self._lock:
            self._faults.extend([None] * after + [fault] * times)

    def fail_always(self, *faults: Fault, rate: float = 1.0, seed: int = 1) -> None:
        """Meet this share of requests with one of these faults, until `heal`."""
        with self._lock:
            self._always, self._rate, self._rng = faults, rate, Random(seed)  # noqa: S311 -- as above

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()
            self._always = ()

    def next_fault(self) -> Fault | None:
        with self._lock:
            if self._faults:
                return self._faults.popleft()
            if self._always and self._rng.random() < self._rate:
                return self._rng.choice(self._always)
            return None

    # --- what it tells

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/v1"

    @property
    def billed(self) -> Usage:
        """All that was billed up to now, batches included."""
        with self._lock:
            used = [one.billed for one in self.asked]
        return Usage(*(sum(getattr(one, name) for one in used) for name in ("input", "cached", "output")))

    @property
    def ids(self) -> list[str]:
        """The ids of all items that were answered for money, in order, as often as they were."""
        with self._lock:
            return [each for one in self.asked if one.billed.output for each in one.ids]

    def note(self, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)
        self.has_asked.set()

    def complete(self, body: Mapping[str, Any], fault: Fault | None) -> Completion:
        with self._lock:
            number = len(self.asked) + 1
        return complete(body, fault, cached_share=self.cached_share, name=f"chatcmpl-{number}")

    def unknown_option(self, body: Mapping[str, Any]) -> str | None:
        shape = (body.get("response_format") or {}).get("type")
        used = {*body, f"response_format.{shape}"}
        return next((option for option in sorted(self.unknown_options) if option in used), None)

    # --- the server

    @contextmanager
    def running(self, port: int = 0) -> Iterator[Self]:
        server = _Server((LOOPBACK, port or self.port), _handler(self))
        self.port = server.server_address[1]
        self.closing.clear()
        serving = threading.Thread(
            target=server.serve_forever, args=(0.05,), name="openai-standin", daemon=True
        )
        serving.start()
        try:
            yield self
        finally:
            self.closing.set()
            server.shutdown()
            server.server_close()
            serving.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is no error here; the rest is one of this file and is shown."""
        import sys  # noqa: PLC0415 -- only then

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(standin: OpenAIStandIn) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"standin": standin})


class _Handler(BaseHTTPRequestHandler):
    standin: OpenAIStandIn
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    timeout = LONGEST_SILENCE_S

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name of the base class
        """Nothing: it would print each request."""

    def _route(self, method: str) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.removeprefix("/v1").partition("?")
        if self.headers.get("Authorization") != f"Bearer {self.standin.key}":
            self._refuse(401, "Incorrect API key provided.", "invalid_api_key")
        elif (method, path) == ("POST", "/chat/completions"):
            self._chat(json.loads(data))
        elif (method, path) == ("GET", "/models"):
            self.send_json(200, self._models())
        else:
            status, content_type, body = self.standin.batches.respond(
                method, path, data, self.headers.get("Content-Type", ""), query
            )
            self.send(status, body, content_type)

    def _models(self) -> dict[str, Any]:
        rows = [
            {"id": name, "object": "model", "created": 1, "owned_by": "standin", "shutdown_date": day}
            for name, day in self.standin.models.items()
        ]
        return {"object": "list", "data": rows}

    # --- answers

    def _chat(self, body: dict[str, Any]) -> None:
        unknown = self.standin.unknown_option(body)
        if unknown is not None:
            name = unknown.partition(".")[0]
            message = f"Unsupported parameter: '{name}' is not supported with this model ({unknown})."
            self._noted(body, None, 400)
            self._refuse(400, message, "unsupported_parameter", param=name)
            return
        if body.get("model") not in self.standin.models:
            self._noted(body, None, 404)
            self._refuse(404, "The model does not exist.", "model_not_found")
            return
        fault = self.standin.next_fault()
        if fault is None or fault not in INSTEAD:
            self._answer(body, fault)
        else:
            self._instead(body, fault)

    def _noted(self, body: Mapping[str, Any], fault: Fault | None, status: int) -> None:
        self.standin.note(Asked(body, (), fault, status, Usage()))

    def _instead(self, body: Mapping[str, Any], fault: Fault) -> None:
        status, content_type, data = INSTEAD[fault]
        self._noted(body, fault, status)
        if fault is Fault.HANG_UP:
            self.close_connection = True
            return
        headers = {}
        if fault is Fault.RATE_LIMITED:
            headers["Retry-After"] = f"{self.standin.retry_after_s:g}"
        self.send(status, data, content_type, headers)

    def _answer(self, body: dict[str, Any], fault: Fault | None) -> None:
        completion = self.standin.complete(body, fault)
        self.standin.note(Asked(body, completion.ids, fault, 200, completion.usage))
        if fault is Fault.SLOW and self.standin.closing.wait(min(self.standin.slow_s, LONGEST_SILENCE_S)):
            self.close_connection = True
            return
        if body.get("stream"):
            self._stream(completion, fault)
            return
        data = json.dumps(completion.body).encode()
        if fault is Fault.BROKEN_JSON:
            data = data[: len(data) // 2]
        self._head(200, JSON, len(data))
        self._write(data, fault)

    def _write(self, data: bytes, fault: Fault | None) -> None:
        if fault is Fault.CUT:
            self.close_connection = True
            data = data[: len(data) // 2]
        if fault is not Fault.TRICKLE:
            self.wfile.write(data)
            return
        # Always something, and never an end.
        self.close_connection = True
        for at in range(len(data) - 1):
            self.wfile.write(data[at : at + 1])
            self.wfile.flush()
            if self.standin.closing.wait(0.05):
                return

    def _stream(self, completion: Completion, fault: Fault | None) -> None:
        """Server-sent events; a length is told nowhere, so the end of the connection is the end."""
        self.close_connection = True
        self._head(200, "text/event-stream", None)
        text = completion.text
        pieces = [text[at : at + CHUNK_CHARS] for at in range(0, len(text), CHUNK_CHARS)]
        if fault is Fault.CUT:
            pieces = pieces[: len(pieces) // 2]
        for piece in pieces:
            self._event(completion, {"content": piece}, None)
        if fault is not Fault.CUT:
            self._event(completion, {}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, completion: Completion, delta: Mapping[str, Any], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        head = {name: completion.body[name] for name in ("id", "created", "model")}
        event = {**head, "object": "chat.completion.chunk", "choices": [choice]}
        if finish:
            event["usage"] = completion.body.get("usage")
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    # --- bytes

    def _refuse(self, status: int, message: str, code: str, param: str | None = None) -> None:
        self.send(status, _error(message, code, param), JSON)

    def send_json(self, status: int, body: Any) -> None:
        self.send(status, json.dumps(body).encode(), JSON)

    def send(
        self, status: int, data: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._head(status, content_type, len(data), headers)
        self.wfile.write(data)

    def _head(
        self, status: int, content_type: str, length: int | None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("x-request-id", f"req_{len(self.standin.asked)}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()


def _error(message: str, code: str, param: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": code, "param": param, "code": code}}).encode()


GATEWAY = b"<html><h1>502 Bad Gateway</h1><p>http://10.0.0.7/internal</p></html>"
INSTEAD: Mapping[Fault, tuple[int, str, bytes]] = {
    Fault.UNAUTHORIZED: (401, JSON, _error("Incorrect API key provided: standin-key.", "invalid_api_key")),
    Fault.FORBIDDEN: (403, JSON, _error("Country not supported.", "unsupported_country_region_territory")),
    Fault.RATE_LIMITED: (429, JSON, _error("Rate limit reached.", "rate_limit_exceeded")),
    Fault.RATE_LIMITED_BARE: (429, JSON, _error("Rate limit reached.", "rate_limit_exceeded")),
    Fault.NO_CREDIT: (429, JSON, _error("You exceeded your current quota.", "insufficient_quota")),
    Fault.SERVER_ERROR: (500, JSON, _error("The server had an error.", "server_error")),
    Fault.BAD_GATEWAY: (502, HTML, GATEWAY),
    Fault.HTML: (200, HTML, b"<!doctype html><p>We will be back soon"),
    Fault.ERROR_200: (200, JSON, _error("The engine is overloaded.", "overloaded")),
    Fault.HANG_UP: (0, JSON, b""),
}
