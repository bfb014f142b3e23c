from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, anchors_of, links_of, pages

# A page is true on every machine: no path of the one it was written on, nothing that lies outside the project.
FORBIDDEN = re.compile(r"/(?:work|home|root)/|/tmp/(?!onetape-)|\bshared/|\bhelpers?\b", re.IGNORECASE)
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u26ff]")


def broken_links(page):
    for link in links_of(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            yield link


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_speaks_of_the_project_only(page):
    text = page.read_text()

    assert FORBIDDEN.findall(text) == []
    assert EMOJI.findall(text) == []


def test_every_page_below_docs_is_in_the_index():
    linked = {(ROOT / "docs" / link).resolve() for link in links_of(ROOT / "docs/README.md")}
    below = {page for page in pages() if page.is_relative_to(ROOT / "docs")} - {ROOT / "docs/README.md"}

    assert below - linked == set()


def test_a_table_has_the_same_number_of_cells_in_every_row():
    uneven = []
    for page in pages():
        for table in re.findall(r"(?:^\|.*\|$\n?)+", page.read_text(), re.MULTILINE):
            rows = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
            if len(set(rows)) > 1:
                uneven.append((str(page.relative_to(ROOT)), table.splitlines()[0]))

    assert uneven == []
