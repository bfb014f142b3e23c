from __future__ import annotations

import json

import django.db
import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from django.test import Client, override_settings
from django.urls import path
from rest_framework import exceptions
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from core import problems
from core.views import not_found, server_error


class Lost(Exception):
    pass


ERRORS = {
    "lost": lambda: Lost("It is lost."),
    "away": lambda: django.db.OperationalError("host=10.0.0.1"),
    "404": Http404,
    "403": PermissionDenied,
    "too-big": RequestDataTooBig,
    "suspicious": lambda: SuspiciousOperation("inner detail"),
    "throttled": lambda: exceptions.Throttled(wait=7),
    "fields": lambda: exceptions.ValidationError(
        {"name": ["Too short."], "lots": [{}, {"size": ["Too big."]}]}
    ),
    "mistake": lambda: ValueError("secret"),
}


class Echo(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    def post(self, request):
        return Response({"echo": request.data})

    def get(self, request, error):
        failure = ERRORS[error]()
        raise failure


urlpatterns = [path("api/v1/echo/", Echo.as_view()), path("api/v1/raise/<error>/", Echo.as_view())]
handler404, handler500 = not_found, server_error


@pytest.fixture(autouse=True)
def _small_site(monkeypatch):
    monkeypatch.setattr(problems, "_meanings", {})
    problems.register(Lost, status=409, code="lost", attr="thing")
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=["core.middleware.RequestIdMiddleware"]):
        yield


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("lost", 409, "lost"),
        ("away", 503, "unavailable"),
        ("404", 404, "not_found"),
        ("403", 403, "permission_denied"),
        ("too-big", 413, "body_too_large"),
        ("suspicious", 400, "parse_error"),
        ("throttled", 429, "throttled"),
        ("fields", 400, "validation_error"),
        ("mistake", 500, "server_error"),
    ],
)
def test_every_exception_is_told_as_a_problem(client, error, status, code):
    response = client.get(f"/api/v1/raise/{error}/")

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response["Content-Type"] == "application/problem+json"
    assert set(response.json()) == {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert response.json()["request_id"] == response["X-Request-ID"]
    assert not any(word in response.content for word in (b"secret", b"10.0.0.1", b"inner detail"))


def test_field_errors_name_their_fields(client):
    body = client.get("/api/v1/raise/fields/").json()

    assert body["detail"] == "name: Too short."
    assert body["errors"] == [
        {"attr": "name", "code": "invalid", "detail": "Too short."},
        {"attr": "lots.1.size", "code": "invalid", "detail": "Too big."},
    ]


def test_an_outage_says_when_to_come_back(client):
    assert client.get("/api/v1/raise/away/")["Retry-After"] == "5"
    assert client.get("/api/v1/raise/throttled/")["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"[" * 1000 + b"]" * 1000, "application/json", 400),
        (b'{"a": 1e999}', "application/json", 400),
        (b'"\\ud800"', "application/json", 400),
        (b"\xff", "application/json; charset=utf-7", 400),
        (b" " * (3 * 1024 * 1024), "application/json", 413),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"x", "", 415),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415),
        (b"{}", "application/json", 200),
    ],
)
def test_no_body_makes_a_server_error(client, body, content_type, status):
    response = client.generic("POST", "/api/v1/echo/", body, content_type)

    assert response.status_code == status
    if status != 200:
        assert json.loads(response.content)["status"] == status


def test_a_method_that_is_not_there_is_a_problem(client):
    response = client.delete("/api/v1/echo/")

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_an_answer_in_another_format_is_refused_in_json(client):
    response = client.post(
        "/api/v1/echo/", {}, headers={"Accept": "text/html"}, content_type="application/json"
    )

    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


def test_an_unknown_address_below_the_api_is_a_problem(client):
    response = client.get("/api/v1/nothing/")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
