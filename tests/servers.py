"""Throw-away PostgreSQL and Redis for the tests, started before Django reads its settings.

Named in pyproject.toml (`-p tests.servers`), so run pytest as `python -m pytest`. The controller of a
parallel run starts one PostgreSQL for all; every worker, and a single process, has a Redis of its own.
Nothing below the user's `var/` is ever touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator

import pytest

from core.embedded.throwaway import Throwaway
from core.processes import StartError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "NO BROWSER FOUND: the browser tests did not run. Install Chromium (apt-get install chromium)."

# What somebody exported for running Onetape must not reach the tests.
FOREIGN = (
    "DATABASE_REPLICA_URL", "CELERY_BROKER_URL", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "DEBUG", "HTTPS",
    "FIELD_ENCRYPTION_KEYS",
    "TIME_FACTOR", "EMAIL_URL", "MARKETDATA_PROVIDERS", "DEMO_SYMBOLS", "REPLAY_SPEED", "SIMULATOR_SEED",
    "VISITOR_CONNECTIONS",
    "PUBLIC_URL", "EGRESS_ALLOW", "VAPID_PRIVATE_KEY", "VAPID_SUBJECT",
    "MINUTE_BARS_DAYS", "LEDGER_DAYS",
    "ALPACA_KEY_ID", "ALPACA_SECRET_KEY", "ALPACA_DATA_URL", "ALPACA_STREAM_URL", "ALPACA_PLAN",
    "VENDOR_PLANS_FILE", "MASSIVE_API_KEY", "MASSIVE_URL", "MASSIVE_STREAM_URL", "MASSIVE_PLAN",
    "FINNHUB_API_KEY", "FINNHUB_URL", "FINNHUB_STREAM_URL", "FINNHUB_PLAN",
    "ALPHA_VANTAGE_API_KEY", "ALPHA_VANTAGE_URL", "ALPHA_VANTAGE_PLAN",
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "LLM_VENDOR", "LLM_MODEL", "LLM_BUDGET_USD", "NEWS_DAYS",
    "YAHOO_ENABLED", "YAHOO_URL", "YAHOO_COOKIE_URL", "YAHOO_STREAM_URL",
)  # fmt: skip


def browser_path() -> str | None:
    """Debian's Chromium, or what stands for it."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def is_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """A wrapper runs before pytest-django's own hook loads the settings."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    servers = Throwaway(postgres=not is_worker())
    early_config.add_cleanup(servers.stop)
    try:
        servers.start()
    except StartError as error:
        raise pytest.UsageError(str(error)) from error
    os.environ.update(
        servers.environment, SECRET_KEY="only-for-tests-" + "x" * 50, FIELD_ENCRYPTION_KEYS="only-for-tests"
    )
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a run without a browser is not a green run."""
    if not is_worker() and browser_path() is None and os.environ.get("CI") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure() -> None:
    if not is_worker() and browser_path() is None:
        print(NO_BROWSER)  # noqa: T201 -- after the runner's own summary: the last line
