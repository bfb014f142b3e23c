"""The Markdown pages of the project, and what is written in them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "marketdata", "static", "benchmarks", "tests", "deploy")
CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Our own pages; not those of packages, caches or data."""
    return sorted(
        [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
    )


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def first_cells(name: str, after: str = "") -> list[str]:
    """The words in backquotes in the first column of a page's tables, below the heading `after`."""
    text = text_of(name)
    if after:
        text = text.split(f"# {after}\n", 1)[1]
        text = re.split(r"^#+ ", text, maxsplit=1, flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| *((?:`[^`|]+`(?:, )?)+) *\|", text, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def links_of(page: Path) -> list[str]:
    """Where a page points to inside the project."""
    found = LINK.findall(CODE.sub("", page.read_text()))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, spelled as GitHub does."""
    headings = re.findall(r"^#+ +(.+)$", CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
