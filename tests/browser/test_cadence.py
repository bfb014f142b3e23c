"""How often prices come: chosen, remembered, made slower by the tab, the device and the plan; and told in words."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_access import is_too_wide, violations
from tests.browser.test_watchlist import load_sample, price_that_moves
from tests.browser.ways import Gate, often, open_details, way

HIDE = """(...states) => states.flat().forEach((hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
})"""
SAVES_DATA = """Object.defineProperty(navigator, "connection", {
  value: Object.assign(new EventTarget(), { saveData: true }) });"""
SCREENS = [
    {"viewport": {"width": width, "height": 780}, "color_scheme": scheme}
    for width in (360, 1280)
    for scheme in ("light", "dark")
]


def choose(page: Page, name: str) -> None:
    open_details(page)
    page.get_by_role("group", name="Update prices").get_by_role("button", name=name).click()
    page.keyboard.press("Escape")


def test_a_chosen_cadence_is_told_and_survives_a_reload(page: Page) -> None:
    gate = Gate(page)
    page.goto("/")
    expect(often(page)).to_have_text("As they change")
    choose(page, "Every 5 seconds")
    expect(often(page)).to_have_text("Every 5 s")

    page.reload()
    expect(often(page)).to_have_text("Every 5 s")
    open_details(page)
    expect(page.get_by_role("button", name="Every 5 seconds")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Live", exact=True).click()
    expect(often(page)).to_have_text("As they change")

    assert [message["mode"] for message in gate.hear("cadence", 3)] == ["5s", "5s", "live"]


def test_a_hidden_tab_gets_less_and_returns(page: Page) -> None:
    gate = Gate(page)
    page.goto("/")
    expect(way(page)).to_have_text("Live")
    page.evaluate(HIDE, True)
    expect(often(page)).to_have_text("Every 30 s: this tab is in the background")
    page.evaluate(HIDE, False)
    expect(often(page)).to_have_text("As they change")
    price_that_moves(page, "AAPL")

    told = [(message["mode"], message.get("reason", "chosen")) for message in gate.hear("cadence", 2)]
    assert told == [("30s", "hidden"), ("live", "chosen")]


def test_a_quick_look_at_another_tab_says_nothing(page: Page) -> None:
    gate = Gate(page)
    page.goto("/")
    expect(way(page)).to_have_text("Live")
    page.evaluate(HIDE, [True, False])  # within the same moment, however busy the machine is
    choose(page, "Every second")
    expect(often(page)).to_have_text("Every second")

    assert [message["mode"] for message in gate.hear("cadence")] == ["1s"]


def test_a_device_that_saves_data_gets_less(page: Page) -> None:
    page.add_init_script(SAVES_DATA)
    page.goto("/")

    expect(often(page)).to_have_text("Every 5 s: your device saves data")


def test_less_motion_means_fewer_changes(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto("/")
    expect(often(page)).to_have_text("Every second: your device asks for less motion")
    page.emulate_media(reduced_motion="no-preference")

    expect(often(page)).to_have_text("As they change")


def test_a_plan_that_gives_less_is_told(page: Page, alice: str) -> None:
    load_sample(page)
    page.reload()
    expect(often(page)).to_have_text("Every second: your plan")

    expect(page.locator("[data-live-label]:visible")).to_have_text("Live, 1 s")


def test_who_pauses_tells_the_server_and_gets_the_latest_on_resuming(page: Page) -> None:
    gate = Gate(page)
    page.goto("/")
    price_that_moves(page, "AAPL")
    page.get_by_role("button", name="Pause live updates").click()
    expect(often(page)).to_have_text("Paused")
    page.get_by_role("button", name="Resume live updates").click()
    expect(often(page)).to_have_text("As they change")
    price_that_moves(page, "AAPL")

    assert [message["mode"] for message in gate.hear("cadence", 2)] == ["paused", "live"]


@pytest.mark.parametrize("context", SCREENS, indirect=True)
def test_the_details_work_by_keyboard_and_for_everybody(page: Page) -> None:
    page.goto("/")
    expect(way(page)).to_have_text("Live")
    opener = page.locator("[data-live-menu]:visible > summary")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-live-heard]:visible")).to_contain_text("ago")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Live", exact=True)).to_be_focused()

    assert violations(page) == []
    assert not is_too_wide(page)

    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    expect(page.locator("[data-live-heard]:visible")).to_have_count(0)
