"""The one reader and writer of JSON that crosses our edge; whatever a client sends, it fails with a 4xx only.

Refused: invalid UTF-8, a byte order mark, NaN and infinities, lone surrogates, more than MAX_DEPTH levels,
numbers beyond 64 bits (they would silently lose digits) and bodies over MAX_BODY. Of duplicate keys the last
wins, as in every browser; one parser reads each body, so no two readings of it can differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

import orjson
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

MAX_BODY = 1024 * 1024
MAX_DEPTH = 32
BEYOND_64_BITS = 2**63

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS


class InvalidJSON(ValueError):
    """The text is not the JSON we accept; its message is safe to show."""


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "body_too_large"
    default_detail = f"The body may have at most {MAX_BODY} bytes."


def loads(text: bytes | str) -> Any:
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise InvalidJSON(f"Not valid JSON: {_reason(error)}.") from None
    _refuse_extremes(value)
    return value


def _reason(error: ValueError) -> str:
    return str(error).partition(": line ")[0]


def _refuse_extremes(value: Any) -> None:
    """Walk without recursion: the depth is what is being checked."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise InvalidJSON(f"Not valid JSON: nested more than {MAX_DEPTH} levels deep.")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, (int, float)) and abs(item) >= BEYOND_64_BITS:
                raise InvalidJSON("Not valid JSON: a number is beyond 64 bits.")
        level = below


def dumps_bytes(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=OPTIONS)
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, which orjson refuses, have an ASCII spelling.
        return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def dumps(value: Any) -> str:
    return dumps_bytes(value).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise BodyTooLarge
        try:
            return loads(body)
        except InvalidJSON as error:
            raise ParseError(str(error)) from None


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else dumps_bytes(data)
