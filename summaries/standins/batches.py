"""The Batch API of the stand-in: files handed in, answers to be fetched later, in an order of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from summaries.llm.base import Usage
from summaries.standins.completions import Asked

if TYPE_CHECKING:
    from summaries.standins.openai import OpenAIStandIn

JSON = "application/json"
Response = tuple[int, str, bytes]
# As many batches does a page of them have unasked, and at most.
USUAL_PAGE, MOST_OF_PAGE = 20, 100


class BatchFault(StrEnum):
    """What becomes of the next batches. The values are the names on the command line."""

    FAILED = "batch-failed"
    EXPIRED = "batch-expired"
    """The first half is answered, the rest too late."""
    MISSING = "batch-missing"
    """One answer is nowhere."""
    DUPLICATED = "batch-duplicated"
    CONTRADICTED = "batch-contradicted"
    """One is answered twice, and not alike."""
    ERRORS = "batch-errors"
    """One was refused by itself."""
    BROKEN_LINE = "batch-broken-line"


class Batches:
    """Files and batches; what a batch answers goes through the stand-in, faults, bill and all."""

    def __init__(self, standin: OpenAIStandIn) -> None:
        self.fault: BatchFault | None = None
        self.polls_until_done = 1
        """How often it is still being worked on when somebody looks."""
        self.files: dict[str, bytes] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self._standin = standin
        self._polls: dict[str, int] = {}
        self._lock = threading.Lock()

    def respond(self, method: str, path: str, data: bytes, content_type: str, query: str = "") -> Response:
        with self._lock:
            parts = path.strip("/").split("/")
            if (method, path) == ("POST", "/files"):
                return _json(self._keep(_uploaded(data, content_type)))
            if (method, path) == ("POST", "/batches"):
                return self._make(json.loads(data))
            if (method, path) == ("GET", "/batches"):
                return self._listed({name: told[-1] for name, told in parse_qs(query).items()})
            if method == "GET" and parts[0] == "batches" and parts[-1] in self.made:
                return _json(self._looked_at(parts[1]))
            if method == "GET" and parts[0] == "files" and parts[-1] == "content" and parts[1] in self.files:
                return 200, "application/octet-stream", self.files[parts[1]]
            error = {"error": {"message": "No such thing.", "type": "invalid_request_error", "code": None}}
            return _json(error, 404)

    def _keep(self, data: bytes, purpose: str = "batch") -> dict[str, Any]:
        name = f"file-{len(self.files) + 1}"
        self.files[name] = data
        return {
            "id": name,
            "object": "file",
            "bytes": len(data),
            "created_at": 1,
            "filename": "questions.jsonl",
            "purpose": purpose,
            "status": "processed",
        }

    def _make(self, asked: Mapping[str, Any]) -> Response:
        if asked.get("input_file_id") not in self.files:
            return _json({"error": {"message": "No such file.", "code": "invalid_file"}}, 400)
        name = f"batch_{len(self.made) + 1}"
        self.made[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": asked["completion_window"],
            "status": "validating",
            "created_at": 1,
            "output_file_id": None,
            "error_file_id": None,
            "metadata": asked.get("metadata"),
        }
        self._polls[name] = 0
        return _json(self.made[name])

    def _listed(self, asked: Mapping[str, str]) -> Response:
        """The newest first, page by page; to look at them is not to look at one."""
        names = list(self.made)[::-1]
        after = asked.get("after")
        if after is not None and after not in self.made:
            return _json({"error": {"message": "No such batch.", "code": "invalid_request_error"}}, 400)
        first = names.index(after) + 1 if after is not None else 0
        last = first + min(int(asked.get("limit", USUAL_PAGE)), MOST_OF_PAGE)
        shown = names[first:last]
        return _json(
            {
                "object": "list",
                "data": [self.made[name] for name in shown],
                "first_id": shown[0] if shown else None,
                "last_id": shown[-1] if shown else None,
                "has_more": last < len(names),
            }
        )

    def _looked_at(self, name: str) -> dict[str, Any]:
        batch = self.made[name]
        self._polls[name] += 1
        if batch["status"] in {"validating", "in_progress"}:
            batch["status"] = "in_progress"
            if self._polls[name] > self.polls_until_done:
                self._end(batch)
        return batch

    def _end(self, batch: dict[str, Any]) -> None:
        if self.fault is BatchFault.FAILED:
            batch["status"] = "failed"
            batch["errors"] = {"data": [{"code": "invalid_json_line", "message": "Line 1 is no JSON."}]}
            return
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        in_time = lines[: len(lines) // 2] if self.fault is BatchFault.EXPIRED else lines
        rows = [self._answered(line, is_first=at == 0) for at, line in enumerate(in_time)]
        good = [json.dumps(row) for row in rows if row["response"]["status_code"] == 200]
        bad = [row for row in rows if row["response"]["status_code"] != 200]
        bad += [_expired(line) for line in lines[len(in_time) :]]
        batch["status"] = "expired" if self.fault is BatchFault.EXPIRED else "completed"
        output = "\n".join(self._spoiled(good[::-1])).encode()
        batch["output_file_id"] = self._keep(output, "batch_output")["id"] if good else None
        errors = "\n".join(json.dumps(row) for row in bad).encode()
        batch["error_file_id"] = self._keep(errors, "batch_output")["id"] if bad else None

    def _answered(self, line: Mapping[str, Any], *, is_first: bool) -> dict[str, Any]:
        if is_first and self.fault is BatchFault.ERRORS:
            self._standin.note(Asked(line["body"], (), None, 500, Usage()))
            return _row(line, 500, {"error": {"message": "The server had an error.", "code": "server_error"}})
        fault = self._standin.next_fault()
        completion = self._standin.complete(line["body"], fault)
        self._standin.note(Asked(line["body"], completion.ids, fault, 200, completion.usage))
        return _row(line, 200, completion.body)

    def _spoiled(self, good: list[str]) -> list[str]:
        """Rows in an order that is not that of the questions, with what is wrong with them."""
        if self.fault is BatchFault.MISSING:
            return good[1:]
        if self.fault is BatchFault.BROKEN_LINE:
            return [good[0][: len(good[0]) // 2], *good[1:]]
        if self.fault is BatchFault.DUPLICATED:
            return [*good, good[0]]
        if self.fault is BatchFault.CONTRADICTED:
            first, other = json.loads(good[0]), json.loads(good[-1])
            return [*good, json.dumps({**other, "custom_id": first["custom_id"]})]
        return good


def _row(line: Mapping[str, Any], status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    response = {"status_code": status, "request_id": f"req-{line['custom_id']}", "body": body}
    return {
        "id": f"row-{line['custom_id']}",
        "custom_id": line["custom_id"],
        "response": response,
        "error": None,
    }


def _expired(line: Mapping[str, Any]) -> dict[str, Any]:
    error = {"code": "batch_expired", "message": "This request could not be executed in time."}
    return {
        "id": f"row-{line['custom_id']}",
        "custom_id": line["custom_id"],
        "response": None,
        "error": error,
    }


def _uploaded(data: bytes, content_type: str) -> bytes:
    """The file in a form."""
    form = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data)
    for part in form.get_payload():
        if isinstance(part, Message) and part.get_filename():
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    return b""


def _json(body: Any, status: int = 200) -> Response:
    return status, JSON, json.dumps(body).encode()
