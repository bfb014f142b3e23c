from __future__ import annotations

import json
import logging

import django.db
import pytest
import redis.exceptions
from asgiref.sync import iscoroutinefunction
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from core.middleware import DependencyDownMiddleware, RequestIdMiddleware, request_id_of
from core.views import bad_request, not_found, permission_denied, server_error

STACK = ["core.middleware.RequestIdMiddleware", "core.middleware.DependencyDownMiddleware"]


def database_away(request):
    raise django.db.OperationalError("host=10.0.0.1 refused")


async def redis_away(request):
    raise redis.exceptions.ConnectionError


def our_mistake(request):
    raise ValueError("secret")


def fine(request):
    return HttpResponse(request.request_id)


urlpatterns = [
    path("api/v1/away/", database_away),
    path("api/v1/away-async/", redis_away),
    path("api/v1/mistake/", our_mistake),
    path("away/", database_away),
    path("fine/", fine),
]
handler400, handler403, handler404, handler500 = bad_request, permission_denied, not_found, server_error


def session_away(get_response):
    """A middleware that fails on the way out, as saving a session does when PostgreSQL is gone."""

    def middleware(request):
        get_response(request)
        raise django.db.OperationalError

    return middleware


@pytest.fixture(autouse=True)
def _small_site():
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=STACK):
        yield


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("url", ["/api/v1/away/", "/api/v1/away-async/"])
def test_a_dead_server_below_the_api_is_a_503_problem(client, url):
    response = client.get(url)

    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "unavailable"
    assert response.json()["request_id"] == response["X-Request-ID"]
    assert b"10.0.0.1" not in response.content


async def test_a_dead_server_is_a_503_on_the_loop_too():
    response = await AsyncClient(raise_request_exception=False).get("/api/v1/away-async/")

    assert response.status_code == 503
    assert response["X-Request-ID"] == json.loads(response.content)["request_id"]


def test_a_page_gets_a_page_that_asks_no_server(client):
    response = client.get("/away/")

    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert response["Content-Type"].startswith("text/html")
    assert "no-cache" in response["Cache-Control"]


@override_settings(MIDDLEWARE=[*STACK, "tests.core.test_middleware.session_away"])
def test_middleware_that_meets_a_dead_server_is_a_503_too(client):
    response = client.get("/fine/")

    assert response.status_code == 503
    assert response["Retry-After"] == "5"


def test_an_outage_is_logged_once(client, caplog):
    with caplog.at_level(logging.INFO):
        client.get("/api/v1/away/")

    assert [record.getMessage() for record in caplog.records if record.name != "httpx"] == [
        "database is away: OperationalError at /api/v1/away/"
    ]


def test_our_own_mistake_stays_a_500_that_tells_nothing(client):
    response = client.get("/api/v1/mistake/")

    assert response.status_code == 500
    assert response.json()["code"] == "server_error"
    assert b"secret" not in response.content


def test_each_request_has_an_id_of_its_own(client):
    first, second = client.get("/fine/"), client.get("/fine/")

    assert first["X-Request-ID"] == first.content.decode()
    assert first["X-Request-ID"] != second["X-Request-ID"]


def test_a_safe_id_from_a_proxy_is_kept(client):
    assert (
        client.get("/fine/", headers={"X-Request-ID": "proxy-12345678"})["X-Request-ID"] == "proxy-12345678"
    )


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "with space 123", "line\nbreak99", "<script>alert"])
def test_an_unsafe_id_is_replaced(given):
    assert len(request_id_of(given)) == 32
    assert request_id_of(given) != given


@pytest.mark.parametrize("middleware", [RequestIdMiddleware, DependencyDownMiddleware])
def test_the_middleware_needs_no_thread_on_the_loop(middleware):
    async def view(request):
        return HttpResponse()

    assert iscoroutinefunction(middleware(view))
    assert not iscoroutinefunction(middleware(lambda _: HttpResponse()))
