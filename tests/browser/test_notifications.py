"""A fired alert reaches the page by whichever way is open; what came while it was away is shown when it is back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.site import Site
from tests.browser.test_watchlist import load_sample
from tests.browser.ways import FALLEN_MS, NO_EVENTSOURCE, NO_WEBSOCKET, Gate, way

FIRE = """
import asyncio
from django.db import transaction
from django.utils import timezone
from accounts.models import User
from alerts import inbox
from alerts.models import Notification
from core import live
from core.redis import close_async_client

user, now = User.objects.get(username={name!r}), timezone.now()
with transaction.atomic():
    rows = [
        Notification.objects.create(
            user=user, title=title, body="It was 190.02.", priority={priority}, created_at=now, scheduled_at=now
        )
        for title in {titles!r}
    ]

async def tell():
    await live.tell_users([(user.pk, inbox.payload(row)) for row in rows])
    await close_async_client()

if {is_told}:
    asyncio.run(tell())
"""
CRITICAL, MEDIUM = 1, 3


def fire(site: Site, name: str, *titles: str, priority: int = MEDIUM, is_told: bool = True) -> None:
    """As the evaluation does it: rows first, then the word to whoever is connected."""
    code = FIRE.format(name=name, titles=list(titles), priority=priority, is_told=is_told)
    site.manage("shell", "-v", "0", "-c", code)


def is_followed(page: Page) -> None:
    """The page knows where it begins; what came before the server has told it so is old to a new tab."""
    page.wait_for_function("Object.keys(localStorage).some((key) => key.startsWith('notified:'))")


def notices(page: Page) -> Locator:
    return page.locator("[data-notices] a")


def unread(page: Page, number: int) -> None:
    expect(page.locator("#bell")).to_have_attribute("data-unread", str(number))
    expect(page.locator("#bell")).to_have_accessible_name(f"Notifications, {number} unread")
    expect(page).to_have_title(re.compile(rf"^\({number}\) " if number else r"^[^(]"))


def test_a_fired_alert_is_a_toast_that_stays_until_it_is_read(page: Page, alice: str, site: Site) -> None:
    load_sample(page)
    page.get_by_role("button", name="Pause live updates").click()  # that holds up prices only
    unread(page, 0)
    is_followed(page)

    fire(site, alice, "AAPL above 190.00", priority=CRITICAL)
    alert = page.locator("[data-notices]").get_by_role("alert")
    expect(alert.get_by_role("link")).to_have_text("AAPL above 190.00")
    expect(alert).to_contain_text("It was 190.02.")
    unread(page, 1)

    fire(site, alice, "IBM below 120.00", "MSFT above 400.00", "AAPL above 191.00")
    expect(notices(page)).to_have_text(["IBM below 120.00", "MSFT above 400.00", "AAPL above 191.00"])
    assert page.locator("[data-notices] [role=status]").count() == 3
    unread(page, 4)

    page.get_by_role("button", name="Mark as read: MSFT above 400.00").click()
    expect(notices(page)).to_have_text(["IBM below 120.00", "AAPL above 191.00"])
    unread(page, 3)


def test_who_was_away_is_shown_what_was_missed_and_nothing_twice(
    page: Page, alice: str, site: Site, witness
) -> None:
    witness.expect("WebSocket connection")
    gate = Gate(page)
    page.goto("/account/")  # a page without prices
    is_followed(page)
    fire(site, alice, "AAPL above 190.00")
    expect(notices(page)).to_have_text(["AAPL above 190.00"])

    gate.is_shut = True
    gate.close(1001)
    fire(site, alice, "IBM below 120.00", is_told=False)
    gate.is_shut = False
    page.evaluate("dispatchEvent(new Event('online'))")

    expect(notices(page)).to_have_text(["AAPL above 190.00", "IBM below 120.00"])
    unread(page, 2)

    page.reload()
    unread(page, 2)
    fire(site, alice, "MSFT above 400.00")
    expect(notices(page)).to_have_text(["MSFT above 400.00"])


def test_many_that_were_missed_are_one_line(page: Page, alice: str, site: Site) -> None:
    gate = Gate(page)
    page.goto("/account/")
    is_followed(page)
    fire(site, alice, "AAPL above 190.00")
    expect(notices(page)).to_have_text(["AAPL above 190.00"])

    fire(site, alice, *[f"AAPL above {number}.00" for number in range(191, 196)], is_told=False)
    gate.close(4012, "restarting")

    expect(notices(page)).to_have_text(
        ["AAPL above 190.00", "5 notifications while you were away"],
    )
    unread(page, 6)


@pytest.mark.parametrize(
    ("missing", "words"),
    [(NO_WEBSOCKET, "Live over HTTP"), (NO_WEBSOCKET + NO_EVENTSOURCE, "Checking every 5 s")],
    ids=["stream", "polling"],
)
def test_the_other_ways_bring_them_too_also_while_paused(
    context: BrowserContext, page: Page, alice: str, site: Site, missing: str, words: str
) -> None:
    load_sample(page)
    other = context.new_page()
    other.add_init_script(missing)
    other.goto("/watchlist/")
    expect(way(other)).to_have_text(words, timeout=FALLEN_MS)
    is_followed(page)

    fire(site, alice, "AAPL above 190.00")
    for one in (page, other):  # once in each tab
        expect(notices(one)).to_have_text(["AAPL above 190.00"])
        unread(one, 1)

    other.get_by_role("button", name="Pause live updates").click()
    fire(site, alice, "IBM below 120.00")
    expect(notices(other)).to_have_text(["AAPL above 190.00", "IBM below 120.00"])

    page.get_by_role("button", name="Mark as read: AAPL above 190.00").click()
    expect(notices(other)).to_have_text(["IBM below 120.00"])
    unread(other, 1)
