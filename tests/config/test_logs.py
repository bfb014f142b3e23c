from __future__ import annotations

import logging
from io import StringIO

import pytest
from daphne import access

from config import logs


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


@pytest.mark.parametrize("way", ["channels/confirm", "password/reset/key"])
def test_a_link_of_a_mail_is_in_no_log(monkeypatch, caplog, way):
    written = StringIO()

    class Generator(access.AccessLogGenerator):
        """Changed instead of the real one."""

    monkeypatch.setattr(access, "AccessLogGenerator", Generator)
    path = f"/account/{way}/SECRET:x_-y/"
    said = {"method": "GET", "path": path, "status": 200, "client": "127.0.0.1:5", "size": 7}
    logs.hide_queries()
    caplog.set_level("INFO", "uvicorn.access")

    Generator(written)("http", "complete", said)
    logging.getLogger("uvicorn.access").info('%s - "%s %s" %d', "127.0.0.1:5", "GET", path, 200)

    assert f'"GET /account/{way}/…/" 200 7' in written.getvalue()
    assert f'"GET /account/{way}/…/" 200' in caplog.text


@pytest.fixture
def loaded() -> None:
    """What a server loads; it sets logging up anew, so not within the test that listens."""
    import config.asgi  # noqa: F401, PLC0415 -- likewise


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
        (
            "daphne.server",
            "Application instance %r for connection %s took too long to shut down and was killed.",
            ("127.0.0.1:5", "<WebRequest at 0x7f method=GET uri=/x?token=ot_secret clientproto=HTTP/1.1>"),
        ),
    ],
)
def test_what_a_server_says_of_a_request_has_no_query_in_which_a_key_may_stand(
    loaded, caplog, name, said, arguments
):
    caplog.set_level("INFO", name)
    logging.getLogger(name).info(said, *arguments)

    assert "ot_secret" not in caplog.text
    assert "127.0.0.1:5" in caplog.text


def test_what_daphne_says_of_a_request_has_no_query_in_which_a_key_may_stand(monkeypatch):
    class Generator(access.AccessLogGenerator):
        """Changed instead of the real one."""

    monkeypatch.setattr(access, "AccessLogGenerator", Generator)
    said = {"method": "GET", "path": "/compat/finnhub/api/v1/quote?symbol=IBM&token=ot_secret", "status": 200}
    written = StringIO()

    logs.hide_queries()
    Generator(written)("http", "complete", {**said, "client": "127.0.0.1:5", "size": 7})

    assert '"GET /compat/finnhub/api/v1/quote" 200 7' in written.getvalue()
    assert "ot_secret" not in written.getvalue()
