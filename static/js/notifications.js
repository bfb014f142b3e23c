// What this user is told as it happens, and after a while away what was missed. It comes by the WebSocket or the event
// stream, also while live prices are paused; where none is open it is asked for. Each tab shows each one once.
import { call } from "./api.js";
import { live } from "./live.js";
import { show, showMany, startNotices } from "./notice.js";
import { oneMore, setUnread, startUnread } from "./unread.js";

const ASK_EVERY_MS = 10_000;
const HIDDEN_TURNS = 6; // a tab that nobody sees asks once a minute
const MOST_SHOWN = 3; // of those that were missed; more become one line
const KEPT_IDS = 200;
const URGENT = ["critical", "high"];

let last = null; // the newest that this tab has had; a new tab begins where the others of this user are
let known = []; // which ones: ids may become visible in another order
let counted = 0; // up to this id they are in the number that the server told
let caughtUp = false; // since the connection opened
let owed = 0; // of what was missed, still to come
let missed = [];
let turn = 0;

const place = () => `notified:${document.querySelector(".account-name")?.textContent ?? ""}`;

function stored() {
  try {
    return JSON.parse(localStorage.getItem(place())) ?? {};
  } catch {
    return {};
  }
}

function reach(id, ids = []) {
  last = Math.max(last ?? 0, id);
  known = [...known, ...ids].slice(-KEPT_IDS);
  if (last >= (stored().last ?? 0)) localStorage.setItem(place(), JSON.stringify({ last, known }));
}

const position = () => (last === null ? {} : { since: last, seen: [...new Set([...known, last])] });

function isNews({ id }) {
  if (known.includes(id)) return false;
  reach(id, [id]);
  return true;
}

function told(message) {
  const isOwed = owed > 0;
  if (isOwed) owed -= 1;
  if (isNews(message)) {
    if (message.id > counted && !message.read_at) oneMore();
    if (isOwed) missed.push(message);
    else if (!message.read_at) show(message);
  }
  if (isOwed && !owed) showMissed();
}

function showMissed() {
  const shown = missed.filter((message) => !message.read_at);
  missed = [];
  if (shown.length <= MOST_SHOWN) shown.forEach(show);
  else showMany(shown.length, shown.some(({ priority }) => URGENT.includes(priority)));
}

function followed(message) {
  owed = message.missed;
  counted = message.last;
  caughtUp = true;
  setUnread(message.unread);
  if (last === null || message.more) reach(message.last);
}

async function ask() {
  const isFirst = last === null;
  const answer = await call(`/api/v1/notifications/?${isFirst ? "limit=1" : `since=${last}`}`).catch(() => null);
  if (!answer) return;
  caughtUp = true;
  const news = answer.results.filter(isNews);
  if (isFirst) reach(0);
  else missed.push(...news);
  setUnread(answer.unread);
  showMissed();
}

function opened(way) {
  showMissed(); // what had come of them before the connection was lost
  owed = 0;
  caughtUp = false;
  if (way !== "socket") ask();
}

function askWhereNothingIsOpen() {
  if (!navigator.onLine || (live.isPushed && caughtUp)) return;
  turn += 1;
  if (!document.hidden || turn % HIDDEN_TURNS === 0) ask();
}

export function startNotifications() {
  ({ last, known } = { last, known, ...stored() });
  startUnread();
  startNotices();
  live.followed = position;
  live.addEventListener("opened", ({ detail }) => opened(detail));
  live.addEventListener("following", ({ detail }) => followed(detail));
  live.addEventListener("notification", ({ detail }) => told(detail));
  document.addEventListener("visibilitychange", () => document.hidden || live.isPushed || askWhereNothingIsOpen());
  setInterval(askWhereNothingIsOpen, ASK_EVERY_MS);
  // A page with prices has opened the connection by then.
  document.addEventListener("DOMContentLoaded", () => live.listen());
}
