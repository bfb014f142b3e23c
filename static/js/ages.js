// How long ago something was, counted on while the page stays open: "2 h ago", as dashboard/moments.py writes it.
import { now } from "./clock.js";
import { age } from "./format.js";

const EVERY_MS = 20_000;

export const agoWords = (ms) => (ms < 60_000 ? "just now" : `${age(ms)} ago`);

function count() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time [data-ago]")) {
    const words = agoWords(now() - Date.parse(element.closest("time").dateTime));
    if (element.textContent !== words) element.textContent = words;
  }
}

export function startAges() {
  setInterval(count, EVERY_MS);
  document.addEventListener("visibilitychange", count);
}
