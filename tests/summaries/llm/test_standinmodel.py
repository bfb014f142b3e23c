"""The command, as a program of its own."""

from __future__ import annotations

import json
import signal
import socket
import sys

import pytest

from summaries.llm import openai_connection, registry
from tests.core.conftest import Running
from tests.summaries.llm.asking import PATIENCE_S, question

pytestmark = pytest.mark.timeout(200)
SLOW_START_S = 60


def started(*arguments):
    return Running([sys.executable, "manage.py", "standinmodel", *arguments])


@pytest.fixture
def lead(settings):
    """Ask the one whose settings it printed."""

    def leading(running):
        running.line("Ctrl-C", SLOW_START_S)
        told = dict(line.strip().split("=", 1) for line in running.lines if "=" in line)
        settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL = told["OPENAI_API_KEY"], told["OPENAI_BASE_URL"]
        return registry.make(
            told["LLM_MODEL"],
            vendor="openai",
            supports_schema=True,
            supports_batch=False,
            context_tokens=99_999,
            max_output_tokens=9_999,
        )

    yield leading
    openai_connection.close()


def test_the_settings_it_prints_lead_there_and_it_tells_what_it_would_have_billed(lead):
    with started("--model", "mine") as running:
        answer = lead(running).ask(question(), timeout_s=PATIENCE_S)
        running.signal(signal.SIGINT)

        assert running.wait() == 0
        assert running.rest()[-1] == (
            f"1 requests; {answer.usage.input} tokens read, {answer.usage.output} written would have been billed."
        )


def test_its_answers_have_the_faults_that_were_asked_for(lead):
    with started("--fault", "short") as running:
        answer = lead(running).ask(question(), timeout_s=PATIENCE_S)

    assert [entry["id"] for entry in json.loads(answer.text)["items"]] == ["apple", "ford"]


def test_a_port_in_use_is_told_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started("--port", str(port)) as running:
            assert running.wait(SLOW_START_S) == 1
            assert running.rest() == [f"Port {port} cannot be used: Address already in use"]
