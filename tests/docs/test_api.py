from __future__ import annotations

import re

from config.api_urls import urlpatterns
from tests.docs.pages import text_of

PAGE = "docs/reference/api.md"
APPS = ["accounts/apps.py", "marketdata/apps.py", "subscriptions/apps.py", "alerts/apps.py"]


def paths(patterns):
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from paths(pattern.url_patterns)
        else:
            yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))


def test_every_path_is_described_and_no_other():
    described = re.findall(r"^\| \[`([^`?]+)(?:\?[^`]*)?`\]", text_of(PAGE), re.MULTILINE)

    assert set(described) == set(paths(urlpatterns))


def test_every_code_that_the_apps_register_is_described():
    codes = re.findall(r'code="(\w+)"', "".join(map(text_of, APPS)))

    assert codes
    assert [code for code in codes if f"`{code}`" not in text_of(PAGE)] == []
