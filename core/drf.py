"""Where the API turns exceptions into problems; what each means is said in `core.problems`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from drf_standardized_errors.formatter import flatten_errors
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ExceptionHandlerContext
from rest_framework import exceptions
from rest_framework.response import Response

from core.json import BodyTooLarge
from core.middleware import report_outage
from core.outages import outage_of
from core.problems import CONTENT_TYPE, Problem, plain_problem, problem_of


def exception_handler(error: Exception, context: ExceptionHandlerContext) -> Response | None:
    return ProblemHandler(error, context).run()


class ProblemHandler(ExceptionHandler):
    """The standardised handler (signals, rollback, log of real failures) with our body."""

    def run(self) -> Response | None:
        problem = problem_of(self.exc)
        if problem is None:
            return super().run()
        if name := outage_of(self.exc):
            report_outage(self._request(), self.exc, name)
        self.set_rollback()
        return Response(
            problem.body(self._request()),
            status=problem.status,
            headers=dict(problem.headers),
            content_type=CONTENT_TYPE,
        )

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, RequestDataTooBig):
            return BodyTooLarge()
        if isinstance(exc, (SuspiciousOperation, MultiPartParserError, UnreadablePostError)):
            return exceptions.ParseError("The request cannot be read.")
        return super().convert_known_exceptions(exc)

    def format_exception(self, exc: exceptions.APIException) -> dict[str, Any]:
        return described(exc).body(self._request())

    def get_response(self, exc: exceptions.APIException, data: dict[str, Any]) -> Response:
        return Response(
            data, status=exc.status_code, headers=self.get_headers(exc), content_type=CONTENT_TYPE
        )

    def _request(self) -> Any:
        request = self.context.get("request")
        return getattr(request, "_request", request)


def described(exc: exceptions.APIException) -> Problem:
    """Field errors are listed under one code; anything else has a code of its own."""
    found = flatten_errors(exc.detail)
    errors = [{"attr": e.attr, "code": e.code or "error", "detail": e.detail or ""} for e in found]
    if isinstance(exc, exceptions.ValidationError):
        return Problem(exc.status_code, "validation_error", _sentence(errors), errors=errors)
    if exc.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return plain_problem(exc.status_code)
    return Problem(exc.status_code, str(errors[0]["code"]), str(errors[0]["detail"]))


def _sentence(errors: list[dict[str, Any]]) -> str:
    if not errors:
        return "The request is not valid."
    first = errors[0]
    return f"{first['attr']}: {first['detail']}" if first["attr"] else str(first["detail"])
