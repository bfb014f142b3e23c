"""Pages for everybody: contrast and names (axe), small screens, keyboard, no script."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_watchlist import load_sample

VISITOR_PAGES = [
    "/",
    "/account/login/",
    "/account/signup/",
    "/account/password/reset/",
    "/credits/",
    "/tickers/MSFT/",
]
WITHOUT_SCRIPT = {"java_script_enabled": False}


# What fades in has less contrast on its way.
RISEN = """Promise.all(
  document.getAnimations().filter((one) => one.animationName === "rise").map((one) => one.finished.catch(() => null))
).then(() => null)"""


def violations(page: Page) -> list[str]:
    page.wait_for_load_state()
    page.evaluate(RISEN)
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]


def is_too_wide(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_axe_finds_nothing_on_the_pages_of_a_visitor(page: Page) -> None:
    for path in VISITOR_PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert (path, violations(page)) == (path, [])


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_axe_finds_nothing_on_the_pages_of_a_user(page: Page, alice: str, witness) -> None:
    witness.expect("status of 404")
    assert violations(page) == []  # the empty watchlist
    load_sample(page)
    for path in [
        "/watchlist/",
        "/watchlist/?add",
        "/tickers/AAPL/",
        "/tickers/?q=apple",
        "/tickers/ZZZZ/",
        "/account/logout/",
    ]:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert (path, violations(page)) == (path, [])
    page.goto("/watchlist/")
    page.get_by_role("link", name="Add ticker").click()
    page.get_by_role("dialog").get_by_role("combobox").fill("micro")
    expect(page.get_by_role("option").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize(
    "context",
    [{"viewport": {"width": width, "height": 780}} for width in (320, 360, 768, 1024)],
    indirect=True,
)
def test_no_page_scrolls_sideways(page: Page, alice: str, witness) -> None:
    witness.expect("status of 404")
    load_sample(page)
    for path in [
        "/watchlist/",
        "/watchlist/?edit",
        "/watchlist/?add",
        "/tickers/AAPL/",
        "/tickers/?q=a",
        "/tickers/ZZZZ/",
        "/",
        "/credits/",
    ]:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert (path, is_too_wide(page)) == (path, False)


@pytest.mark.parametrize("context", [{"viewport": {"width": 768, "height": 780}}], indirect=True)
def test_whatever_is_said_of_the_prices_of_a_table_leaves_the_page_its_width(page: Page, alice: str) -> None:
    load_sample(page)
    for path in ("/watchlist/", "/watchlist/?edit", "/"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        # Before the next price paints it anew.
        width = page.evaluate(
            """words => {
                document.querySelectorAll("[data-age-notes]").forEach((one) => { one.textContent = words; });
                return document.documentElement.scrollWidth;
            }""",
            "3 of 8 simulated, 2 of 8 stale, 1 of 8 without a price, " * 2,
        )
        assert (path, width) == (path, 768)


@pytest.mark.parametrize("context", [{"viewport": {"width": 360, "height": 780}}], indirect=True)
def test_targets_on_a_phone_are_large_enough_for_a_finger(page: Page, alice: str) -> None:
    load_sample(page)
    page.goto("/watchlist/?edit")

    small = page.evaluate(
        """() => [...document.querySelectorAll("a, button, summary, input:not([type=hidden])")]
          .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".foot, .skip"))
          .map((one) => [one, one.classList.contains("symbol") ? one.closest("tr") : one])
          .map(([one, area]) => [one.outerHTML.slice(0, 80), area.getBoundingClientRect()])
          .filter(([, { width, height }]) => width && (width < 44 || height < 44))
          .map(([html, { width, height }]) => `${html} ${width}x${height}`)"""
    )

    assert [one for one in small if 'class="brand"' not in one] == []


def test_the_first_tab_leads_past_the_navigation(page: Page, alice: str) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


@pytest.mark.parametrize("context", [{"reduced_motion": "reduce"}], indirect=True)
def test_under_reduced_motion_no_cell_is_tinted(page: Page, alice: str) -> None:
    page.add_init_script("window.tints = 0; Element.prototype.animate = () => { window.tints += 1; }")
    load_sample(page)
    shown = page.locator("tr[data-symbol=AAPL] [data-f=price]")
    first = shown.text_content()
    expect(shown).not_to_have_text(first)

    assert page.evaluate("window.tints") == 0


@pytest.mark.parametrize("context", [WITHOUT_SCRIPT], indirect=True)
def test_the_watchlist_works_without_a_script(page: Page, alice: str) -> None:
    load_sample(page)
    page.get_by_role("link", name="Add ticker").click()
    page.get_by_label("Ticker or company", exact=True).first.fill("nvda")
    page.get_by_role("button", name="Add ticker").click()
    expect(page.locator("tr[data-symbol]")).to_have_count(4)

    page.get_by_role("button", name="Remove IBM").click()
    expect(page.get_by_text("IBM removed")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("tr[data-symbol]")).to_have_count(4)

    page.get_by_label("Search ticker or company").fill("microsoft")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="MSFT").click()
    expect(page.get_by_role("heading", name="MSFT")).to_be_visible()
    expect(page.get_by_role("region", name="Bars as a table")).to_be_visible()
