"""Notifications of the browser: our service worker shows what a push service would bring, and opens its page."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import BrowserContext, Page, Worker, expect

from alerts.deliveries.browser import payload
from tests.alerts.deliveries.messages import message

# Of RFC 8291's example.
PUBLIC_KEY = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
SUBSCRIBE = """async (key) => {
    const push = await import("/static/js/push.js");
    return push.subscribe(key).catch((error) => `${error instanceof push.Impossible} ${error.message}`);
}"""
REGISTER = """async () => {
    await navigator.serviceWorker.register("/sw.js", { scope: "/" });
    return (await navigator.serviceWorker.ready).scope;
}"""
# Waits in the page: what `wait_for_function` is given a promise of counts as come true at once.
SHOWN = """async (some) => {
    for (const end = Date.now() + 30000; ; await new Promise((then) => setTimeout(then, 20))) {
        const all = await (await navigator.serviceWorker.ready).getNotifications();
        if (all.length > 0 === some || Date.now() > end) {
            return all.map(({ title, body, tag, data }) => ({ title, body, tag, data }));
        }
    }
}"""
# A click that nobody made may open nothing, so it is noted what would be opened.
CLICK = """async () => {
    const opened = [];
    self.clients.openWindow = async (address) => opened.push(address);
    const [notification] = await self.registration.getNotifications();
    const event = new NotificationEvent("notificationclick", { notification });
    const waits = [];
    event.waitUntil = (promise) => waits.push(promise);
    self.dispatchEvent(event);
    await Promise.all(waits);
    return opened;
}"""


@pytest.fixture
def worker(context: BrowserContext, page: Page) -> Worker:
    context.grant_permissions(["notifications"])
    page.goto("/")
    assert page.evaluate(REGISTER) == page.url
    return (context.service_workers or [context.wait_for_event("serviceworker")])[0]


def deliver(page: Page, text: str) -> None:
    """As if the push service had brought it."""
    session = page.context.new_cdp_session(page)
    registrations: list[dict] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated", lambda event: registrations.extend(event["registrations"])
    )
    session.send("ServiceWorker.enable")
    page.wait_for_function("navigator.serviceWorker.controller")
    while not registrations:  # told beside the answer, and perhaps after it
        page.wait_for_timeout(50)
    session.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": page.url.rstrip("/"), "registrationId": registrations[0]["registrationId"], "data": text},
    )


def shown(page: Page, some: bool = True) -> list[dict]:
    """What is shown as soon as there is something, or as soon as there is nothing; what is there after 30 s if not."""
    return page.evaluate(SHOWN, some)


def test_a_pushed_message_is_shown(page: Page, worker: Worker):
    deliver(page, payload(message()).decode())

    assert shown(page) == [
        {
            "title": "AAPL crossed above 190.00",
            "body": "190.02 at 14:31:05, regular session.",
            "tag": "ot-17-4",
            "data": {"address": f"{page.url}notifications/17/"},
        }
    ]


def test_a_repetition_is_shown_once(page: Page, worker: Worker):
    for _ in range(2):
        deliver(page, payload(message()).decode())

    assert len(shown(page)) == 1


@pytest.mark.parametrize("text", ["", "nonsense", "{}", '{"notification": null}'])
def test_a_message_that_cannot_be_read_still_tells_that_there_is_one(page: Page, worker: Worker, text: str):
    deliver(page, text)

    assert [one["title"] for one in shown(page)] == ["Onetape"]


def test_a_click_opens_the_page_under_our_own_name(page: Page, worker: Worker):
    text = json.loads(payload(message()))
    text["notification"]["navigate"] = "https://evil.example/notifications/18/?a=b"
    deliver(page, json.dumps(text))
    shown(page)

    assert worker.evaluate(CLICK) == [f"{page.url}notifications/18/?a=b"]
    assert shown(page, some=False) == []


def test_a_browser_that_was_told_no_says_how_to_change_it(page: Page):
    page.goto("/")

    said = page.evaluate(SUBSCRIBE, PUBLIC_KEY)

    assert said.startswith("true Notifications of Onetape are blocked in this browser.")


def test_nothing_is_asked_before_somebody_clicks(page: Page):
    page.add_init_script(
        "window.asked = 0; Notification.requestPermission = async () => { window.asked++; };"
    )
    page.goto("/")
    page.evaluate("import('/static/js/push.js').then((push) => push.endpoint())")

    assert page.evaluate("window.asked") == 0
    expect(page.locator("body")).to_be_visible()


def test_the_page_of_a_closed_connection_says_why(page: Page):
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { get: () => false })")
    page.goto("/")

    assert page.evaluate(SUBSCRIBE, PUBLIC_KEY).startswith("true Notifications need a safe connection")


def test_a_browser_that_cannot_says_so(page: Page):
    page.add_init_script("delete window.PushManager")
    page.goto("/")

    assert page.evaluate(SUBSCRIBE, PUBLIC_KEY).startswith("true This browser cannot show notifications")


# A push service is at the maker's; here stands what it would answer.
SERVICE = """
    let held = null;
    window.asked = [];
    const make = (key) => ({
        options: { applicationServerKey: key.buffer },
        toJSON: () => ({ endpoint: "https://push.test/x", keys: {} }),
        unsubscribe: async () => { window.asked.push("unsubscribe"); held = null; return true; },
    });
    PushManager.prototype.getSubscription = async () => held;
    PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => {
        window.asked.push([userVisibleOnly, applicationServerKey.length, applicationServerKey[0]]);
        return (held = make(applicationServerKey));
    };
"""
SUBSCRIBED = {"endpoint": "https://push.test/x", "keys": {}}


def test_subscribing_gives_what_the_server_needs(page: Page, context: BrowserContext):
    context.grant_permissions(["notifications"])
    page.add_init_script(SERVICE)
    page.goto("/")

    assert page.evaluate(SUBSCRIBE, PUBLIC_KEY) == SUBSCRIBED
    assert page.evaluate("window.asked") == [[True, 65, 4]]


def test_who_has_subscribed_keeps_it_until_the_servers_key_changes(page: Page, context: BrowserContext):
    context.grant_permissions(["notifications"])
    page.add_init_script(SERVICE)
    page.goto("/")
    for key in (PUBLIC_KEY, PUBLIC_KEY, PUBLIC_KEY[:-1] + "w"):
        assert page.evaluate(SUBSCRIBE, key) == SUBSCRIBED

    assert page.evaluate("window.asked") == [[True, 65, 4], "unsubscribe", [True, 65, 4]]


def test_a_browser_whose_service_is_away_says_so(page: Page, context: BrowserContext):
    context.grant_permissions(["notifications"])
    page.add_init_script(
        "PushManager.prototype.subscribe = () => Promise.reject(new Error('push service error'))"
    )
    page.goto("/")

    assert page.evaluate(SUBSCRIBE, PUBLIC_KEY).startswith("true The browser could not reach the service")
