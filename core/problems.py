"""What an error looks like to a program: RFC 9457 problems with a stable `code`.

Apps say in `AppConfig.ready()` what their own exceptions mean to a client; the edges ask `problem_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse

from core import json
from core.outages import RETRY_AFTER_S, outage_of

CONTENT_TYPE = "application/problem+json"

_CODES = {
    400: "bad_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    429: "throttled",
    500: "server_error",
    503: "unavailable",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error to be told. `errors` names the fields, each `{"attr", "code", "detail"}`."""

    status: int
    code: str
    detail: str
    errors: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request: HttpRequest | None) -> dict[str, Any]:
        return {
            "type": f"urn:problem-type:onetape:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "errors": list(self.errors),
            "request_id": getattr(request, "request_id", None),
        }

    def response(self, request: HttpRequest | None) -> HttpResponse:
        return HttpResponse(
            json.dumps_bytes(self.body(request)),
            status=self.status,
            content_type=CONTENT_TYPE,
            headers=dict(self.headers),
        )


@dataclass(frozen=True, slots=True)
class Meaning:
    status: int
    code: str
    attr: str | None


_meanings: dict[type[Exception], Meaning] = {}


def register(error: type[Exception], *, status: int, code: str, attr: str | None = None) -> None:
    """Say that `error`, whose text is safe to show, answers a request with this status and code."""
    _meanings[error] = Meaning(status, code, attr)


def problem_of(error: BaseException) -> Problem | None:
    """What to tell a client about a domain error or an outage; None for anything else."""
    if outage_of(error):
        return unavailable()
    for kind in type(error).__mro__:
        if meaning := _meanings.get(kind):
            detail = str(error)
            named = {"attr": meaning.attr, "code": meaning.code, "detail": detail}
            return Problem(meaning.status, meaning.code, detail, errors=[named] if meaning.attr else ())
    return None


def unavailable() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "A part of Onetape is restarting. Nothing was changed; try again in a few seconds.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def plain_problem(status: int, detail: str = "") -> Problem:
    phrase = HTTPStatus(status)
    return Problem(status, _CODES.get(status, "error"), detail or phrase.description or phrase.phrase)


def wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
