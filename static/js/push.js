// Notifications of this browser, also while no page is open. The browser asks its user only when `subscribe` is called,
// which must be on a click; an Impossible says in a sentence why there are none.
const WORKER = "/sw.js";
const CLOSED = "Notifications need a safe connection: open Onetape under its https:// address.";
const UNABLE =
  "This browser cannot show notifications of pages that are closed. On an iPhone or iPad, add Onetape to the home screen and open it from there.";
const BLOCKED =
  "Notifications of Onetape are blocked in this browser. Allow them in its settings for this page, then try again.";
const UNDECIDED = "The browser was not given permission, so nothing was changed.";
const NO_SERVICE =
  "The browser could not reach the service of its maker through which notifications come. Some browsers must be allowed to use it in their settings.";

export class Impossible extends Error {}

// Why it cannot work here, or an empty text.
export function whyNot() {
  if (!window.isSecureContext) return CLOSED;
  if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) return UNABLE;
  return Notification.permission === "denied" ? BLOCKED : "";
}

// What the server needs to send to this browser: PushSubscription.toJSON().
export async function subscribe(publicKey) {
  const reason = whyNot();
  if (reason) throw new Impossible(reason);
  const permission = await Notification.requestPermission();
  if (permission !== "granted") throw new Impossible(permission === "denied" ? BLOCKED : UNDECIDED);
  const key = bytesOf(publicKey);
  const manager = (await ready()).pushManager;
  const old = await manager.getSubscription();
  if (old && isSame(old.options.applicationServerKey, key)) return old.toJSON();
  await old?.unsubscribe(); // the server's key has changed: nothing it signs would arrive
  const made = await manager.subscribe({ userVisibleOnly: true, applicationServerKey: key }).catch(() => null);
  if (!made) throw new Impossible(NO_SERVICE);
  return made.toJSON();
}

// The address of this browser's subscription, or null: by it the page finds the channel that is this browser.
export async function endpoint() {
  return (await subscription())?.endpoint ?? null;
}

// Whether there was one.
export async function unsubscribe() {
  return (await (await subscription())?.unsubscribe()) ?? false;
}

async function subscription() {
  const registration = await navigator.serviceWorker?.getRegistration("/");
  return (await registration?.pushManager?.getSubscription()) ?? null;
}

async function ready() {
  await navigator.serviceWorker.register(WORKER, { scope: "/", updateViaCache: "none" });
  return navigator.serviceWorker.ready;
}

function bytesOf(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function isSame(buffer, key) {
  const bytes = new Uint8Array(buffer ?? []);
  return bytes.length === key.length && bytes.every((byte, index) => byte === key[index]);
}
