// The service worker: shows notifications that arrive while no page is open, and opens their page on a click. It
// answers no requests, so it changes nothing about how pages are loaded. Served as /sw.js, so that it may open any page.
const FALLBACK = { title: "Onetape", body: "There is a new notification.", navigate: "/notifications/" };

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// Declarative Web Push, which some browsers show by themselves.
function read(data) {
  try {
    return data.json().notification ?? FALLBACK;
  } catch {
    return FALLBACK;
  }
}

// A path of ours, whatever the name under which the server knows itself.
function pathOf(address) {
  const { pathname, search } = new URL(address ?? FALLBACK.navigate, self.location.origin);
  return new URL(pathname + search, self.location.origin).href;
}

async function open(address) {
  const windows = await self.clients.matchAll({ type: "window" });
  const shown = windows.find((one) => one.url === address);
  return shown ? shown.focus() : self.clients.openWindow(address);
}

self.addEventListener("push", (event) => {
  const { title, body, tag, timestamp, requireInteraction, navigate } = read(event.data);
  const options = { body, tag, timestamp, requireInteraction, data: { address: pathOf(navigate) } };
  event.waitUntil(self.registration.showNotification(title || FALLBACK.title, options));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(pathOf(event.notification.data?.address)));
});
