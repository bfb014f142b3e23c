"""Answers that a client may keep and ask about again: 304 without a body while nothing in them has changed."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import quote_etag
from rest_framework.request import Request
from rest_framework.response import Response

from core.json import dumps_bytes

# Kept by the client alone, and never used without asking.
CACHE_CONTROL = "private, no-cache"


def conditional(request: Request, data: Any) -> HttpResponseBase:
    """`data` as JSON with a strong ETag, which is made of the very bytes; or 304 to who has them already."""
    etag = quote_etag(blake2b(dumps_bytes(data), digest_size=16).hexdigest())
    response = Response(data, headers={"Cache-Control": CACHE_CONTROL, "ETag": etag})
    patch_vary_headers(response, ("Cookie", "Authorization"))
    return get_conditional_response(request._request, etag=etag, response=response) or response  # noqa: SLF001 -- DRF has no other way to Django's request
