from __future__ import annotations

import logging

import pytest


def test_a_request_for_a_foreign_host_is_one_line_without_a_trace(client, caplog):
    answer = client.get("/healthz", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert "evil.example" in caplog.text
    assert len(caplog.text.splitlines()) == 1, caplog.text


def test_what_goes_wrong_otherwise_keeps_its_trace(caplog):
    logger = logging.getLogger("django.security.SuspiciousFileOperation")

    try:
        int("outside")
    except ValueError:
        logger.exception("refused")

    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("name", "said", "arguments"),
    [
        (
            "uvicorn.error",
            '%s - "WebSocket %s" [accepted]',
            ("127.0.0.1:5", "/compat/finnhub?token=ot_secret"),
        ),
        (
            "uvicorn.access",
            '%s - "%s %s HTTP/%s" %d',
            ("127.0.0.1:5", "GET", "/x?apiKey=ot_secret", "1.1", 200),
        ),
    ],
)
def test_what_uvicorn_says_of_a_request_has_no_query_in_which_a_key_may_stand(caplog, name, said, arguments):
    import config.asgi  # noqa: F401, PLC0415 -- what uvicorn loads

    caplog.set_level("INFO", name)
    logging.getLogger(name).info(said, *arguments)

    assert "ot_secret" not in caplog.text
    assert "127.0.0.1:5" in caplog.text
