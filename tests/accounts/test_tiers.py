from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

from accounts.tiers import LIMITS, Tier, limits_of

APPS = ("config", "core", "accounts", "marketdata", "subscriptions", "dashboard")


def test_limits_rise_with_the_tier():
    assert [limits_of(tier).max_tickers for tier in ("free", "pro", "expert")] == [5, 10, 20]
    assert set(LIMITS) == set(Tier)


def test_no_other_place_knows_the_limits():
    """A tier's word and a tier's number on one line, anywhere else in code, SQL or pages, is a second truth."""
    second_place = re.compile(
        r"(?i)\b(free\b.{0,40}\b5|pro\b.{0,40}\b10|expert\b.{0,40}\b20)\b(?!\s*(px|rem|%|s\b|ms\b))"
    )
    files = [
        path
        for app in (*APPS, "templates")
        for path in (Path(settings.BASE_DIR) / app).rglob("*")
        if path.suffix in {".py", ".sql", ".html", ".txt"} and path.name != "tiers.py"
    ]

    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if second_place.search(line)
    ]

    assert found == []
