from __future__ import annotations

from decimal import Decimal

import pytest

from marketdata.providers import plans
from marketdata.providers.base import Window
from marketdata.providers.plans import BadPlan, plan_of


@pytest.fixture
def own(tmp_path):
    def write(text: str):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return path

    return write


def test_every_shipped_plan_can_be_read_and_means_something():
    for vendor, named in plans.load().items():
        for name, plan in named.items():
            assert (plan.vendor, plan.name) == (vendor, name)
            assert plan.symbols >= 1
            assert all(window.limit > 0 and window.seconds > 0 for window in plan.windows)
            assert plan.monthly is None or plan.monthly >= 0


def test_each_vendor_has_the_plan_that_the_settings_name():
    from django.conf import settings  # noqa: PLC0415 -- one use

    for vendor in ("alpaca", "massive", "finnhub", "alpha_vantage"):
        assert plan_of(vendor, getattr(settings, f"{vendor.upper()}_PLAN")).vendor == vendor


def test_a_plan_is_what_its_entry_says(own):
    path = own(
        '[v.p]\nwindows = [[5, 60], [25, 86400]]\nsymbols = 7\nstream = 0\ndelayed = 900\nmonthly = "29.50"'
    )

    plan = plan_of("v", "p", path)

    assert plan.windows == (Window(5, 60), Window(25, 86_400))
    assert (plan.symbols, plan.stream, plan.delayed, plan.monthly) == (7, 0, 900, Decimal("29.50"))


def test_what_an_entry_leaves_out_is_the_careful_choice(own):
    plan = plan_of("v", "p", own("[v.p]"))

    assert (plan.symbols, plan.stream, plan.display, plan.monthly) == (1, None, False, None)


@pytest.mark.parametrize(("vendor", "known"), [("v", "p, q"), ("w", "none")])
def test_an_unknown_plan_names_those_there_are(own, vendor, known):
    with pytest.raises(BadPlan, match=f"known are {known}"):
        plan_of(vendor, "x", own("[v.p]\n[v.q]"))


@pytest.mark.parametrize(
    "entry",
    [
        "windows = [[5]]",
        "windows = [[1, 2, 3]]",
        'windows = [["many", 60]]',
        "windows = 5",
        "windows = [[0, 60]]",
        "windows = [[-5, 60]]",
        "windows = [[5, 0]]",
        'monthly = "cheap"',
        'monthly = "NaN"',
        "no_such_field = 1",
        "symbols = 0",
        'symbols = "100"',
        "stream = -1",
        'stream = "50"',
        "delayed = -1",
        "connections = 0",
        'display = "no"',
        "feed = 7",
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused_by_name(own, entry):
    with pytest.raises(BadPlan, match="'p' of v"):
        plan_of("v", "p", own(f"[v.p]\n{entry}"))


@pytest.mark.parametrize("text", ["[v.p", "v = 1", "[v]\np = 5", "\0"])
def test_a_file_that_is_none_is_refused(own, text):
    with pytest.raises(BadPlan):
        plans.load(own(text))


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(BadPlan):
        plans.load(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadPlan):
        plans.load(tmp_path / "bytes.toml")
