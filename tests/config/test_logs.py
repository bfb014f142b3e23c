from __future__ import annotations

import logging


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
