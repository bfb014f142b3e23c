// A notification on the screen, at most three of them. A fired alert stays until it is read, here or in another tab.
import { call } from "./api.js";
import { complain, runOut } from "./toast.js";
import { oneLess } from "./unread.js";

const MOST = 3;
const URGENT = ["critical", "high"];
const STAYS = ["alert", "retraction"];
const SPEAK_AFTER_MS = 50; // a screen reader says what changes in what it knows, not what is there from the start
const tabs = new BroadcastChannel("notices");

const box = () => document.querySelector("[data-notices]");
const shownOf = (id) => box().querySelector(`[data-notice="${id}"]`);

export function show({ id, kind, priority, title, body, url }) {
  const shown = made({ title, url, body: body ?? "", urgent: URGENT.includes(priority) });
  shown.dataset.notice = id;
  const button = shown.querySelector("[data-dismiss]");
  button.setAttribute("aria-label", `Mark as read: ${title}`);
  button.addEventListener("click", () => read(id, button));
  if (!STAYS.includes(kind)) runOut(shown);
}

export function showMany(number, urgent) {
  const shown = made({ title: `${number} notifications while you were away`, url: "/notifications/", body: "", urgent });
  const button = shown.querySelector("[data-dismiss]");
  button.setAttribute("aria-label", "Close");
  button.addEventListener("click", () => shown.remove());
}

function made({ title, url, body, urgent }) {
  const shown = document.querySelector("template[data-notice]").content.firstElementChild.cloneNode(true);
  shown.setAttribute("role", urgent ? "alert" : "status");
  shown.classList.toggle("is-urgent", urgent);
  box().append(shown);
  while (box().children.length > MOST) box().firstElementChild.remove();
  const link = shown.querySelector("a");
  link.href = url.startsWith("/") ? url : "/notifications/";
  setTimeout(() => {
    link.textContent = title;
    shown.querySelector("[data-body]").textContent = body;
  }, SPEAK_AFTER_MS);
  return shown;
}

async function read(id, button) {
  button.disabled = true;
  try {
    await call(`/api/v1/notifications/${id}/read/`, { method: "POST" });
  } catch (error) {
    button.disabled = false;
    complain(error.message);
    return;
  }
  shownOf(id)?.remove();
  tabs.postMessage({ read: id });
  oneLess();
}

export function startNotices() {
  tabs.addEventListener("message", ({ data }) => shownOf(data.read)?.remove());
  const [, id] = location.pathname.match(/^\/notifications\/(\d+)\/$/) ?? [];
  if (id) tabs.postMessage({ read: Number(id) }); // who sees its page has read it
}
