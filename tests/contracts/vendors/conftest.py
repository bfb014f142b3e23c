from __future__ import annotations

import pytest

from core import http

pytest.register_assert_rewrite("tests.contracts.vendors.suite", "tests.contracts.vendors.stream_suite")


def pytest_generate_tests(metafunc):
    """The shared tests run for each operation and each fault of the module's CASE."""
    names = set(metafunc.fixturenames)
    if {"operation", "fault"} <= names:
        case = metafunc.module.CASE
        pairs = [(operation, fault) for operation in case.operations() for fault in case.faults_of(operation)]
        ids = [f"{operation}: {fault.value}" for operation, fault in pairs]
        metafunc.parametrize(("operation", "fault"), pairs, ids=ids)
    elif "operation" in names:
        metafunc.parametrize("operation", metafunc.module.CASE.operations())


@pytest.fixture
def case(request):
    return request.module.CASE


@pytest.fixture
async def standin(case):
    async with case.standin().running() as running:
        yield running
        await http.close_client()


@pytest.fixture
def provider(case, standin):
    return case.provider(standin)
