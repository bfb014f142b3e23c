"""What the REST sides of all vendors share: who asks, for which symbols, and errors in the vendor's own words."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from accounts import credentials
from accounts.credentials import Login
from core import json
from core.middleware import report_outage
from core.outages import RETRY_AFTER_S, outage_of
from marketdata.api.views import quotes_of_known
from marketdata.errors import InvalidSymbol
from marketdata.quotes import NoQuote, Quote, Reason
from marketdata.symbols import canonical

logger = logging.getLogger(__name__)

# No vendor takes more in one call than our own API does.
MAX_SYMBOLS = 100


class Wrong(StrEnum):
    """What may be wrong with a request; each vendor has its own status and words for it."""

    UNAUTHORIZED = "no key, or none that we know"
    FORBIDDEN = "not within the plan"
    INVALID = "a parameter cannot be read"
    NOT_FOUND = "no such symbol"
    NO_ENDPOINT = "no such address"
    METHOD = "only GET"
    THROTTLED = "too many requests"
    UNAVAILABLE = "a part of us is away"
    FAILED = "our mistake"


class Refusal(Exception):
    """Ends a request; `message` may be shown, and is empty where the vendor's own words are to be used."""

    def __init__(self, wrong: Wrong, message: str = "") -> None:
        super().__init__(message or wrong.value)
        self.wrong, self.message = wrong, message


def login_of(key: str) -> Login:
    """Whose API key this is; raises Refusal, or an outage's exception."""
    login = credentials.by_api_keys([key]).get(key)
    if login is None:
        raise Refusal(Wrong.UNAUTHORIZED)
    return login


@method_decorator(csrf_exempt, name="dispatch")  # no cookie is read here
class VendorView(View):
    """One address of a vendor's REST API: GET only, JSON whatever happens, never a 5xx for bad input."""

    http_method_names: ClassVar[list[str]] = ["get", "head"]  # type: ignore[misc]

    def key_of(self, request: HttpRequest) -> str:
        """The text of the API key, empty where there is none."""
        raise NotImplementedError

    def answer(self, request: HttpRequest, login: Login, **kwargs: str) -> Any:
        """What becomes the JSON of the answer; raises Refusal."""
        raise NotImplementedError

    def error(self, refusal: Refusal) -> tuple[int, Any]:
        """Status and body of a refusal, as the vendor words it."""
        raise NotImplementedError

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: str) -> HttpResponse:
        try:
            response = _response(200, self._answer(request, kwargs))
        except Exception as error:  # noqa: BLE001 -- the border: whatever it is, the client gets the vendor's shape
            response = self._refused(request, refusal_of(request, error))
        add_never_cache_headers(response)
        return response

    def _answer(self, request: HttpRequest, kwargs: Mapping[str, str]) -> Any:
        if (request.method or "").lower() not in self.http_method_names:
            raise Refusal(Wrong.METHOD)
        login = login_of(self.key_of(request))
        return self.answer(request, login, **kwargs)

    def _refused(self, request: HttpRequest, refusal: Refusal) -> HttpResponse:
        status, body = self.error(refusal)
        response = _response(status, body)
        if refusal.wrong is Wrong.METHOD:
            response["Allow"] = "GET, HEAD"
        if refusal.wrong in (Wrong.UNAVAILABLE, Wrong.THROTTLED):
            response["Retry-After"] = str(RETRY_AFTER_S)
        # Told here, or the client's affair: Django would write it down a second time.
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 -- no public switch
        return response


def _response(status: int, body: Any) -> HttpResponse:
    return HttpResponse(json.dumps_bytes(body), status=status, content_type="application/json")


def refusal_of(request: HttpRequest, error: Exception) -> Refusal:
    """What an exception means to the client."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InvalidSymbol):
        return Refusal(Wrong.INVALID, str(error))
    if isinstance(error, (SuspiciousOperation, UnreadablePostError)):
        return Refusal(Wrong.INVALID, "The request cannot be read.")
    if name := outage_of(error):
        report_outage(request, error, name)
        return Refusal(Wrong.UNAVAILABLE)
    logger.error("compat: %s failed", request.path, exc_info=error)
    return Refusal(Wrong.FAILED)


# --- symbols


def symbols_of(texts: Iterable[str]) -> list[str]:
    """Canonical symbols of texts with commas between symbols; raises Refusal or InvalidSymbol."""
    parts = [part for text in texts for part in text.split(",") if part.strip()]
    if not parts:
        raise Refusal(Wrong.INVALID, "symbols is required")
    if len(parts) > MAX_SYMBOLS:
        raise Refusal(Wrong.INVALID, f"at most {MAX_SYMBOLS} symbols at once")
    return list(dict.fromkeys(canonical(part) for part in parts))


def quotes_of(symbols: Sequence[str]) -> dict[str, Quote]:
    """Those that have a price. Raises Refusal where none has one and waiting would help."""
    outcomes = quotes_of_known(list(symbols), None)
    found = {symbol: quote for symbol, quote in outcomes.items() if isinstance(quote, Quote)}
    reasons = {one.reason for one in outcomes.values() if isinstance(one, NoQuote)}
    if not found:
        if Reason.RATE_LIMITED in reasons:
            raise Refusal(Wrong.THROTTLED)
        if Reason.PROVIDER_DOWN in reasons:
            raise Refusal(Wrong.UNAVAILABLE)
    return found


def parameters(request: HttpRequest) -> dict[str, str]:
    """The query; of a repeated parameter the last one counts, except `symbols`, whose values add up."""
    return {name: str(request.GET[name]) for name in request.GET}
