from __future__ import annotations

import json

import django.db
from django.test import RequestFactory

from core import problems
from core.problems import Problem, plain_problem, problem_of


class Broken(Exception):
    pass


class VeryBroken(Broken):
    pass


def test_a_registered_error_and_its_subclasses_have_a_meaning(monkeypatch):
    monkeypatch.setattr(problems, "_meanings", {})
    problems.register(Broken, status=400, code="broken", attr="thing")

    found = problem_of(VeryBroken("It broke."))

    assert found == Problem(
        400, "broken", "It broke.", errors=[{"attr": "thing", "code": "broken", "detail": "It broke."}]
    )


def test_an_unknown_error_has_no_meaning():
    assert problem_of(KeyError("secret")) is None


def test_an_outage_says_when_to_come_back_and_nothing_else():
    found = problem_of(django.db.OperationalError("password authentication failed"))

    assert (found.status, found.code, found.headers) == (503, "unavailable", {"Retry-After": "5"})
    assert "password" not in found.detail


def test_a_problem_is_written_as_rfc_9457_says():
    request = RequestFactory().get("/api/v1/")
    request.request_id = "abc"

    response = plain_problem(404).response(request)

    assert response["Content-Type"] == "application/problem+json"
    assert json.loads(response.content) == {
        "type": "urn:problem-type:onetape:not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "Nothing matches the given URI",
        "code": "not_found",
        "errors": [],
        "request_id": "abc",
    }
