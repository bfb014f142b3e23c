from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.test import AsyncClient

from core import checks
from core.checks import Finding
from core.views import bad_request, csrf_failure, not_found, permission_denied


def test_healthz_asks_nothing(client):
    response = client.get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok")
    assert response["Cache-Control"] == "no-store"


async def test_healthz_answers_on_the_loop():
    assert (await AsyncClient().get("/healthz")).status_code == 200


def test_readyz_tells_each_dependency(client, monkeypatch):
    monkeypatch.setattr(checks, "_checks", {})
    checks.register("database", lambda: Finding(ok=True), required=True)
    checks.register("tape", lambda: Finding(ok=False, figures={"age_s": 12.5}))

    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "checks": {
            "database": {"ok": True, "figures": {}},
            "tape": {"ok": False, "figures": {"age_s": 12.5}},
        },
    }


def test_readyz_is_503_while_something_required_is_away(client, monkeypatch):
    monkeypatch.setattr(checks, "_checks", {})
    checks.register("database", lambda: Finding(ok=False), required=True)

    assert client.get("/readyz").status_code == 503


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """A busy machine is no server that is away."""
    monkeypatch.setattr(checks, "BUDGET_S", 30.0)


@pytest.mark.django_db(transaction=True)
def test_readyz_asks_the_real_servers(client):
    found = client.get("/readyz").json()["checks"]

    assert (found["database"]["ok"], found["redis"]["ok"]) == (True, True)


def test_metrics_are_in_the_format_of_prometheus(client):
    response = client.get("/metrics")

    assert response["Content-Type"].startswith("text/plain; version=")
    assert b"# TYPE onetape_quote_reads_total counter" in response.content
    assert b"process_resident_memory_bytes" in response.content


@pytest.mark.parametrize(
    ("handler", "error", "status", "code"),
    [
        (bad_request, SuspiciousOperation("inside"), 400, "bad_request"),
        (permission_denied, PermissionDenied("inside"), 403, "permission_denied"),
        (not_found, ValueError("inside"), 404, "not_found"),
        (csrf_failure, "inside", 403, "permission_denied"),
    ],
)
def test_errors_outside_any_view_are_problems_below_the_api(rf, handler, error, status, code):
    response = handler(rf.get("/api/v1/x/"), error)

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert f'"code":"{code}"'.encode() in response.content
    assert b"inside" not in response.content


def test_a_wrong_host_is_a_problem_below_the_api(client):
    response = client.get("/api/v1/tickers/", headers={"Host": "evil.example"})

    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


def test_the_service_worker_comes_from_the_root_and_is_asked_for_anew(client):
    response = client.get("/sw.js")

    assert (response.status_code, response["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert (response["Cache-Control"], response["Service-Worker-Allowed"]) == ("no-cache", "/")
    assert b"notificationclick" in response.content
