from __future__ import annotations

import re

from core import metrics
from tests.docs.pages import ROOT, first_cells, text_of

PAGE = "docs/reference/metrics.md"


def declared():
    found = {}
    for family in metrics.registry.collect():
        if family.name.startswith("onetape_"):
            found[family.name + ("_total" if family.type == "counter" else "")] = family.type
    return found


def test_every_metric_is_described_with_its_type():
    described = dict(re.findall(r"^\| `(onetape_\w+)` \| (\w+) \|", text_of(PAGE), re.MULTILINE))

    assert described == declared()


def test_every_label_is_described():
    text = text_of("core/metrics.py")
    labels = {label for call in re.findall(r"_(?:counter|gauge)\(([^)]*)\)", text) for label in _labels(call)}
    rows = [row for row in text_of(PAGE).splitlines() if row.startswith("| `onetape_")]

    assert labels
    assert [label for label in labels if not any(f"`{label}`" in row for row in rows)] == []


def _labels(call):
    return re.findall(r'"([^"]*)"', call)[2:]


def test_the_first_column_holds_metrics_only():
    assert sorted(first_cells(PAGE)) == sorted(declared())


def test_every_metric_is_filled_somewhere():
    names = re.findall(r"^(\w+) = _(?:counter|gauge)\(", text_of("core/metrics.py"), re.MULTILINE)
    apps = ("core", "accounts", "marketdata", "subscriptions", "alerts", "summaries", "dashboard")
    code = "".join(path.read_text() for app in apps for path in sorted((ROOT / app).rglob("*.py")))

    assert names
    assert [name for name in names if f"metrics.{name}." not in code] == []
