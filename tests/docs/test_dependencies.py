from __future__ import annotations

import re

from tests.docs.pages import ROOT, text_of

PAGE = "docs/dependencies.md"
ROW = re.compile(r"^\| `([\w-]+)` ([\d.]+) \|", re.MULTILINE)


def named(file):
    lines = [line.split("#")[0].strip() for line in text_of(file).splitlines()]
    return {re.split(r"[\[<>=~!; ]", line)[0] for line in lines if line and not line.startswith("-")}


def pinned():
    found = re.findall(
        r"^([\w.-]+)==(\S+)", text_of("requirements.txt") + text_of("requirements-dev.txt"), re.MULTILINE
    )
    return {name.lower(): version for name, version in found}


def test_every_requirement_has_its_row_and_no_other():
    described = [name for name, _ in ROW.findall(text_of(PAGE))]

    assert sorted(described) == sorted(named("requirements.in") | named("requirements-dev.in"))


def test_the_versions_are_those_of_the_pinned_lists():
    versions = pinned()
    stale = [
        (name, said)
        for name, said in ROW.findall(text_of(PAGE))
        if not agrees(versions[name.lower().replace("_", "-")], said)
    ]

    assert stale == []


def agrees(version, said):
    """A shorter version is said where the rest is a date or a rebuild."""
    return version == said or version.startswith(f"{said}.") or said == f"{version}.0"


def test_everything_vendored_is_described():
    folders = [path.name for path in (ROOT / "static/vendor").iterdir() if path.is_dir()]
    licensed = {path.parent.name for path in (ROOT / "static/vendor").glob("*/LICENSE")}

    assert [folder for folder in folders if f"static/vendor/{folder}" not in text_of(PAGE)] == []
    assert set(folders) - licensed == set()
