"""Health, metrics, and the answers for errors outside any view; JSON below /api/, pages elsewhere."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views import defaults
from prometheus_client import CONTENT_TYPE_LATEST

from core import json, scraping
from core.checks import run_all
from core.middleware import outage_response
from core.problems import plain_problem, wants_json


async def healthz(_request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked."""
    return HttpResponse("ok", content_type="text/plain", headers={"Cache-Control": "no-store"})


async def readyz(_request: HttpRequest) -> HttpResponse:
    ready, findings = await run_all()
    body = {"ready": ready, "checks": {name: asdict(found) for name, found in findings.items()}}
    return HttpResponse(
        json.dumps_bytes(body),
        status=200 if ready else 503,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def metrics_page(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(await asyncio.to_thread(scraping.exposition), content_type=CONTENT_TYPE_LATEST)


async def service_worker(_request: HttpRequest) -> HttpResponse:
    """From the root, since a worker may only care for pages below its own path; asked for anew each time."""
    return HttpResponse(
        _worker_text(),
        content_type="text/javascript; charset=utf-8",
        headers={"Cache-Control": "no-cache", "Service-Worker-Allowed": "/"},
    )


@cache
def _worker_text() -> bytes:
    found = finders.find("js/sw.js")
    return Path(str(found)).read_bytes()


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if wants_json(request):
        return plain_problem(400).response(request)
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if wants_json(request):
        return plain_problem(403).response(request)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if wants_json(request):
        return plain_problem(404).response(request)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    if away := outage_response(request, sys.exc_info()[1]):
        return away
    if wants_json(request):
        return plain_problem(500).response(request)
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    if wants_json(request):
        return plain_problem(403, "The CSRF token is missing or wrong.").response(request)
    return defaults.permission_denied(request, PermissionError(reason))
