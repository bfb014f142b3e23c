from __future__ import annotations

import re
import tomllib

from tests.docs.pages import ROOT, text_of

VENDORS = ("alpaca", "massive", "finnhub", "alpha_vantage", "yahoo")
ROOMS = [
    "core",
    "marketdata",
    "marketdata/providers",
    "marketdata/standins",
    "subscriptions",
    "alerts",
    "summaries",
    "summaries/llm",
    "summaries/standins",
    "dashboard",
]
# What Django finds under its name is named once, above the tree.
USUAL = {"__init__", "models", "admin", "apps", "urls", "tasks"}


def tree():
    return re.search(r"## Modules.*?```\n(.*?)```", text_of("docs/architecture.md"), re.DOTALL)[1]


def words():
    return set(re.findall(r"[a-z_]+", tree()))


def test_every_module_has_its_place_in_the_tree():
    missing = [
        f"{room}/{path.name}"
        for room in ROOMS
        for path in (ROOT / room).glob("*.py")
        if path.stem not in words() | USUAL and not path.stem.startswith(VENDORS)
    ]

    assert missing == []


def test_what_is_marked_as_pure_is_what_the_contract_keeps_pure():
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    pure = next(one for one in contracts if one["name"].startswith("Pure modules"))["source_modules"]
    told = {
        name.rsplit(".", 1)[1]
        for name in pure
        if name.split(".")[0] in ROOMS
        and ".tape" not in name
        and not name.rsplit(".", 1)[1].startswith(VENDORS)
    }

    assert set(re.findall(r"([a-z_]+)\*", tree())) == told
