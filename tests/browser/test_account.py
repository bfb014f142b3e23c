from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_access import WITHOUT_SCRIPT, is_too_wide, violations


def make_key(page: Page, name: str) -> str:
    """From the menu to a new key; its text."""
    page.goto("/account/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("heading", name=f"{name} is ready")).to_be_visible()
    return page.get_by_label("Key", exact=True).input_value()


def enter(page: Page, key: str) -> int:
    """How a program with this key is answered."""
    headers = {"Authorization": f"Api-Key {key}"}
    return page.request.get("/api/v1/me/", headers=headers).status


@pytest.mark.parametrize("context", [{}, WITHOUT_SCRIPT], indirect=True, ids=["script", "no script"])
def test_a_key_is_made_used_and_revoked(page: Page, alice: str) -> None:
    page.locator(".nav .account summary").click()
    page.get_by_role("link", name="Account", exact=True).click()
    expect(page.get_by_text("No keys yet")).to_be_visible()
    key = make_key(page, "robot")

    assert enter(page, key) == 200
    page.goto("/account/")
    assert key not in page.content()
    page.get_by_role("link", name="Revoke robot").click()
    page.get_by_role("button", name="Revoke").click()

    expect(page.get_by_role("status").get_by_text("robot was revoked")).to_be_visible()
    expect(page.get_by_text("No keys yet")).to_be_visible()
    assert enter(page, key) == 401


@pytest.mark.parametrize("context", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True)
def test_a_new_key_is_copied(page: Page, alice: str) -> None:
    key = make_key(page, "robot")

    page.get_by_role("button", name="Copy").click()

    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_axe_finds_nothing(page: Page, alice: str) -> None:
    page.goto("/account/")
    assert violations(page) == []
    make_key(page, "robot")
    assert violations(page) == []
    page.goto("/account/")
    page.get_by_role("link", name="Revoke robot").click()
    page.wait_for_url("**/revoke/")
    assert violations(page) == []


@pytest.mark.parametrize("context", [{"viewport": {"width": 360, "height": 780}}], indirect=True)
def test_on_a_phone_nothing_scrolls_sideways(page: Page, alice: str) -> None:
    make_key(page, "x" * 80)
    assert not is_too_wide(page)
    page.goto("/account/")
    assert not is_too_wide(page)


@pytest.mark.parametrize("context", [{}, WITHOUT_SCRIPT], indirect=True, ids=["script", "no script"])
def test_a_time_zone_is_chosen(page: Page, alice: str) -> None:
    page.goto("/account/")
    page.get_by_role("combobox", name="Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("status").get_by_text("Your time zone is Asia/Tokyo")).to_be_visible()
    expect(page.get_by_role("combobox", name="Time zone")).to_have_value("Asia/Tokyo")
