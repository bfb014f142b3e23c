// The page of news says when something new has come, and since when it could not ask. Nothing that is read moves: the
// new articles are shown when they are asked for. Not while live updates are paused or nobody looks.
import { startAges } from "./ages.js";
import { now, setServerTime } from "./clock.js";
import { clockTime } from "./format.js";
import { live } from "./live.js";

const EVERY_MS = 60_000;
const AT_MOST_EVERY_MS = 5_000; // however often somebody comes back to the page
const page = document.querySelector("[data-news]");
const place = page.querySelector("[data-news-place]");
const checked = document.querySelector("[data-checked]");
let last = performance.now();
let asking = false;

function address() {
  const url = new URL(location.href);
  url.searchParams.delete("before");
  url.searchParams.set("after", page.dataset.newest);
  return url;
}

async function read() {
  const given = { headers: { "X-Fragment": "news" }, cache: "no-store", redirect: "manual" };
  const answer = await fetch(address(), given).catch(() => null);
  return answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-news-hint]") : null;
}

// What is said already is not said again.
function show(hint) {
  if (place.firstElementChild?.dataset.count === hint.dataset.count) return;
  place.replaceChildren(...(hint.dataset.count === "0" ? [] : [hint]));
}

async function ask() {
  if (asking || document.hidden || live.pausedSince || performance.now() - last < AT_MOST_EVERY_MS) return;
  asking = true;
  last = performance.now();
  const hint = await read().catch(() => null);
  asking = false;
  if (hint) show(hint);
  if (hint) say(`Checked at ${clockTime(now())}.`);
  else say(`The server did not answer at ${clockTime(now())}; it is asked again in a minute.`);
}

function say(words) {
  if (checked.textContent !== words) checked.textContent = words;
}

setServerTime(Number(page.dataset.now));
startAges();
if ("isFirst" in page.dataset) {
  say(`Checked at ${clockTime(now())}.`);
  setInterval(ask, EVERY_MS);
  document.addEventListener("visibilitychange", ask);
}
