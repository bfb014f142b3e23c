"""Each request gets an id; a server we depend on that is away answers 503, never 500."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template import engines
from django.utils.cache import add_never_cache_headers

from core import metrics
from core.outages import outage_of
from core.problems import unavailable, wants_json

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

HEADER = "X-Request-ID"
# What a proxy in front may hand on: nothing that could break a log line or a header.
SAFE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class _EitherWay:
    """A middleware that runs on the server's loop as well as in a thread, without a switch between them."""

    sync_capable = async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)  # type: ignore[type-var]


class RequestIdMiddleware(_EitherWay):
    """`request.request_id`, also in the answer's X-Request-ID and in every problem."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        request_id = request_id_of(request.headers.get(HEADER, ""))
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        if iscoroutinefunction(self):
            return _labelled_later(cast(Awaitable[HttpResponseBase], response), request_id)
        return _labelled(cast(HttpResponseBase, response), request_id)


def request_id_of(given: str) -> str:
    return given if SAFE_ID.fullmatch(given) else uuid.uuid4().hex


def _labelled(response: HttpResponseBase, request_id: str) -> HttpResponseBase:
    response[HEADER] = request_id
    return response


async def _labelled_later(response: Awaitable[HttpResponseBase], request_id: str) -> HttpResponseBase:
    return _labelled(await response, request_id)


class DependencyDownMiddleware(_EitherWay):
    """Catches what views raise.

    What other middleware raises (a session that cannot be saved) Django turns into a 500 before it gets here,
    so `core.views.server_error` asks `outage_response` as well.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return outage_response(request, exception)


def outage_response(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """503 with Retry-After when `error` means that a server we depend on is away, else None."""
    name = outage_of(error)
    if name is None or error is None:
        return None
    report_outage(request, error, name)
    problem = unavailable()
    response = problem.response(request) if wants_json(request) else _page(problem.detail)
    for header, value in problem.headers.items():
        response[header] = value
    add_never_cache_headers(response)
    # Django would log a 503 a second time, with a trace that says nothing new.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 -- no public switch
    return response


def report_outage(request: HttpRequest | None, error: BaseException, name: str) -> None:
    metrics.dependency_down.labels(dependency=name).inc()
    path = request.path if request is not None else "?"
    logger.warning("%s is away: %s at %s", name, type(error).__name__, path)


def _page(detail: str) -> HttpResponse:
    # Without a request there are no context processors, so nothing asks the database again.
    template = engines["django"].get_template("503.html")
    return HttpResponse(template.render({"detail": detail}), status=503)
